//! Updates: a patch, the kernels it is for, and what became of it.

use crate::{Channel, HostReport, Job, JobId, JobStatus, Promotion, UpdateId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Body of `POST /updates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUpdate {
    /// One line for people.
    pub name: String,
    /// A unified diff against the kernel's source, paths with one leading
    /// component (`a/`, `b/`).
    pub patch: String,
    /// Ids of the targets to build for; at least one.
    pub targets: Vec<String>,
    /// CVE ids that it fixes.
    #[serde(default)]
    pub cves: Vec<String>,
    /// Updates whose place it takes: its patch carries their changes too. Their
    /// builds must have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<UpdateId>,
    /// Anything else, for people.
    #[serde(default)]
    pub notes: String,
    /// How to see inside a guest whether the fix is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

/// A script that the verification VM runs before and after: exit code 0 means
/// fixed, 1 means vulnerable, anything else that it could not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// A shell script; without one, the file named `check` is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Files that lie beside the script when it runs.
    #[serde(default)]
    pub files: Vec<CheckFile>,
}

/// A file of a [`Check`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckFile {
    /// A plain file name: letters, digits, `.`, `_`, `-`, not beginning with a dot.
    pub name: String,
    /// Unix permission bits, at most 0o777.
    pub mode: u32,
    /// Its bytes in standard base64.
    pub base64: String,
}

/// An update with all that is known about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Update {
    /// Its id.
    pub id: UpdateId,
    /// One line for people.
    pub name: String,
    /// CVE ids that it fixes.
    pub cves: Vec<String>,
    /// Anything else, for people.
    pub notes: String,
    /// sha256 of the patch in hex.
    pub patch_sha256: String,
    /// Size of the patch in bytes.
    pub patch_bytes: u64,
    /// Paths of the files that the patch touches.
    pub files: Vec<String>,
    /// Whether it came with a check.
    pub has_check: bool,
    /// Name of the token that uploaded it.
    pub uploaded_by: String,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Who released it, if someone did.
    pub released: Option<Release>,
    /// Who took it back, if someone did.
    #[serde(default)]
    pub revoked: Option<Revocation>,
    /// Who rejected it, if someone did: it is never released.
    #[serde(default)]
    pub rejected: Option<Rejection>,
    /// The channel that it has got to; none before its release.
    pub channel: Option<Channel>,
    /// How it got there, oldest first; the first one is its release.
    pub promotions: Vec<Promotion>,
    /// Updates whose place it takes, those that these superseded included.
    pub supersedes: Vec<UpdateId>,
    /// Updates that take its place, released or not.
    pub superseded_by: Vec<UpdateId>,
    /// One job per target.
    pub jobs: Vec<Job>,
    /// What hosts said about it, oldest first.
    pub reports: Vec<HostReport>,
}

/// That an update was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Release {
    /// Name of the token that released it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What the engineer wrote.
    pub comment: String,
}

/// That an update was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Revocation {
    /// Who revoked it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Whether hosts undo it; where it runs it stays, if not.
    pub undo: bool,
}

/// That an engineer has decided against an update before its release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rejection {
    /// Who rejected it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Body of `POST /updates/{id}/reject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRejection {
    /// Why, for whoever uploaded it.
    pub reason: String,
}

/// Body of `POST /updates/{id}/revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRevocation {
    /// Why; hosts show it.
    pub reason: String,
    /// Whether hosts are to undo it; where it runs it stays, if not.
    pub undo: bool,
}

/// Body of `POST /updates/{id}/release`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRelease {
    /// Why it is good, for the audit log.
    #[serde(default)]
    pub comment: String,
    /// The channel that it enters; edge if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// Name of the wave plan by which hosts get it; all at once, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

impl NewRelease {
    /// A release with this comment and nothing else.
    #[must_use]
    pub fn because(comment: &str) -> Self {
        Self {
            comment: comment.to_owned(),
            ..Self::default()
        }
    }
}

/// An update as it stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateSummary {
    /// Its id.
    pub id: UpdateId,
    /// One line for people.
    pub name: String,
    /// CVE ids that it fixes.
    pub cves: Vec<String>,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Name of the token that uploaded it.
    pub uploaded_by: String,
    /// Whether it was released.
    pub released: bool,
    /// Whether it was taken back since.
    #[serde(default)]
    pub revoked: bool,
    /// Whether it was rejected.
    #[serde(default)]
    pub rejected: bool,
    /// The channel that it has got to; none before its release.
    pub channel: Option<Channel>,
    /// How it stands for each target.
    pub targets: Vec<TargetStatus>,
}

/// How an update stands for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetStatus {
    /// The target's id.
    pub target: String,
    /// The job that builds for it.
    pub job: JobId,
    /// How that stands.
    pub status: JobStatus,
}

/// Body of `POST /patches/reach`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewReach {
    /// A unified diff against the kernel's source.
    pub patch: String,
}

/// What a patch reaches, as far as it can be told without a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reach {
    /// The files that it touches, by path.
    pub files: Vec<TouchedFile>,
    /// Every target that is not retired.
    pub targets: Vec<TargetReach>,
}

/// A file that a patch touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TouchedFile {
    /// Its path from the top of the source.
    pub path: String,
    /// What it is to a build.
    pub kind: FileKind,
}

/// What a file is to a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A translation unit, or what one includes.
    Unit,
    /// A header: every unit that includes it is compiled.
    Header,
    /// Assembly, which a build compares and does not replace.
    Assembly,
    /// It has no effect on the kernel.
    Idle,
    /// A build refuses a patch that touches it.
    Refused,
}

/// Whether a patch applies to a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetReach {
    /// Id of the target.
    pub target: String,
    /// Whether its source is on the server, so that it could be tried.
    pub known: bool,
    /// Why the patch does not apply, the first 20 reasons; none if it does.
    pub misses: Vec<String>,
}

/// Answer of `GET /updates?limit=N&before=ID`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Updates {
    /// One page.
    pub updates: Vec<UpdateSummary>,
    /// Give this as `before` to get the next page.
    pub next: Option<UpdateId>,
}
