//! How long a machine stands still.

use crate::job::TIMES;
use anyhow::{Context, Result};
use resplice_package::Package;
use resplice_target::Target;
use resplice_tests::eval::measure::{Measure, median};
use resplice_tests::guest::{Guest, machine};

/// How long the machine stands still, in a guest with one CPU.
pub fn measure(target: &Target, package: &Package) -> Result<Vec<Measure>> {
    let guest = Guest::start(&machine(target, "max"), package)?;
    guest.bring(package)?;
    let id = &package.manifest().id;
    let (mut pauses, mut works) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        guest.apply(package)?;
        for (name, list) in [("pause_ns", &mut pauses), ("work_ns", &mut works)] {
            let text = guest.ok(&format!("cat /sys/kernel/resplice/updates/{id}/{name}"))?;
            list.push(text.parse::<f64>().context("read a time")? / 1000.0);
        }
        guest.undo(package)?;
    }
    guest.log_is_clean()?;
    let tasks = guest.ok("ls -d /proc/[0-9]*/task/[0-9]* | wc -l")?;
    let note = |what: &str| format!("{what}, {tasks} tasks, one emulated CPU");
    Ok(vec![
        Measure::alone(
            "apply-pause",
            median(pauses),
            "us",
            &note("the machine stands still"),
        ),
        Measure::alone(
            "apply-work",
            median(works),
            "us",
            &note("stack scan and swap"),
        ),
    ])
}
