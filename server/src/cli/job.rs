//! `resplice-server job …`.

use super::{
    Connection,
    output::{bold, dim, json, say, status},
    place::ServerPlace,
};
use crate::job_key;
use clap::Subcommand;
use resplice_api::{JobId, JobStatus, JobSummary, limits};
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum Job {
    /// List jobs, newest first
    List {
        /// Only those that stand so: queued, running, built, failed, refused, nothing,
        /// needs_code, cancelled
        #[arg(long)]
        status: Option<JobStatus>,
        /// Most that are listed
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=limits::MAX_PAGE))]
        limit: u64,
        /// JSON for machines
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Cancel a job; its worker stops at its next heartbeat
    Cancel {
        /// The job's id
        id: JobId,
        /// Why, for the log
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show the public key that signs jobs, for `resplice-worker run --server-key`
    Key {
        #[command(flatten)]
        place: ServerPlace,
    },
    /// Run a job that has ended once more
    Retry {
        /// The job's id
        id: JobId,
        #[command(flatten)]
        connection: Connection,
    },
    /// Put a job before others (up to 100) or behind (down to -100)
    Priority {
        /// The job's id
        id: JobId,
        /// The priority; jobs begin with 0
        #[arg(allow_negative_numbers = true)]
        priority: i64,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Job {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List {
                status,
                limit,
                json: as_json,
                connection,
            } => {
                let page = connection.client()?.jobs(status, limit, None).await?;
                if as_json {
                    json(&page.jobs)?;
                } else {
                    page.jobs.iter().for_each(show);
                }
            }
            Self::Cancel {
                id,
                reason,
                connection,
            } => {
                let job = connection.client()?.cancel_job(id, &reason).await?;
                match job.status {
                    JobStatus::Running => say!("{id} stops once its worker has heard of it"),
                    ended => say!("{id} is {ended}"),
                }
            }
            Self::Key { place } => say!("{}", job_key::read(&place.data()?)?.public()),
            Self::Retry { id, connection } => {
                let job = connection.client()?.retry_job(id).await?;
                say!("{id} is queued for attempt {}", job.attempt + 1);
            }
            Self::Priority {
                id,
                priority,
                connection,
            } => {
                connection.client()?.prioritise_job(id, priority).await?;
                say!("{id} has the priority {priority}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(job: &JobSummary) {
    let mut about = format!("{} for {}", job.team, job.target);
    if job.priority != 0 {
        about.push_str(&format!(", priority {}", job.priority));
    }
    if let Some(worker) = &job.worker {
        about.push_str(&format!(", attempt {} on {worker}", job.attempt));
    }
    say!(
        "{}  {}  {}",
        job.id,
        status(job.status),
        bold(&job.update_name)
    );
    say!("    {}", dim(about));
    if let Some(reason) = &job.reason {
        say!("    {reason}");
    }
}
