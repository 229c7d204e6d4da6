//! What everything is compared with: the compiler alone.

use anyhow::{Context, Result};
use resplice_tests::eval::measure::median;
use resplice_tests::eval::workshop::Workshop;
use resplice_worker::build::Build;
use resplice_worker::compile::Reference;

/// CPU time in seconds of a bare gcc run of a unit: the median of so many runs.
pub async fn seconds(
    workshop: &Workshop,
    build: &Build<'_>,
    reference: &Reference,
    times: usize,
) -> Result<f64> {
    let script = reference.replay.script("/tmp/bare.o", None)?;
    let compiler = script.lines().next().context("no compiler")?;
    let mut seconds = Vec::new();
    for _ in 0..times {
        let argv = ["sh", "-c", compiler].map(str::to_owned).to_vec();
        let step = build.workspace.step("gcc", argv);
        build.run(&step, "gcc does not compile the unit").await?;
        let steps = workshop.steps().all();
        let millis = steps.last().and_then(|step| step.cpu_millis);
        seconds.push(millis.context("gcc's CPU time is not known")? as f64 / 1000.0);
    }
    Ok(median(seconds))
}
