//! `make bench`: what building, differencing and applying cost.
#![forbid(unsafe_code)]

mod agent;
mod call;
mod crowd;
mod diff;
mod gcc;
mod growth;
mod http;
mod job;
mod load;
mod nginx;
mod pause;
mod scale;
mod web;

use anyhow::Result;
use clap::{Parser, Subcommand};
use resplice_tests::eval::measure::{Measure, table};
use resplice_tests::eval::workshop::{Workshop, runtime};
use resplice_tests::eval::{default_directory, save, save_json};
use std::path::{Path, PathBuf};

const GROUPS: [&str; 8] = [
    "job", "diff", "growth", "pause", "call", "agent", "server", "web",
];
/// Those of them that need neither a kernel's tree nor a machine.
const PROGRAMS: [&str; 3] = ["agent", "server", "web"];

/// Measure what building, differencing and applying cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// The kernel.
    #[arg(long, env = "TARGET", default_value = resplice_tests::CLOUD)]
    target: String,
    /// Where the results go [default: eval in the cache]
    #[arg(long, env = "OUT")]
    out: Option<PathBuf>,
    /// Only these groups of numbers.
    #[arg(long, env = "ONLY", value_delimiter = ',', value_parser = GROUPS)]
    only: Vec<String>,
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
    let wanted =
        |group: &str| arguments.only.is_empty() || arguments.only.iter().any(|name| name == group);
    let mut measures = Vec::new();
    if wanted("agent") {
        measures.extend(agent::measure()?);
    }
    if wanted("server") {
        measures.extend(load::measure()?);
    }
    if wanted("web") {
        measures.extend(web::measure()?);
    }
    if GROUPS
        .into_iter()
        .any(|group| !PROGRAMS.contains(&group) && wanted(group))
    {
        of_kernel(&arguments, &out, &wanted, &mut measures)?;
    }
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

/// The groups that need a kernel's tree or a machine.
fn of_kernel(
    arguments: &Arguments,
    out: &Path,
    wanted: &dyn Fn(&str) -> bool,
    measures: &mut Vec<Measure>,
) -> Result<()> {
    let target = resplice_tests::target(&arguments.target)?;
    runtime()?.block_on(async {
        let workshop = Workshop::open(&target, out, "bench").await?;
        let explain = |error| workshop.explain(error);
        if wanted("job") {
            measures.extend(job::measure(&target, &workshop).await.map_err(explain)?);
        }
        if wanted("diff") {
            measures.extend(diff::measure(&workshop).await.map_err(explain)?);
        }
        if wanted("growth") {
            measures.extend(growth::measure(&target, &workshop).await.map_err(explain)?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    if wanted("pause") {
        measures.extend(pause::measure(&target)?);
    }
    if wanted("call") {
        measures.extend(call::measure(&target)?);
    }
    Ok(())
}
