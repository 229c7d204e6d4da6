//! `make bench`: what building, differencing and applying cost.
#![forbid(unsafe_code)]

mod diff;
mod gcc;
mod growth;
mod job;
mod pause;

use anyhow::Result;
use clap::{Parser, Subcommand};
use resplice_tests::eval::measure::table;
use resplice_tests::eval::workshop::{Workshop, runtime};
use resplice_tests::eval::{default_directory, save, save_json};
use std::path::PathBuf;

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
    /// Compare units with themselves, in a process of its own for its memory's sake.
    #[command(hide = true)]
    Diff {
        /// Directories, each with a unit's ref.o and pre.o.
        units: Vec<PathBuf>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Diff { units }) = &arguments.part {
        return diff::with_themselves(units);
    }
    let out = arguments.out.clone().unwrap_or_else(default_directory);
    let target = resplice_tests::target(&arguments.target)?;
    let (mut measures, package) = runtime()?.block_on(async {
        let workshop = Workshop::open(&target, &out, "bench").await?;
        let job = job::measure(&target, &workshop).await;
        let (mut measures, package) = job.map_err(|error| workshop.explain(error))?;
        let diff = diff::measure(&workshop).await;
        measures.extend(diff.map_err(|error| workshop.explain(error))?);
        let growth = growth::measure(&target, &workshop).await;
        measures.extend(growth.map_err(|error| workshop.explain(error))?);
        Ok::<_, anyhow::Error>((measures, package))
    })?;
    measures.extend(pause::measure(&target, &package)?);
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
