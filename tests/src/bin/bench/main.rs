//! `make bench`: what building, differencing and applying cost.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use resplice_objdiff::diff::diff_unit;
use resplice_package::{Package, SecretKey};
use resplice_target::{Cache, Target};
use resplice_tests::eval::measure::{Measure, cpu_seconds, median, peak_mib, table};
use resplice_tests::eval::workshop::{Workshop, runtime};
use resplice_tests::eval::{default_directory, save, save_json};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{repository, updates};
use resplice_worker::build::Build;
use resplice_worker::compile::{self, Reference, Side};
use resplice_worker::kmod::Kmod;
use resplice_worker::patch::Patch;
use resplice_worker::pipeline::{self, Options, Request};
use resplice_worker::report::Report;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The fix whose job is measured, and the unit that it changes.
const FIX: &str = "deploy/demo/seg6-srh-length.patch";
const FIXED_UNIT: &str = "net/ipv6/seg6.c";
/// The unit that is compared with itself.
const LARGE_UNIT: &str = "kernel/sched/core.c";
/// Each number is the median of so many.
const TIMES: usize = 3;

/// Measure what building, differencing and applying cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// The kernel.
    #[arg(long, env = "TARGET", default_value = resplice_tests::CLOUD)]
    target: String,
    /// Where the results go [default: eval in the cache]
    #[arg(long, env = "OUT")]
    out: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Compare a unit with itself, in a process of its own for its memory's sake.
    #[command(hide = true)]
    Diff {
        /// The unit as it was shipped.
        reference: PathBuf,
        /// The same with function sections.
        pre: PathBuf,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Diff { reference, pre }) = &arguments.part {
        return compare_with_itself(reference, pre);
    }
    let out = arguments.out.clone().unwrap_or_else(default_directory);
    let target = resplice_tests::target(&arguments.target)?;
    let (mut measures, package) = runtime()?.block_on(async {
        let workshop = Workshop::open(&target, &out, "bench").await?;
        let job = job(&target, &workshop).await;
        let (mut measures, package) = job.map_err(|error| workshop.explain(error))?;
        let diff = diff(&workshop).await;
        measures.extend(diff.map_err(|error| workshop.explain(error))?);
        Ok::<_, anyhow::Error>((measures, package))
    })?;
    measures.extend(pause(&target, &package)?);
    let table = table(&measures);
    save_json(&out, "bench.json", &measures)?;
    save(
        &out,
        "bench.md",
        &format!("# Costs\n\n{}", table.markdown()),
    )?;
    print!("{}\n{}\n", table.text(), out.join("bench.json").display());
    Ok(())
}

/// The whole job of a one-file fix, verification apart, by CPU time.
async fn job(target: &Target, workshop: &Workshop) -> Result<(Vec<Measure>, Package)> {
    let path = repository(FIX);
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let request = Request {
        update_id: "bench".to_owned(),
        name: FIX.to_owned(),
        cves: Vec::new(),
        patch: Patch::parse(&text).context("read the patch")?,
        check: None,
    };
    let options = Options {
        cache: Cache::from_env().root().to_owned(),
        kmod: Kmod::embedded()?,
        cpus: Vec::new(),
    };
    let key = SecretKey::load(&updates::worker_key()?)?;
    let mut seconds = Vec::new();
    let mut parts = Vec::new();
    let mut package = None;
    // The first one may have to build the core, and is not counted.
    for round in 0..=TIMES {
        let (begin, clock) = (cpu_seconds()?, Instant::now());
        let done = workshop.steps().all().len();
        let build = workshop.build()?;
        let mut report = Report::default();
        let built = pipeline::build(&build, &request, &options, &mut report).await?;
        let bytes = pipeline::sign(target, &request, &built, &report, &key)?;
        drop(build);
        // What ran inside of sandboxes is told by their steps alone: bubblewrap
        // ends without waiting for it.
        let steps = workshop.steps().all().split_off(done);
        let inside: u64 = steps.iter().filter_map(|step| step.cpu_millis).sum();
        let cpu = cpu_seconds()? - begin + inside as f64 / 1000.0;
        if round > 0 {
            seconds.push((cpu, clock.elapsed().as_secs_f64()));
            parts.extend(steps);
        }
        package = Some(Package::open(&bytes, &[key.public()])?);
    }
    let build = workshop.build()?;
    let gcc = 2.0 * gcc(workshop, &build, FIXED_UNIT).await?.seconds;
    let cpu = median(seconds.iter().map(|(cpu, _)| *cpu).collect());
    let wall = median(seconds.iter().map(|(_, wall)| *wall).collect());
    let mut measures = vec![
        Measure::alone(
            "job-cpu",
            cpu,
            "s",
            "CPU time of the whole job for one unit, against two bare gcc runs of it",
        )
        .against(gcc),
        Measure::alone(
            "job-wall",
            wall,
            "s",
            "the same by the wall clock, against the CPU time of two bare gcc runs",
        )
        .against(gcc),
    ];
    let mut names: Vec<&str> = Vec::new();
    for step in &parts {
        if !names.contains(&step.name.as_str()) {
            names.push(&step.name);
        }
    }
    for name in names {
        let steps = parts.iter().filter(|step| step.name == name);
        let millis: Vec<u64> = steps.filter_map(|step| step.cpu_millis).collect();
        if !millis.is_empty() {
            let seconds = median(
                millis
                    .iter()
                    .map(|millis| *millis as f64 / 1000.0)
                    .collect(),
            );
            let note = format!("CPU time of the commands of step {name}, against the same");
            measures
                .push(Measure::alone(&format!("job-cpu-{name}"), seconds, "s", &note).against(gcc));
        }
    }
    Ok((measures, package.context("no package was built")?))
}

