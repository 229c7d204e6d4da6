//! The whole job of a patch, verification apart, by CPU time.

use crate::gcc;
use anyhow::{Context, Result};
use resplice_package::SecretKey;
use resplice_target::{Cache, Target};
use resplice_tests::eval::measure::{Measure, cpu_seconds, median};
use resplice_tests::eval::workshop::Workshop;
use resplice_tests::{repository, updates};
use resplice_worker::compile;
use resplice_worker::kmod::Kmod;
use resplice_worker::package;
use resplice_worker::patch::Patch;
use resplice_worker::pipeline::{self, Options, Request};
use resplice_worker::report::Report;
use resplice_worker::step::StepRecord;
use std::time::Instant;

/// The fix whose job is measured, and the unit that it changes.
pub const FIX: &str = "deploy/demo/seg6-srh-length.patch";
pub const FIXED_UNIT: &str = "net/ipv6/seg6.c";
/// Each number is the median of so many.
pub const TIMES: usize = 3;

/// What one job took.
pub struct Cost {
    /// CPU time, the worker's own and its commands', in seconds.
    pub cpu: f64,
    /// Wall clock in seconds.
    pub wall: f64,
    /// Its steps.
    pub steps: Vec<StepRecord>,
}

/// The text of the fix.
pub fn fix() -> Result<String> {
    let path = repository(FIX);
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// Runs the job of a patch once.
pub async fn run(target: &Target, workshop: &Workshop, text: &str) -> Result<Cost> {
    let request = Request {
        update_id: "bench".to_owned(),
        name: FIX.to_owned(),
        cves: Vec::new(),
        patch: Patch::parse(text).context("read the patch")?,
        supersedes: Vec::new(),
        check: None,
    };
    let options = Options {
        cache: Cache::from_env().root().to_owned(),
        kmod: Kmod::embedded()?,
        cpus: Vec::new(),
        module_key: None,
    };
    let key = SecretKey::load(&updates::worker_key()?)?;
    let (begin, clock) = (cpu_seconds()?, Instant::now());
    let done = workshop.steps().all().len();
    let build = workshop.build()?;
    let mut report = Report::default();
    let built = pipeline::build(&build, &request, &options, &mut report).await?;
    package::sign(target, &request, &built, &report, &key)?;
    drop(build);
    // What ran inside of sandboxes is told by their steps alone: bubblewrap
    // ends without waiting for it.
    let steps = workshop.steps().all().split_off(done);
    let inside: u64 = steps.iter().filter_map(|step| step.cpu_millis).sum();
    Ok(Cost {
        cpu: cpu_seconds()? - begin + inside as f64 / 1000.0,
        wall: clock.elapsed().as_secs_f64(),
        steps,
    })
}

/// A one-file fix on a prepared target.
pub async fn measure(target: &Target, workshop: &Workshop) -> Result<Vec<Measure>> {
    let text = fix()?;
    // The first one may have to build the core, and is not counted.
    run(target, workshop, &text).await?;
    let (mut cpu, mut wall, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let mut cost = run(target, workshop, &text).await?;
        cpu.push(cost.cpu);
        wall.push(cost.wall);
        steps.append(&mut cost.steps);
    }
    let build = workshop.build()?;
    let references = compile::reference(&build, &[FIXED_UNIT.to_owned()]).await?;
    let reference = references.first().context("no reference object")?;
    let gcc = 2.0 * gcc::seconds(workshop, &build, reference, TIMES).await?;
    let mut measures = vec![
        Measure::alone(
            "job-cpu",
            median(cpu),
            "s",
            "CPU time of the whole job for one unit, against two bare gcc runs of it",
        )
        .against(gcc),
        Measure::alone(
            "job-wall",
            median(wall),
            "s",
            "the same by the wall clock, against the CPU time of two bare gcc runs",
        )
        .against(gcc),
    ];
    measures.extend(by_step(&steps, gcc));
    Ok(measures)
}

/// Commands by their CPU time; what the worker does itself, such as `diff`, by
/// the wall clock, since its time is not kept apart.
fn by_step(steps: &[StepRecord], gcc: f64) -> Vec<Measure> {
    let mut names: Vec<&str> = Vec::new();
    for step in steps {
        if !names.contains(&step.name.as_str()) {
            names.push(&step.name);
        }
    }
    let measure = |name: &str| {
        let of_name = || steps.iter().filter(|step| step.name == name);
        let seconds = |millis: Vec<u64>| {
            let seconds = millis.iter().map(|millis| *millis as f64 / 1000.0);
            median(seconds.collect())
        };
        let commands: Vec<u64> = of_name().filter_map(|step| step.cpu_millis).collect();
        let (kind, seconds, what) = if commands.is_empty() {
            let own = of_name().map(|step| step.millis).collect();
            ("wall", seconds(own), "wall clock of the worker's own step")
        } else {
            ("cpu", seconds(commands), "CPU time of the commands of step")
        };
        let note = format!("{what} {name}, against the same");
        Measure::alone(&format!("job-{kind}-{name}"), seconds, "s", &note).against(gcc)
    };
    names.into_iter().map(measure).collect()
}
