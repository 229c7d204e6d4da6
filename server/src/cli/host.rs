//! `resplice-server host …`.

use super::{
    Connection,
    output::{dim, json, say},
};
use clap::Subcommand;
use resplice_api::{Channel, HostId};
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
    /// Put a host into these groups and no others
    Groups {
        /// The host
        id: HostId,
        /// The groups; none takes it out of all
        groups: Vec<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Have a host follow a channel; it never takes more than it was enrolled for
    Channel {
        /// The host
        id: HostId,
        /// edge, candidate or stable
        channel: Channel,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Host {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (connection, as_json) = match self {
            Self::List { connection, json } => (connection, json),
            Self::Groups {
                id,
                groups,
                connection,
            } => {
                let names: Vec<&str> = groups.iter().map(String::as_str).collect();
                let groups = connection.client()?.set_groups(id, &names).await?;
                super::rollout::list(&groups);
                return Ok(ExitCode::SUCCESS);
            }
            Self::Channel {
                id,
                channel,
                connection,
            } => {
                let host = connection.client()?.set_channel(id, channel).await?;
                say!("{} follows {}", host.name, host.channel);
                return Ok(ExitCode::SUCCESS);
            }
        };
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
                "{}  {:<24} {:<34} {:<9} {} applied  {}",
                host.id,
                host.name,
                host.target,
                host.channel,
                host.applied.len(),
                dim(format!("seen {:.0}", host.last_seen_at)),
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
