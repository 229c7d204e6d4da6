//! `resplice-worker match`: how much of a kernel's code is what was compiled.

use super::common::Common;
use anyhow::Context;
use clap::Args;
use resplice_worker::{
    build::Build,
    log::Log,
    matching::{Matched, match_units},
    step::Steps,
};
use serde_json::json;
use std::{fs, path::PathBuf, process::ExitCode};

/// Compile units as the kernel was shipped and match them against its files.
/// DIR gets resplice.ko and a module per kernel object that matches the same
/// units against the running kernel when it is loaded, and changes nothing.
#[derive(Debug, Args)]
pub struct MatchCommand {
    #[command(flatten)]
    common: Common,
    /// The kernel, such as debian:6.1.0-50-cloud-amd64.
    #[arg(long)]
    target: String,
    /// Where the modules, the log and match.json go.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Source files, such as net/ipv6/seg6.c.
    #[arg(required = true)]
    units: Vec<String>,
    /// Print the outcome as JSON, and no log.
    #[arg(long)]
    json: bool,
}

impl MatchCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        fs::create_dir_all(&self.out).with_context(|| format!("make {}", self.out.display()))?;
        let target = self.common.target(&self.target)?;
        let sandbox = self.common.sandbox().await?;
        let log = Log::create(&self.out.join("match.log"), !self.json)?;
        let steps = Steps::default();
        let build = Build::new(&target, sandbox.as_ref(), &log, &steps, &self.common.work())?;
        let cache = self.common.cache();
        let matched = match_units(&build, &self.units, &self.common.kmod()?, cache.root()).await?;
        for object in &matched {
            let save = |name: String, bytes: &[u8]| {
                let path = self.out.join(name);
                fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))
            };
            save(format!("{}.ko", object.id), &object.update)?;
            save("resplice.ko".to_owned(), &object.core)?;
        }
        let value = json!({ "target": self.target, "objects": matched, "steps": steps.all() });
        fs::write(
            self.out.join("match.json"),
            serde_json::to_vec_pretty(&value)?,
        )?;
        if self.json {
            println!("{value}");
        } else {
            print_table(&matched);
        }
        let differs = matched.iter().any(|object| object.file.differs());
        Ok(if differs {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn print_table(matched: &[Matched]) {
    println!(
        "{:<20} {:>5} {:>9} {:>9} {:>10} {:>9} {:>9}",
        "object", "units", "functions", "exact", "overridden", "ambiguous", "different"
    );
    for object in matched {
        let sum = &object.file.summary;
        println!(
            "{:<20} {:>5} {:>9} {:>9} {:>10} {:>9} {:>9}",
            object.object,
            object.units.len(),
            sum.functions,
            sum.exact,
            sum.overridden_weak,
            sum.ambiguous,
            sum.mismatch + sum.alone
        );
    }
}
