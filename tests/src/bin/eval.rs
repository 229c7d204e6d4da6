//! `make eval`: what becomes of a folder of patches, and whether a stock kernel
//! takes and gives back what was built.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use clap::builder::FalseyValueParser;
use resplice_target::Target;
use resplice_tests::eval::attempt::{Attempt, Attempts, Status};
use resplice_tests::eval::corpus::{self, Patch};
use resplice_tests::eval::summary::Summary;
use resplice_tests::eval::trial::Bench;
use resplice_tests::eval::{default_directory, pool, save, save_json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Build updates of a folder of patches, and try them.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder [default: $RESPLICE_CORPUS]
    #[arg(long, env = "CORPUS")]
    corpus: Option<PathBuf>,
    /// The kernel.
    #[arg(long, env = "TARGET", default_value = "debian:6.1.0-50-cloud-amd64")]
    target: String,
    /// Apply and undo what was built on the stock kernel in QEMU.
    #[arg(long, env = "APPLY", value_parser = FalseyValueParser::new())]
    apply: bool,
    /// Only these patches.
    #[arg(long, env = "ONLY", value_delimiter = ',')]
    only: Vec<String>,
    /// How many at a time [default: half of the CPUs]
    #[arg(long, env = "JOBS")]
    jobs: Option<usize>,
    /// Where results go; what is there already is not done again [default: eval in the cache]
    #[arg(long, env = "OUT")]
    out: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let out = arguments.out.clone().unwrap_or_else(default_directory);
    // The worker's programs are told this path as it is.
    std::fs::create_dir_all(&out).with_context(|| format!("make {}", out.display()))?;
    let out = out
        .canonicalize()
        .context("find the directory for results")?;
    let patches = corpus::read(
        &corpus::directory(arguments.corpus.clone())?,
        &arguments.only,
    )?;
    let target = resplice_tests::target(&arguments.target)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.unwrap_or((cpus / 2).max(1));
    let attempts = Attempts::open(&target, &out)?;

    let known = patches
        .iter()
        .filter(|patch| attempts.known(patch).is_some());
    match known.count() {
        0 => {}
        known => eprintln!(
            "{known} of {} patches are known from {}",
            patches.len(),
            out.display()
        ),
    }
    pool::each(
        jobs,
        "building",
        &patches,
        |patch| patch.name.clone(),
        |patch| {
            if attempts.known(patch).is_none() {
                attempts.keep(patch, &attempts.build(patch)?)?;
            }
            Ok(())
        },
    )?;
    let mut results = all(&attempts, &patches)?;
    write(&out, &target, &results)?;
    if arguments.apply {
        try_them(&target, &out, jobs, &attempts, &patches, &results)?;
        results = all(&attempts, &patches)?;
        write(&out, &target, &results)?;
    }
    let summary = Summary {
        target: target.id().to_string(),
        attempts: &results,
    };
    println!(
        "{}\n\n{}",
        summary.sentences().join("\n"),
        summary.classes().text()
    );
    println!("{}", out.join("results.html").display());
    Ok(())
}

/// What came of each patch.
fn all(attempts: &Attempts, patches: &[Patch]) -> Result<Vec<Attempt>> {
    let one = |patch: &Patch| {
        let known = attempts.known(patch);
        known.with_context(|| {
            format!(
                "{} or the worker changed meanwhile: start again",
                patch.name
            )
        })
    };
    patches.iter().map(one).collect()
}

/// Applies and undoes every update that was not tried before.
fn try_them(
    target: &Target,
    out: &Path,
    jobs: usize,
    attempts: &Attempts,
    patches: &[Patch],
    results: &[Attempt],
) -> Result<()> {
    let open: Vec<(&Patch, Mutex<Attempt>)> = patches
        .iter()
        .zip(results)
        .filter(|(_, attempt)| attempt.status == Status::Built && attempt.applied.is_none())
        .map(|(patch, attempt)| (patch, Mutex::new(attempt.clone())))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    // The snapshot holds the modules of these very patches: nobody needs it later.
    let snapshots = tempfile::Builder::new().prefix("vm-").tempdir_in(out)?;
    let bench = Bench::new(target, snapshots.path(), results)?;
    pool::each(
        jobs,
        "trying",
        &open,
        |(patch, _)| patch.name.clone(),
        |(patch, attempt)| {
            let mut attempt = attempt
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            bench.run(attempts, &mut attempt)?;
            attempts.keep(patch, &attempt)
        },
    )
}

fn write(out: &Path, target: &Target, results: &[Attempt]) -> Result<()> {
    let summary = Summary {
        target: target.id().to_string(),
        attempts: results,
    };
    save_json(out, "results.json", &results)?;
    save(out, "results.md", &summary.markdown())?;
    save(out, "results.html", &summary.html())
}
