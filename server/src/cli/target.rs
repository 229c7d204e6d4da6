//! `resplice-server target …`.

use super::output::{bold, dim, json, say};
use crate::catalogue::describe;
use anyhow::Context;
use clap::Subcommand;
use resplice_target::{Bars, Cache, TargetId, TargetSpec};
use std::{path::PathBuf, process::ExitCode};

#[derive(Subcommand)]
pub(super) enum Target {
    /// Fetch a kernel, its source and its headers, and prepare a build tree
    Import {
        /// For example debian:6.1.0-50-cloud-amd64, debian:latest-cloud, debian:latest-6.12-cloud
        #[arg(required_unless_present = "list")]
        target: Option<TargetSpec>,
        /// Show what the archive has instead
        #[arg(long)]
        list: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List the imported targets
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Show an imported target and the digests of what went into it
    Show {
        /// Its id
        target: TargetId,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(clap::Args)]
pub(super) struct Place {
    /// Cache with the targets
    #[arg(long, env = "RESPLICE_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// JSON for machines
    #[arg(long)]
    json: bool,
}

impl Place {
    fn cache(&self) -> Cache {
        self.cache.clone().map_or_else(Cache::from_env, Cache::new)
    }
}

impl Target {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        // All of this waits for files, apt and make.
        let run = tokio::task::spawn_blocking(move || match self {
            Self::Import {
                list: true, place, ..
            } => list_archive(&place),
            Self::Import {
                target: Some(target),
                place,
                ..
            } => import(&target, &place),
            Self::Import { .. } => anyhow::bail!("name a target, or give --list"),
            Self::List { place } => list(&place),
            Self::Show { target, place } => show(&target, &place),
        });
        run.await.context("the command was cut off")??;
        Ok(ExitCode::SUCCESS)
    }
}

fn import(spec: &TargetSpec, place: &Place) -> anyhow::Result<()> {
    let id = resplice_target::resolve(spec)?;
    let target = resplice_target::Target::import(&place.cache(), &id, &Bars::new())?;
    if place.json {
        return json(&describe(&target));
    }
    say!("{}  {}", bold(target.id()), target.package_version());
    say!(
        "{}",
        dim(format!("  sha256 of its inputs {}", target.digest()))
    );
    Ok(())
}

fn list_archive(place: &Place) -> anyhow::Result<()> {
    for kernel in resplice_target::list()? {
        if place.json {
            say!(
                "{}",
                serde_json::json!({
                    "id": kernel.id.to_string(),
                    "package_version": kernel.package_version,
                    "missing": kernel.missing,
                })
            );
            continue;
        }
        let missing = match kernel.missing.as_slice() {
            [] => String::new(),
            missing => format!(
                "  can't be imported: the archive lacks {}",
                missing.join(", ")
            ),
        };
        say!(
            "{:<36} {}{}",
            kernel.id.to_string(),
            kernel.package_version,
            dim(missing)
        );
    }
    Ok(())
}

fn list(place: &Place) -> anyhow::Result<()> {
    let cache = place.cache();
    let targets = resplice_target::Target::imported(&cache)?;
    if place.json {
        return json(&targets.iter().map(describe).collect::<Vec<_>>());
    }
    if targets.is_empty() {
        say!("no target is imported in {}", cache.root().display());
        say!("import one with `resplice-server target import debian:latest-cloud`");
    }
    for target in targets {
        say!(
            "{:<36} {}",
            target.id().to_string(),
            target.package_version()
        );
    }
    Ok(())
}

fn show(id: &TargetId, place: &Place) -> anyhow::Result<()> {
    let target = resplice_target::Target::load(&place.cache(), id)?;
    if place.json {
        let inputs: Vec<_> = target
            .inputs()
            .iter()
            .map(|input| {
                serde_json::json!({
                    "name": input.name, "version": input.version, "file": input.file,
                    "sha256": input.sha256, "bytes": input.bytes,
                })
            })
            .collect();
        let mut shown = serde_json::to_value(describe(&target))?;
        shown["compiler"] = target.cc_version_text().into();
        shown["inputs"] = inputs.into();
        return json(&shown);
    }
    say!("{}", bold(target.id()));
    say!("  package   {}", target.package_version());
    say!("  compiler  {}", target.cc_version_text());
    say!("  digest    {}", target.digest());
    for input in target.inputs() {
        say!("  {}  {} {}", dim(&input.sha256), input.name, input.version);
    }
    Ok(())
}
