//! `resplice-server update …`: the client side.

use super::{
    Connection,
    output::{bold, dim, json, say, status},
    upload::Upload,
    watch,
};
use anyhow::bail;
use clap::Subcommand;
use resplice_api::{
    Channel, JobId, NewPromotion, NewRejection, NewRelease, NewRevocation, UpdateId,
    client::{Client, update_page},
};
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum Update {
    /// Upload a patch and start its builds
    Upload(Upload),
    /// List the updates, newest first
    List {
        #[command(flatten)]
        connection: Connection,
        /// JSON for machines
        #[arg(long)]
        json: bool,
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: u64,
    },
    /// Show an update: its builds, their steps, and what hosts reported
    Show {
        /// The update
        id: UpdateId,
        #[command(flatten)]
        connection: Connection,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
    /// Print the log of a build
    Log {
        /// The update
        id: UpdateId,
        #[command(flatten)]
        connection: Connection,
        /// The target, if it was built for several
        #[arg(long)]
        target: Option<String>,
        /// Go on until the build has ended
        #[arg(long)]
        follow: bool,
    },
    /// Show what a package was built from
    Provenance(super::provenance::Show),
    /// Release an update to the hosts; not for whoever uploaded it
    Release {
        /// The update
        id: UpdateId,
        #[command(flatten)]
        connection: Connection,
        /// Why it is good
        #[arg(long, default_value = "")]
        comment: String,
        /// The channel that it enters: edge, candidate or stable
        #[arg(long, default_value_t = Channel::Edge)]
        channel: Channel,
        /// The wave plan by which hosts get it [default: all at once]
        #[arg(long, value_name = "NAME")]
        plan: Option<String>,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
    /// Send a released update on to another channel; not for whoever uploaded it
    Promote {
        /// The update
        id: UpdateId,
        #[command(flatten)]
        connection: Connection,
        /// The channel: candidate or stable
        #[arg(long)]
        to: Channel,
        /// The wave plan by which hosts get it [default: all at once]
        #[arg(long, value_name = "NAME")]
        plan: Option<String>,
        /// Why it is good
        #[arg(long, default_value = "")]
        comment: String,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
    /// Decide against an update: it is never released
    Reject {
        /// The update
        id: UpdateId,
        #[command(flatten)]
        connection: Connection,
        /// Why, for whoever uploaded it
        #[arg(long)]
        reason: String,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
    /// Take a release back: no host takes it any more
    Revoke {
        /// The update
        id: UpdateId,
        #[command(flatten)]
        connection: Connection,
        /// Why; hosts show it
        #[arg(long)]
        reason: String,
        /// Have hosts undo it; without, it stays where it runs
        #[arg(long)]
        undo: bool,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
}

impl Update {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Upload(upload) => upload.run().await,
            Self::List {
                connection,
                json,
                limit,
            } => list(&connection.client()?, json, limit).await,
            Self::Show {
                id,
                connection,
                json: as_json,
            } => {
                let client = connection.client()?;
                let update = client.update(id).await?;
                if as_json {
                    json(&update)?;
                } else {
                    watch::show(&update, client.server());
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Log {
                id,
                connection,
                target,
                follow,
            } => log(&connection.client()?, id, target.as_deref(), follow).await,
            Self::Provenance(show) => show.run().await,
            Self::Release {
                id,
                connection,
                comment,
                channel,
                plan,
                json: as_json,
            } => {
                let client = connection.client()?;
                let body = NewRelease {
                    comment,
                    channel: Some(channel),
                    plan,
                };
                let update = client.release_with(id, &body).await?;
                moved(&client, &update, "released", as_json)
            }
            Self::Promote {
                id,
                connection,
                to,
                plan,
                comment,
                json: as_json,
            } => {
                let client = connection.client()?;
                let body = NewPromotion {
                    channel: to,
                    comment,
                    plan,
                };
                let update = client.promote_with(id, &body).await?;
                moved(&client, &update, "promoted", as_json)
            }
            Self::Reject {
                id,
                connection,
                reason,
                json: as_json,
            } => {
                let client = connection.client()?;
                let update = client.reject(id, &NewRejection { reason }).await?;
                if as_json {
                    json(&update)?;
                } else {
                    say!("rejected {}", bold(&update.name));
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Revoke {
                id,
                connection,
                reason,
                undo,
                json: as_json,
            } => {
                let body = NewRevocation { reason, undo };
                let update = connection.client()?.revoke(id, &body).await?;
                if as_json {
                    json(&update)?;
                } else {
                    say!(
                        "revoked {}: {}",
                        bold(&update.name),
                        match undo {
                            true => "hosts undo it",
                            false => "no further host takes it",
                        }
                    );
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Says that an update has got to another channel.
fn moved(
    client: &Client,
    update: &resplice_api::Update,
    word: &str,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    if as_json {
        json(update)?;
        return Ok(ExitCode::SUCCESS);
    }
    let channel = update.channel.map_or("no channel", Channel::as_str);
    say!("{word} {} to {channel}", bold(&update.name));
    say!("{}", update_page(client.server(), update.id));
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, as_json: bool, limit: u64) -> anyhow::Result<ExitCode> {
    let page = client.updates(limit, None).await?;
    if as_json {
        json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    if page.updates.is_empty() {
        say!("there are no updates");
    }
    for update in page.updates {
        let released = update.channel.map_or("", Channel::as_str);
        say!(
            "{}  {}  {} {}",
            update.id,
            bold(&update.name),
            update.cves.join(" "),
            dim(released)
        );
        for target in update.targets {
            say!("  {} {}", status(target.status), target.target);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn log(
    client: &Client,
    id: UpdateId,
    target: Option<&str>,
    follow: bool,
) -> anyhow::Result<ExitCode> {
    let update = client.update(id).await?;
    let wanted = |job: &&resplice_api::Job| target.is_none_or(|target| job.target == target);
    let jobs: Vec<JobId> = update
        .jobs
        .iter()
        .filter(wanted)
        .map(|job| job.id)
        .collect();
    let [job] = jobs.as_slice() else {
        let targets: Vec<&str> = update.jobs.iter().map(|job| job.target.as_str()).collect();
        bail!(
            "name one of its targets with --target: {}",
            targets.join(", ")
        );
    };
    // Line by line: what a build prints must not drive somebody's terminal.
    let mut lines = watch::Lines::new(None, false);
    if follow {
        let followed = client
            .follow_log(*job, |attempt, bytes| lines.add(attempt, bytes))
            .await;
        lines.end();
        followed?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut offset = 0;
    let mut attempt = None;
    loop {
        let piece = client.log(*job, attempt, offset, false).await?;
        if piece.bytes.is_empty() {
            lines.end();
            return Ok(ExitCode::SUCCESS);
        }
        lines.add(piece.attempt, &piece.bytes);
        offset += piece.bytes.len() as u64;
        attempt = Some(piece.attempt);
    }
}
