//! What a call of a replaced function costs, and how long a kernel livepatch of
//! the same function needs until every task runs the new one.

use anyhow::{Context, Result};
use resplice_target::Target;
use resplice_tests::eval::measure::{Measure, median};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{modules, updates};
use resplice_vm::GuestFile;

/// Adds one instruction that does nothing to `int_sqrt`.
const PATCH: &str = "tests/patches/lib-int-sqrt.patch";
const LIVEPATCH: &str = "/sys/kernel/livepatch/rt_livepatch";
const TIMES: usize = 5;

/// Measures in a guest with one CPU.
pub fn measure(target: &Target) -> Result<Vec<Measure>> {
    let package = updates::build(target, PATCH)?.open()?;
    let guest = Guest::start(&machine(target, "max"), &package)?;
    guest.bring(&package)?;
    for name in ["rt_bench", "rt_livepatch"] {
        let path = format!("/root/{name}.ko");
        let module = modules::build(target, name)?;
        guest.vm.push(&[GuestFile::new(path, 0o600, &module[..])])?;
    }
    guest.ok("insmod /root/rt_bench.ko")?;
    let jump = nanos(&guest, "jump_ps")?;
    let plain = nanos(&guest, "call_ps")?;
    guest.apply(&package)?;
    let replaced = nanos(&guest, "call_ps")?;
    guest.undo(&package)?;
    let (livepatched, transition) = livepatch(&guest)?;
    guest.log_is_clean()?;
    let call = |name: &str, value: f64, what: &str| {
        let note = format!("a call of int_sqrt {what}, against one that nobody has patched");
        Measure::alone(name, value, "ns", &note).against(plain)
    };
    Ok(vec![
        call("call-replaced", replaced, "that an update replaces"),
        call("call-livepatched", livepatched, "under a kernel livepatch"),
        Measure::alone(
            "call-overhead",
            replaced - plain,
            "ns",
            "what an update adds to a call, against a direct jump to another page",
        )
        .against(jump),
        Measure::alone(
            "call-overhead-livepatch",
            livepatched - plain,
            "ns",
            "what a kernel livepatch adds to a call, against the same jump",
        )
        .against(jump),
        Measure::alone(
            "livepatch-transition",
            transition,
            "us",
            "a kernel livepatch of the same function until every task has gone over",
        ),
    ])
}

/// Costs of a call in nanoseconds and of the transition in microseconds.
fn livepatch(guest: &Guest) -> Result<(f64, f64)> {
    guest.ok(&format!(
        "insmod /root/rt_livepatch.ko && {}",
        until_over("1")
    ))?;
    let call = nanos(guest, "call_ps")?;
    let path = "/sys/module/rt_livepatch/parameters/transition_ns";
    let transition: f64 = guest.ok(&format!("cat {path}"))?.parse()?;
    guest.ok(&format!(
        "echo 0 >{LIVEPATCH}/enabled && {}",
        until_over("0")
    ))?;
    Ok((call, transition / 1000.0))
}

/// Once a livepatch is switched off entirely, its directory is gone.
fn until_over(enabled: &str) -> String {
    format!(
        "for i in $(seq 600); do \
         [ -d {LIVEPATCH} ] || [ {enabled} = 1 ] || exit 0; \
         [ {enabled} = 0 ] || [ \"$(cat {LIVEPATCH}/transition)\" != 0 ] || exit 0; \
         sleep 0.1; done; exit 1"
    )
}

fn nanos(guest: &Guest, parameter: &str) -> Result<f64> {
    let path = format!("/sys/module/rt_bench/parameters/{parameter}");
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let text = guest.ok(&format!("cat {path}"))?;
        let picos: f64 = text.parse().with_context(|| format!("read {path}"))?;
        times.push(picos / 1000.0);
    }
    Ok(median(times))
}
