//! How long a machine stands still, by tasks and CPUs, beside what the kernel's
//! own means take in the same guest.

use crate::job::FIX;
use anyhow::{Context, Result};
use resplice_package::Package;
use resplice_target::Target;
use resplice_tests::eval::measure::{Measure, median};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::programs::compile;
use resplice_tests::{modules, repository, updates};
use resplice_vm::GuestFile;

/// As many tasks, or as the guest has by itself if that is more.
const TASKS: [usize; 4] = [50, 350, 2_000, 10_000];
const CPUS: [u32; 2] = [1, 2];
/// Emulated CPUs are interrupted by the host's other work: the median of so many.
const TIMES: usize = 9;
/// Ten thousand kernel stacks need room.
const MEMORY_MIB: u32 = 1024;

/// Measures with each number of CPUs and tasks.
pub fn measure(target: &Target) -> Result<Vec<Measure>> {
    let package = &updates::build(target, FIX)?.open()?;
    let bench = modules::build(target, "rt_bench")?;
    let mut measures = Vec::new();
    for cpus in CPUS {
        let machine = machine(target, "max").cpus(cpus).memory_mib(MEMORY_MIB);
        let guest = Guest::start(&machine, package)?;
        bring(&guest, package, &bench)?;
        for wanted in TASKS {
            measures.extend(with_tasks(&guest, package, wanted, cpus)?);
        }
        if cpus == 1 {
            measures.push(memory(&guest, package)?);
        }
        guest.log_is_clean()?;
    }
    Ok(measures)
}

fn bring(guest: &Guest, package: &Package, bench: &[u8]) -> Result<()> {
    let work = tempfile::tempdir()?;
    let program = work.path().join("sleepers");
    compile(&repository("tests/guest/sleepers.c"), &program)?;
    guest.vm.push(&[
        GuestFile::from_host(&program, "/root/sleepers")?,
        GuestFile::new("/root/rt_bench.ko", 0o600, bench),
    ])?;
    guest.bring(package)?;
    guest.ok("insmod /root/rt_bench.ko && echo 20000 >/proc/sys/kernel/threads-max")?;
    Ok(())
}

/// What one apply took, and what it is held against, in microseconds.
#[derive(Default)]
struct Times {
    pause: Vec<f64>,
    work: Vec<f64>,
    empty: Vec<f64>,
    lone: Vec<f64>,
}

fn with_tasks(guest: &Guest, package: &Package, wanted: usize, cpus: u32) -> Result<[Measure; 2]> {
    let missing = wanted.saturating_sub(tasks(guest)?);
    guest.ok(&format!(
        "rm -f /root/ready; /root/sleepers {missing} >/root/ready 2>&1 & \
         for i in $(seq 300); do grep -q ready /root/ready && exit; sleep 0.1; done; \
         cat /root/ready; exit 1"
    ))?;
    let tasks = tasks(guest)?;
    let id = &package.manifest().id;
    let mut times = Times::default();
    for _ in 0..TIMES {
        guest.apply(package)?;
        let update = |name: &str| format!("/sys/kernel/resplice/updates/{id}/{name}");
        let bench = |name: &str| format!("/sys/module/rt_bench/parameters/{name}");
        times.pause.push(micros(guest, &update("pause_ns"))?);
        times.work.push(micros(guest, &update("work_ns"))?);
        times.empty.push(micros(guest, &bench("empty_stop_ns"))?);
        times.lone.push(micros(guest, &bench("lone_scan_ns"))?);
        guest.undo(package)?;
    }
    guest.ok("killall -9 sleepers; for i in $(seq 300); do pidof sleepers || exit 0; sleep 0.1; done; exit 1")?;
    let name = |what: &str| match cpus {
        1 => format!("apply-{what}-{wanted}"),
        _ => format!("apply-{what}-{wanted}-{cpus}cpus"),
    };
    let note = |what: &str, other: &str| {
        format!("{what}, against {other}; {tasks} tasks, {cpus} emulated CPUs")
    };
    Ok([
        Measure::alone(
            &name("pause"),
            median(times.pause),
            "us",
            &note("the machine stands still", "an empty stop_machine"),
        )
        .against(median(times.empty)),
        Measure::alone(
            &name("work"),
            median(times.work),
            "us",
            &note(
                "of that the scan of all stacks, the checks and the writes",
                "a plain scan of the same stacks by one CPU",
            ),
        )
        .against(median(times.lone)),
    ])
}

/// What stays of an update beside its module, against the code it brings.
fn memory(guest: &Guest, package: &Package) -> Result<Measure> {
    guest.apply(package)?;
    let id = &package.manifest().id;
    let directory = format!("/sys/kernel/resplice/updates/{id}");
    let kept = number(guest, &format!("{directory}/bytes"))?;
    let module = number(guest, &format!("/sys/module/{id}/coresize"))?;
    guest.undo(package)?;
    Ok(Measure::alone(
        "update-memory",
        kept,
        "B",
        "what the core keeps of an applied update, against its module's own size",
    )
    .against(module))
}

fn tasks(guest: &Guest) -> Result<usize> {
    let count = guest.ok("ls -d /proc/[0-9]*/task/[0-9]* | wc -l")?;
    count.parse().context("count the guest's tasks")
}

fn number(guest: &Guest, path: &str) -> Result<f64> {
    let text = guest.ok(&format!("cat {path}"))?;
    text.parse()
        .with_context(|| format!("read a number from {path} in the guest"))
}

fn micros(guest: &Guest, path: &str) -> Result<f64> {
    Ok(number(guest, path)? / 1000.0)
}
