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
    /// Size of the latest attempt's log in bytes.
    pub log_bytes: u64,
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
}
