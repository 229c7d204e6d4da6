//! What a call of a replaced function costs, and how long a kernel livepatch of
//! the same function needs until every task runs the new one.

use anyhow::{Context, Result};
use resplice_target::Target;
use resplice_tests::eval::measure::{Measure, median};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{livepatch, modules, updates};
use resplice_vm::GuestFile;

/// Adds one instruction that does nothing to `int_sqrt`.
const PATCH: &str = "tests/patches/lib-int-sqrt.patch";
const TIMES: usize = 5;

/// Measures in a guest with one CPU.
pub fn measure(target: &Target) -> Result<Vec<Measure>> {
    let package = updates::build(target, PATCH)?.open()?;
    let guest = Guest::start(&machine(target, "max"), &package)?;
    guest.bring(&package)?;
    let bench = modules::build(target, "rt_bench")?;
    let file = GuestFile::new("/root/rt_bench.ko", 0o600, bench);
    guest.vm.push(&[file])?;
    livepatch::bring(&guest, target)?;
    guest.ok("insmod /root/rt_bench.ko")?;
    let jump = nanos(&guest, "jump_ps")?;
    let plain = nanos(&guest, "call_ps")?;
    guest.apply(&package)?;
    let replaced = nanos(&guest, "call_ps")?;
    guest.undo(&package)?;
    let (under, transition) = livepatched(&guest)?;
    guest.log_is_clean()?;
    let call = |name: &str, value: f64, what: &str| {
        let note = format!("a call of int_sqrt {what}, against one that nobody has patched");
        Measure::alone(name, value, "ns", &note).against(plain)
    };
    Ok(vec![
        call("call-replaced", replaced, "that an update replaces"),
        call("call-livepatched", under, "under a kernel livepatch"),
        Measure::alone(
            "call-overhead",
            replaced - plain,
            "ns",
            "what an update adds to a call, against a direct jump to another page",
        )
        .against(jump),
        Measure::alone(
            "call-overhead-livepatch",
            under - plain,
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
fn livepatched(guest: &Guest) -> Result<(f64, f64)> {
    livepatch::on(guest)?;
    let call = nanos(guest, "call_ps")?;
    let path = "/sys/module/rt_livepatch/parameters/transition_ns";
    let transition: f64 = guest.ok(&format!("cat {path}"))?.parse()?;
    livepatch::off(guest)?;
    Ok((call, transition / 1000.0))
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
