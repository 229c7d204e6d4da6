//! `make matrix`: one update in and out of kernels whose running text differs.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{AMD64, CLOUD, seg6, target, updates};
use std::time::Instant;

/// By CPU the kernel chooses what stands for returns and indirect branches.
const MODELS: [&str; 3] = ["max", "EPYC", "Skylake-Server-v4"];
const ADDRESSES: [&str; 2] = ["kaslr", "nokaslr"];
const PREEMPTION: [&str; 3] = ["preempt=none", "preempt=voluntary", "preempt=full"];

fn main() -> Result<()> {
    let mut failed = 0;
    let mut tried = 0;
    let one = std::env::var("TARGET").ok().filter(|spec| !spec.is_empty());
    let specs = one.as_deref().map_or(vec![CLOUD, AMD64], |spec| vec![spec]);
    for spec in specs {
        let target = target(spec)?;
        let package = updates::build(&target, seg6::PATCH)?.open()?;
        for cpu in MODELS {
            for words in ADDRESSES.iter().flat_map(|a| PREEMPTION.map(|p| [*a, p])) {
                let clock = Instant::now();
                let mut machine = machine(&target, cpu).cpus(2);
                for word in words {
                    machine = machine.append(word);
                }
                // Not from a snapshot: each of them would be used once.
                let ended = machine
                    .boot()
                    .context("boot the guest")
                    .and_then(|vm| Guest::with_core(vm, &package))
                    .and_then(|guest| seg6::in_and_out(&guest, &package));
                let name = format!("{} {cpu} {}", target.id(), words.join(" "));
                let seconds = clock.elapsed().as_secs();
                tried += 1;
                match ended {
                    Ok(()) => println!("in and out  {name}, {seconds} s"),
                    Err(error) => {
                        failed += 1;
                        println!("FAILED      {name}, {seconds} s: {error:#}");
                    }
                }
            }
        }
    }
    ensure!(failed == 0, "{failed} of {tried} kernels failed");
    println!("{tried} kernels: in and out twice, right answers, clean logs");
    Ok(())
}
