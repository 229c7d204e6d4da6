//! `resplice-server update …`: the client side.

use super::{
    Connection,
    output::{bold, dim, json, say, status},
    watch,
};
use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::{Args, Subcommand};
use resplice_api::{
    Channel, Check, CheckFile, JobId, JobStatus, NewPromotion, NewRejection, NewRelease,
    NewRevocation, NewUpdate, UpdateId,
    client::{Client, update_page},
    limits,
};
use std::{
    fs::File,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

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

#[derive(Args)]
pub(super) struct Upload {
    /// A unified diff against the kernel's source
    patch: PathBuf,
    /// A kernel to build for; may be given several times
    #[arg(long = "target", required = true, value_name = "ID")]
    targets: Vec<String>,
    /// One line for people; the patch's file name if it is left out
    #[arg(long)]
    name: Option<String>,
    /// A CVE id; may be given several times
    #[arg(long = "cve", value_name = "ID")]
    cves: Vec<String>,
    /// An update whose place this one takes: its patch carries that one's changes
    /// too. Hosts exchange the one for the other in one stop.
    #[arg(long, value_name = "ID")]
    supersedes: Vec<UpdateId>,
    /// Anything else, for people
    #[arg(long, default_value = "")]
    notes: String,
    /// A script for the verification guest: exit code 0 means fixed, 1 vulnerable
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// A file to lie beside the script; may be given several times
    #[arg(long = "check-file", value_name = "FILE")]
    check_files: Vec<PathBuf>,
    /// Follow the builds until they end; 1 if one of them gives no package
    #[arg(long)]
    wait: bool,
    /// JSON for machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
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

impl Upload {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.connection.client()?;
        let update = client.upload(&self.read()?).await?;
        if !self.json {
            say!("uploaded {}", bold(&update.name));
            say!("{}", update_page(client.server(), update.id));
        }
        if !self.wait {
            if self.json {
                json(&update)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        watch::follow(&client, &update, self.json).await?;
        let update = client.update(update.id).await?;
        if self.json {
            json(&update)?;
        } else {
            watch::show(&update, client.server());
        }
        let all_built = update.jobs.iter().all(|job| job.status == JobStatus::Built);
        Ok(if all_built {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn read(&self) -> anyhow::Result<NewUpdate> {
        let patch = read_text(&self.patch, limits::MAX_PATCH_BYTES)?;
        let stem = || {
            self.patch
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        };
        let Some(name) = self.name.clone().or_else(stem) else {
            bail!("{} has no name; give one with --name", self.patch.display());
        };
        Ok(NewUpdate {
            name,
            patch,
            targets: self.targets.clone(),
            cves: self.cves.clone(),
            supersedes: self.supersedes.clone(),
            notes: self.notes.clone(),
            check: self.read_check()?,
        })
    }

    fn read_check(&self) -> anyhow::Result<Option<Check>> {
        if self.check.is_none() && self.check_files.is_empty() {
            return Ok(None);
        }
        let script = match &self.check {
            Some(path) => Some(read_text(path, limits::MAX_CHECK_BYTES)?),
            None => None,
        };
        let files = self.check_files.iter().map(|path| read_check_file(path));
        Ok(Some(Check {
            script,
            files: files.collect::<anyhow::Result<_>>()?,
        }))
    }
}

fn read_check_file(path: &Path) -> anyhow::Result<CheckFile> {
    let error = || format!("can't read {}", path.display());
    let name = path.file_name().and_then(|name| name.to_str());
    let mode = std::fs::metadata(path)
        .with_context(error)?
        .permissions()
        .mode();
    Ok(CheckFile {
        name: name.with_context(error)?.to_owned(),
        mode: mode & 0o777,
        base64: BASE64_STANDARD.encode(read_bytes(path, limits::MAX_CHECK_BYTES)?),
    })
}

fn read_text(path: &Path, limit: usize) -> anyhow::Result<String> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))
}

fn read_bytes(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("can't read {}", path.display()))?;
    if bytes.len() > limit {
        bail!(
            "{} has more than the {limit} bytes that are allowed",
            path.display()
        );
    }
    Ok(bytes)
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
