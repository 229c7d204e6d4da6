//! How the job and objdiff grow from one unit to fifty.

use crate::job::{self, FIXED_UNIT};
use crate::{diff, gcc};
use anyhow::{Context, Result};
use resplice_target::Target;
use resplice_tests::eval::measure::Measure;
use resplice_tests::eval::workshop::Workshop;
use resplice_worker::compile;
use std::fmt::Write;

/// Units of vmlinux beside the fixed one: fifty in all.
const OTHERS: [&str; 49] = [
    "kernel/async.c",
    "kernel/audit.c",
    "kernel/auditfilter.c",
    "kernel/capability.c",
    "kernel/cgroup/cgroup.c",
    "kernel/cpu.c",
    "kernel/cred.c",
    "kernel/dma/mapping.c",
    "kernel/exec_domain.c",
    "kernel/exit.c",
    "kernel/fork.c",
    "kernel/freezer.c",
    "kernel/futex/core.c",
    "kernel/groups.c",
    "kernel/rcu/srcutree.c",
    "kernel/iomem.c",
    "kernel/irq/irqdesc.c",
    "kernel/irq/manage.c",
    "kernel/kthread.c",
    "kernel/notifier.c",
    "kernel/nsproxy.c",
    "kernel/params.c",
    "kernel/pid.c",
    "kernel/pid_namespace.c",
    "kernel/ptrace.c",
    "kernel/range.c",
    "kernel/reboot.c",
    "kernel/regset.c",
    "kernel/resource.c",
    "kernel/signal.c",
    "kernel/smpboot.c",
    "kernel/softirq.c",
    "kernel/stacktrace.c",
    "kernel/stop_machine.c",
    "kernel/sys.c",
    "kernel/sysctl.c",
    "kernel/task_work.c",
    "kernel/taskstats.c",
    "kernel/time/hrtimer.c",
    "kernel/time/posix-timers.c",
    "kernel/time/timer.c",
    "kernel/tracepoint.c",
    "kernel/tsacct.c",
    "kernel/ucount.c",
    "kernel/umh.c",
    "kernel/user.c",
    "kernel/user_namespace.c",
    "kernel/utsname.c",
    "kernel/workqueue.c",
];

/// The job of the fix when its patch touches fifty units, against fifty times
/// what the compiler alone takes twice; and objdiff on all of them.
pub async fn measure(target: &Target, workshop: &Workshop) -> Result<Vec<Measure>> {
    let mut text = job::fix()?;
    for unit in OTHERS {
        text.push_str(&comment(target, unit)?);
    }
    // Twice, since the first may fill a cache; two are too few for a median.
    job::run(target, workshop, &text).await?;
    let cost = job::run(target, workshop, &text).await?;

    let build = workshop.build()?;
    let names: Vec<String> = std::iter::once(FIXED_UNIT)
        .chain(OTHERS)
        .map(str::to_owned)
        .collect();
    let references = compile::reference(&build, &names).await?;
    let mut bare = 0.0;
    for reference in &references {
        bare += 2.0 * gcc::seconds(workshop, &build, reference, 1).await?;
    }
    let units = diff::Units::compile(&build, &references).await?;
    let (together, peak) = diff::cost(&units.directories)?;
    let (mut alone, mut largest) = (0.0, 0.0_f64);
    for unit in &units.directories {
        let (seconds, mib) = diff::cost(std::slice::from_ref(unit))?;
        alone += seconds;
        largest = largest.max(mib);
    }
    Ok(vec![
        Measure::alone(
            "job-cpu-50",
            cost.cpu,
            "s",
            "CPU time of a job that reaches 50 units, against two bare gcc runs of each",
        )
        .against(bare),
        Measure::alone(
            "objdiff-50",
            together,
            "s",
            "50 units compared with themselves, against the sum of them one by one",
        )
        .against(alone),
        Measure::alone(
            "objdiff-memory-50",
            peak,
            "MiB",
            "peak memory of that process, against the most that one of them takes alone",
        )
        .against(largest),
    ])
}

/// A patch that appends a comment to a unit: it is compiled and compared like
/// the others, and nothing differs.
fn comment(target: &Target, unit: &str) -> Result<String> {
    let path = target.source_dir().join(unit);
    let source = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let source = String::from_utf8_lossy(&source);
    let lines = source.lines().count();
    let last = source.lines().last().context("an empty unit")?;
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write!(
        text,
        "--- a/{unit}\n+++ b/{unit}\n@@ -{lines},1 +{lines},2 @@\n {last}\n+/* measured */\n"
    );
    Ok(text)
}
