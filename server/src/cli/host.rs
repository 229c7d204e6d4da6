//! `resplice-server host …`.

use super::{
    Connection,
    output::{dim, json, say},
};
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum Host {
    /// List the enrolled hosts
    List {
        #[command(flatten)]
        connection: Connection,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
}

impl Host {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self::List {
            connection,
            json: as_json,
        } = self;
        let hosts = connection.client()?.hosts().await?;
        if as_json {
            json(&hosts)?;
            return Ok(ExitCode::SUCCESS);
        }
        if hosts.is_empty() {
            say!("no host has enrolled");
        }
        for host in hosts {
            say!(
                "{}  {:<24} {:<34} {} applied  {}",
                host.id,
                host.name,
                host.target,
                host.applied.len(),
                dim(format!("seen {:.0}", host.last_seen_at)),
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
