//! The transparency log: its entries, and proofs about them.

use crate::UpdateId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An entry of the log. Its bytes in the log are JSON, as they were written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LogEntry {
    /// The first one: the log begins.
    Log {
        /// When.
        at: Timestamp,
        /// The key that signs its checkpoints, as C2SP signed-note writes it.
        key: String,
    },
    /// Somebody is about to do something.
    Begin {
        /// Id of the entry in the audit log.
        audit: String,
        /// When.
        at: Timestamp,
        /// Name of the person or machine.
        actor: String,
        /// By which role.
        role: String,
        /// For example `update.release`.
        action: String,
        /// To what.
        object: String,
    },
    /// It is done, or was refused.
    Complete {
        /// Id of the entry in the audit log.
        audit: String,
        /// When.
        at: Timestamp,
        /// HTTP status of the answer.
        status: i64,
        /// The object that came out of it.
        result: Option<String>,
    },
    /// An update was released.
    Release {
        /// The update.
        update: UpdateId,
        /// When.
        at: Timestamp,
        /// Name of who released it.
        by: String,
        /// sha256 of its patch in hex.
        patch_sha256: String,
        /// Its packages, by target.
        packages: Vec<LoggedPackage>,
    },
}

/// A package of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedPackage {
    /// Id of the target that it is for.
    pub target: String,
    /// Its sha256 in hex.
    pub sha256: String,
}

/// Answer of `GET /updates/{id}/proof?since=SIZE`: that its release is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseProof {
    /// The entry's bytes: a [`LogEntry::Release`].
    pub entry: String,
    /// Its index in the log.
    pub index: u64,
    /// The inclusion proof, from the entry up: hashes in base64.
    pub proof: Vec<String>,
    /// With `since`, the consistency proof from that size: hashes in base64. Empty
    /// if the log is not larger.
    #[serde(default)]
    pub consistency: Vec<String>,
    /// The checkpoint that the proofs lead to.
    pub checkpoint: String,
}

/// Most files of a bundle: its writer stops there, hosts refuse more.
pub const MAX_BUNDLE_FILES: usize = 8192;

/// The entry of an update's release in a bundle for hosts without a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledEntry {
    /// Its index in the log.
    pub index: u64,
    /// The entry's bytes: a [`LogEntry::Release`].
    pub entry: String,
}

/// Answer of `GET /log/consistency`: that the log began as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsistencyProof {
    /// The consistency proof: hashes in base64.
    pub proof: Vec<String>,
    /// The checkpoint that the proof leads to.
    pub checkpoint: String,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Its id.
    pub id: String,
    /// When it was written, which is before anything happened.
    pub at: Timestamp,
    /// Name of the person or machine.
    pub actor: String,
    /// By which role.
    pub role: String,
    /// For example `update.release`.
    pub action: String,
    /// To what.
    pub object: String,
    /// The object that came out of it.
    pub result: Option<String>,
    /// HTTP status of the answer; none if nobody knows how it ended.
    pub status: Option<i64>,
    /// When it was done.
    pub completed_at: Option<Timestamp>,
    /// Index in the transparency log; none within the first second.
    pub log_index: Option<u64>,
}

/// Answer of `GET /audit?limit=N&before=ID`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntries {
    /// One page.
    pub entries: Vec<AuditEntry>,
    /// Give this as `before` to get the next page.
    pub next: Option<String>,
}
