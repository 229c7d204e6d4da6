//! `resplice-server rollout …`, `wave …` and `group …`.

use super::{
    Connection,
    output::{bold, json, say},
};
use anyhow::Context;
use clap::{Args, Subcommand};
use resplice_api::{Group, Groups, Rollout, UpdateId, WavePlan};
use std::{path::PathBuf, process::ExitCode};

#[derive(Subcommand)]
pub(super) enum RolloutCommand {
    /// Show how an update's rollout stands
    Show(Which),
    /// Let no further host have it, from its next poll on
    Halt(Why),
    /// Let a halted or paused rollout go on
    Resume(Why),
}

#[derive(Args)]
pub(super) struct Which {
    /// The update
    id: UpdateId,
    #[command(flatten)]
    connection: Connection,
    /// JSON for machines
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Why {
    #[command(flatten)]
    which: Which,
    /// Why, for the record and the hosts
    #[arg(long, default_value = "")]
    reason: String,
}

impl RolloutCommand {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (rollout, as_json) = match self {
            Self::Show(it) => (it.connection.client()?.rollout(it.id).await?, it.json),
            Self::Halt(Why { which: it, reason }) => {
                let client = it.connection.client()?;
                (client.halt(it.id, &reason).await?, it.json)
            }
            Self::Resume(Why { which: it, reason }) => {
                let client = it.connection.client()?;
                (client.resume(it.id, &reason).await?, it.json)
            }
        };
        if as_json {
            json(&rollout)?;
        } else {
            show(&rollout);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(rollout: &Rollout) {
    let (plan, tally) = (&rollout.plan, &rollout.tally);
    say!(
        "{} in {} by {}, since {:.0}",
        bold(rollout.state.as_str()),
        rollout.channel,
        plan.name,
        rollout.started_at
    );
    if !rollout.reason.is_empty() {
        say!("  {}", rollout.reason);
    }
    for step in &plan.steps {
        let after = u64::from(step.after_s) + rollout.held_s;
        say!("  {:>4} ‰ after {after} s", step.share);
    }
    say!(
        "offered {}, applied {}, failed {}, crashed {}, lost {}",
        tally.offered,
        tally.applied,
        tally.failed,
        tally.crashed,
        tally.lost
    );
}

#[derive(Subcommand)]
pub(super) enum Wave {
    /// Keep a wave plan, a JSON file, under its name
    Set {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the wave plans, as JSON
    List {
        #[command(flatten)]
        connection: Connection,
    },
}

impl Wave {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Set { file, connection } => {
                let failed = || format!("can't read the wave plan {}", file.display());
                let text = std::fs::read(&file).with_context(failed)?;
                let plan: WavePlan = serde_json::from_slice(&text).with_context(failed)?;
                let plan = connection.client()?.put_wave_plan(&plan).await?;
                say!("kept {}, {} steps", bold(&plan.name), plan.steps.len());
            }
            Self::List { connection } => json(&connection.client()?.wave_plans().await?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Subcommand)]
pub(super) enum GroupCommand {
    /// List the groups
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Offer its hosts nothing new
    Freeze {
        /// The group
        name: String,
        #[command(flatten)]
        connection: Connection,
        /// Why, for the record and the hosts
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let its hosts go on
    Thaw {
        /// The group
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
}

impl GroupCommand {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let groups = match self {
            Self::List { connection } => connection.client()?.groups().await?,
            Self::Freeze {
                name,
                connection,
                reason,
            } => {
                let client = connection.client()?;
                client.freeze(&name, &reason).await?.groups
            }
            Self::Thaw { name, connection } => connection.client()?.thaw(&name).await?.groups,
        };
        list(&Groups { groups });
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn list(groups: &Groups) {
    for Group {
        name,
        hosts,
        frozen,
    } in &groups.groups
    {
        let frozen = frozen.as_ref().map(|reason| format!("frozen: {reason}"));
        say!(
            "{name:<24} {hosts:>6} hosts  {}",
            frozen.unwrap_or_default()
        );
    }
}