/// A unit compiled bare.
struct Gcc {
    /// CPU time of one run.
    seconds: f64,
    references: Vec<Reference>,
}

/// Compiles a unit as pre and post are, by the compiler alone.
async fn gcc(workshop: &Workshop, build: &Build<'_>, unit: &str) -> Result<Gcc> {
    let references = compile::reference(build, &[unit.to_owned()]).await?;
    let reference = references.first().context("no reference object")?;
    let script = reference.replay.script("/tmp/bare.o", None)?;
    let compiler = script.lines().next().context("no compiler")?;
    let mut seconds = Vec::new();
    for _ in 0..TIMES {
        let argv = ["sh", "-c", compiler].map(str::to_owned).to_vec();
        build
            .run(
                &build.workspace.step("gcc", argv),
                "gcc does not compile the unit",
            )
            .await?;
        let steps = workshop.steps().all();
        let millis = steps.last().and_then(|step| step.cpu_millis);
        seconds.push(millis.context("gcc's CPU time is not known")? as f64 / 1000.0);
    }
    Ok(Gcc {
        seconds: median(seconds),
        references,
    })
}

/// objdiff on a large unit against itself.
async fn diff(workshop: &Workshop) -> Result<Vec<Measure>> {
    let build = workshop.build()?;
    let gcc = gcc(workshop, &build, LARGE_UNIT).await?;
    let pre = compile::again(&build, Side::Pre, &gcc.references, &[]).await?;
    let files = tempfile::tempdir()?;
    let (reference, again) = (files.path().join("ref.o"), files.path().join("pre.o"));
    let objects = gcc.references.first().zip(pre.first());
    let (object, pre) = objects.context("no object")?;
    std::fs::write(&reference, &object.object)?;
    std::fs::write(&again, pre)?;
    let mut seconds = Vec::new();
    let mut mib = Vec::new();
    for _ in 0..TIMES {
        let out = Command::new(std::env::current_exe()?)
            .arg("diff")
            .args([&reference, &again])
            .output()?;
        ensure!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let said: Value = serde_json::from_slice(&out.stdout)?;
        let number = |name: &str| said.get(name).and_then(Value::as_f64).context("no number");
        seconds.push(number("seconds")?);
        mib.push(number("mib")?);
    }
    let sizes = (object.object.len() + 2 * pre.len()) as f64 / f64::from(1 << 20);
    Ok(vec![
        Measure::alone(
            "objdiff",
            median(seconds),
            "s",
            "kernel/sched/core.o compared with itself, against one bare gcc run of it",
        )
        .against(gcc.seconds),
        Measure::alone(
            "objdiff-memory",
            median(mib),
            "MiB",
            "peak memory of that process, against the size of its three objects",
        )
        .against(sizes),
    ])
}

/// The hidden part: prints how long it took and the process's peak memory.
fn compare_with_itself(reference: &Path, pre: &Path) -> Result<()> {
    let (reference, pre) = (std::fs::read(reference)?, std::fs::read(pre)?);
    let clock = Instant::now();
    let plan = diff_unit(LARGE_UNIT, &reference, &pre, &pre)?;
    let seconds = clock.elapsed().as_secs_f64();
    ensure!(
        plan.replaced.is_empty(),
        "a unit differs from itself: {plan:?}"
    );
    println!("{}", json!({ "seconds": seconds, "mib": peak_mib()? }));
    Ok(())
}

/// How long the machine stands still, in a guest with one CPU.
fn pause(target: &Target, package: &Package) -> Result<Vec<Measure>> {
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
