//! `make eval`: what becomes of a folder of patches, and whether a stock kernel
//! takes and gives back what was built.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use clap::builder::FalseyValueParser;
use resplice_target::Target;
use resplice_tests::eval::attempt::{Attempt, Outcome};
use resplice_tests::eval::corpus::{self, Patch};
use resplice_tests::eval::process::Worker;
use resplice_tests::eval::record::Record;
use resplice_tests::eval::stages::Stages;
use resplice_tests::eval::summary::Summary;
use resplice_tests::eval::{capacity, default_directory, page, pool, save, save_json};
use resplice_tests::programs::program;
use resplice_tests::repository;
use resplice_tests::updates::worker_key;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Build updates of a folder of patches, and try them. What is known from an
/// earlier run with the same worker, target and patch is not done again.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder; those below it are searched too [default: $RESPLICE_CORPUS,
    /// else ../shared/corpus beside the checkout]
    #[arg(long, env = "CORPUS")]
    corpus: Option<PathBuf>,
    /// A folder with what is declared of patches, in NAME.declared
    /// [default: tests/declared]
    #[arg(long, env = "DECLARED")]
    declared: Option<PathBuf>,
    /// The kernel; it is imported if need be.
    #[arg(long, env = "TARGET", default_value = "debian:6.1.0-50-cloud-amd64")]
    target: String,
    /// Apply and undo what was built on the stock kernel in QEMU.
    #[arg(long, env = "APPLY", value_parser = FalseyValueParser::new())]
    apply: bool,
    /// Only these patches.
    #[arg(long, env = "ONLY", value_delimiter = ',')]
    only: Vec<String>,
    /// How many at a time, as far as memory allows [default: half of the CPUs]
    #[arg(long, env = "JOBS")]
    jobs: Option<usize>,
    /// Where results go, and what is known [default: eval in the cache]
    #[arg(long, env = "OUT")]
    out: Option<PathBuf>,
    /// Most seconds for a build; one that takes longer has failed.
    #[arg(long, env = "BUILD_LIMIT", default_value_t = 3600)]
    build_limit: u64,
    /// Most seconds for applying and undoing an update.
    #[arg(long, env = "APPLY_LIMIT", default_value_t = 600)]
    apply_limit: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let out = arguments.out.clone().unwrap_or_else(default_directory);
    std::fs::create_dir_all(&out).with_context(|| format!("make {}", out.display()))?;
    // The worker's programs are told this path as it is.
    let out = out
        .canonicalize()
        .context("find the directory for results")?;
    let directory = corpus::directory(arguments.corpus.clone())?;
    let mut patches = corpus::read(&directory, &arguments.only)?;
    let declared = arguments.declared.clone();
    let declared = declared.unwrap_or_else(|| repository("tests/declared"));
    corpus::declare(&mut patches, &declared)?;
    let target = resplice_tests::target(&arguments.target)?;
    let (jobs, memory_bytes) = capacity::bound(arguments.jobs)?;
    let stages = stages(&arguments, &target, &out, memory_bytes)?;

    let open: Vec<&Patch> = patches
        .iter()
        .filter(|patch| !stages.is_done(patch))
        .collect();
    if open.len() < patches.len() {
        eprintln!(
            "{} of {} patches are known from {}",
            patches.len() - open.len(),
            patches.len(),
            out.display()
        );
    }
    pool::each(
        jobs,
        if arguments.apply {
            "building and trying"
        } else {
            "building"
        },
        &open,
        |patch| patch.name.clone(),
        |patch| stages.run(patch),
    )?;
    write(&out, &target, &all(&stages, &patches)?)
}

fn stages(arguments: &Arguments, target: &Target, out: &Path, memory_bytes: u64) -> Result<Stages> {
    let program = program("resplice-worker")?;
    let worker = |limit_s: u64| Worker {
        program: program.clone(),
        limit: Duration::from_secs(limit_s),
        memory_bytes,
    };
    Ok(Stages {
        builder: worker(arguments.build_limit),
        verifier: worker(arguments.apply_limit),
        target: target.id().to_string(),
        key: worker_key()?,
        record: Record::open(out, &program, target)?,
        apply: arguments.apply,
    })
}

/// What came of each patch.
fn all(stages: &Stages, patches: &[Patch]) -> Result<Vec<Attempt>> {
    let one = |patch: &Patch| {
        let known = stages.record.known(patch);
        known.with_context(|| format!("{} changed meanwhile: start again", patch.path.display()))
    };
    patches.iter().map(one).collect()
}

fn write(out: &Path, target: &Target, attempts: &[Attempt]) -> Result<()> {
    let summary = Summary {
        target: target.id().to_string(),
        attempts,
    };
    let results: Vec<&Outcome> = attempts.iter().map(|attempt| &attempt.result).collect();
    save_json(out, "results.json", &results)?;
    save(out, "results.md", &summary.markdown())?;
    save(out, "results.html", &page::html(&summary))?;
    println!(
        "{}\n\n{}",
        summary.sentences().join("\n"),
        summary.classes().text()
    );
    println!("{}", out.join("results.html").display());
    Ok(())
}
