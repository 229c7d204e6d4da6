//! What workers and the server say to each other.

use crate::{Check, FinishStatus, JobId, Step, UpdateId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Body of `POST /workers`: registers the key that a worker signs packages with.
/// The same name may come again with the same key; another key is a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewWorker {
    /// The worker's name.
    pub name: String,
    /// Its ed25519 public key, 64 hex digits.
    pub public_key: String,
}

/// A registered worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Worker {
    /// Its name.
    pub name: String,
    /// Its ed25519 public key, 64 hex digits.
    pub public_key: String,
    /// When it was registered.
    pub registered_at: Timestamp,
}

/// Answer of `GET /workers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workers {
    /// All of them, by name.
    pub workers: Vec<Worker>,
}

/// Body of `POST /leases`: asks for a job. Answered with 200 and a [`Lease`], or 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// The worker's name.
    pub worker: String,
    /// Ids of the targets that it has; empty means any.
    #[serde(default)]
    pub targets: Vec<String>,
}

/// A job that a worker has until the lease runs out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The attempt: a fencing token that goes with every write.
    pub attempt: u32,
    /// What to build.
    pub update: LeasedUpdate,
    /// Id of the target to build for.
    pub target: String,
    /// Ids in that kernel of the updates whose place this one takes.
    #[serde(default)]
    pub supersedes: Vec<String>,
    /// Seconds until the lease runs out, unless a heartbeat extends it: send
    /// one every third of that.
    pub lease_seconds: u64,
    /// When it was given out.
    pub issued_at: Timestamp,
    /// The server's ed25519 signature over [`Lease::signed`], 128 hex digits.
    pub signature: String,
}

impl Lease {
    /// What is signed for the worker of this name: a JSON array that begins with what
    /// this is. Another field of a lease makes it another version.
    #[must_use]
    pub fn signed(&self, worker: &str) -> String {
        let fields = (
            "resplice job 1",
            worker,
            self.job,
            self.attempt,
            &self.target,
            &self.supersedes,
            self.lease_seconds,
            self.issued_at.as_microsecond(),
            &self.update,
        );
        // Text and numbers always have a text, and fields their order.
        serde_json::to_string(&fields).unwrap_or_default()
    }
}

/// What a worker needs to know of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeasedUpdate {
    /// Its id.
    pub id: UpdateId,
    /// One line for people.
    pub name: String,
    /// CVE ids that it fixes.
    pub cves: Vec<String>,
    /// The unified diff.
    pub patch: String,
    /// sha256 of the patch's bytes in hex.
    pub patch_sha256: String,
    /// How to see whether the fix is in force.
    pub check: Option<Check>,
}

/// Body of `POST /jobs/{id}/attempts/{n}/heartbeat`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The steps done so far; nothing leaves those known as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
}

/// Answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeartbeatAnswer {
    /// Seconds until the lease runs out.
    pub lease_seconds: u64,
    /// Who has cancelled the job, and why, such as `alice: not needed any more`:
    /// stop, say so in the log, and end the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<String>,
}

/// Body of `POST /jobs/{id}/attempts/{n}/finish`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// How the attempt ended. `built` needs a package stored before.
    pub status: FinishStatus,
    /// Exit code of the command that decided it.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Why, in a sentence; must be there unless `built`.
    #[serde(default)]
    pub reason: Option<String>,
    /// What the build found out: any JSON.
    #[serde(default)]
    pub report: Option<serde_json::Value>,
    /// All steps, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
}
