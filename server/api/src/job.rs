//! Jobs: the build of an update for one target.

use crate::{JobId, JobStatus, UpdateId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The build of an update for one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The update that it builds.
    pub update_id: UpdateId,
    /// Id of the target that it builds for.
    pub target: String,
    /// How it stands.
    pub status: JobStatus,
    /// Number of the latest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// The worker that has or had the latest attempt.
    pub worker: Option<String>,
    /// When it was queued first.
    pub created_at: Timestamp,
    /// When the latest attempt began.
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// Exit code of the command that decided the outcome.
    pub exit_code: Option<i32>,
    /// Why it ended as it did, in a sentence.
    pub reason: Option<String>,
    /// What the build found out.
    pub report: Option<serde_json::Value>,
    /// The latest attempt's steps so far.
    pub steps: Vec<Step>,
    /// The package, once it is built.
    pub package: Option<PackageInfo>,
    /// sha256 in hex of the replaced functions' instructions: `GET /jobs/{id}/listing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// Size of the latest attempt's log in bytes.
    pub log_bytes: u64,
    /// Who uploaded the update: whose limit of running jobs counts.
    #[serde(default)]
    pub team: String,
    /// Higher ones are built first.
    #[serde(default)]
    pub priority: i64,
    /// When a worker may have it again after one has vanished.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Who has cancelled it. While it still runs, its worker has not heard yet.
    #[serde(default)]
    pub cancelled_by: Option<String>,
}

/// A job as it stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// The update that it builds.
    pub update_id: UpdateId,
    /// That one's name.
    pub update_name: String,
    /// Id of the target that it builds for.
    pub target: String,
    /// How it stands.
    pub status: JobStatus,
    /// Number of the latest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// The worker that has or had the latest attempt.
    pub worker: Option<String>,
    /// Who uploaded the update.
    pub team: String,
    /// Higher ones are built first.
    pub priority: i64,
    /// Who has cancelled it.
    pub cancelled_by: Option<String>,
    /// When it was queued first.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// Why it ended as it did, in a sentence.
    pub reason: Option<String>,
}

/// Answer of `GET /jobs?status=WORD&limit=N&before=ID`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Jobs {
    /// One page.
    pub jobs: Vec<JobSummary>,
    /// `before` of the next page, if there is one.
    pub next: Option<JobId>,
}

/// One attempt at a job. Its log: `GET /jobs/{id}/log?attempt=N`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// The worker that had it.
    pub worker: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended: a job's status, or `lost` if its worker vanished.
    pub outcome: Option<String>,
    /// Why, in a sentence.
    pub reason: Option<String>,
}

/// Answer of `GET /jobs/{id}/attempts`: oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempts {
    /// All of them.
    pub attempts: Vec<Attempt>,
}

/// Body of `POST /jobs/{id}/cancel`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Why, for the log and the record.
    #[serde(default)]
    pub reason: String,
}

/// Body of `POST /jobs/{id}/priority`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Priority {
    /// From -100 to 100; jobs begin with 0.
    pub priority: i64,
}

/// One step of a build, or of what a host did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// For example `pre`, `diff`, `verify`; `download`, `apply`.
    pub name: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Its exit code, if it has one; not 0 means that it failed.
    #[serde(default)]
    pub exit_code: Option<i32>,
}

/// A stored package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackageInfo {
    /// Its sha256 in hex: `GET /packages/{sha256}`.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The update's id inside the kernel.
    pub kernel_id: String,
    /// The key that signed it, in hex.
    pub signer: String,
    /// sha256 in hex of what is said of its origin: `GET /packages/{sha256}/provenance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
}
