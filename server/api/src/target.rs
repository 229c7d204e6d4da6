//! Kernel targets: those that the server can build for, those that it fetches, and
//! those that the distribution has.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A kernel that the server can build for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Target {
    /// For example `debian:6.1.0-50-cloud-amd64`.
    pub id: String,
    /// What `uname -r` says there.
    pub release: String,
    /// The distribution's package version.
    pub package_version: String,
    /// For example `cloud-amd64`.
    pub flavour: String,
    /// For example `x86_64`.
    pub arch: String,
    /// sha256 over the target's inputs, in hex.
    pub digest: String,
    /// Why nothing new is built for it, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retirement>,
}

/// That nothing new is built for a target. What was built stays, and so do its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retirement {
    /// Who has said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Body of `POST /targets/{target}/retire`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRetirement {
    /// Why, for whoever wants to build for it.
    #[serde(default)]
    pub reason: String,
}

/// Answer of `GET /targets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Targets {
    /// All of them, by id.
    pub targets: Vec<Target>,
}

/// Body of `POST /imports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// For example `debian:6.1.0-50-cloud-amd64`.
    pub target: String,
}

/// How an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// Others come first.
    Waiting,
    /// A server works on it.
    Running,
    /// The target is there.
    Done,
    /// It is not; the reason says why.
    Failed,
}

impl ImportState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Failed];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for ImportState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no state of an import.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of an import: waiting, running, done or failed")]
pub struct UnknownImportState(String);

impl FromStr for ImportState {
    type Err = UnknownImportState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownImportState(text.to_owned()))
    }
}

/// A step of an import that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportStep {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub millis: u64,
}

/// The fetching and preparing of a kernel, in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Import {
    /// Its id.
    pub id: String,
    /// The kernel.
    pub target: String,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub created_at: Timestamp,
    /// When a server began with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it stands.
    pub state: ImportState,
    /// What has been done.
    pub steps: Vec<ImportStep>,
    /// What is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Bytes of that which are done.
    pub done_bytes: u64,
    /// Bytes that it has in all, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `GET /imports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Imports {
    /// The latest ones, newest first.
    pub imports: Vec<Import>,
}

/// A kernel that the distribution's archive has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Kernel {
    /// The target that it would be.
    pub id: String,
    /// The version that an import would take.
    pub package_version: String,
    /// Packages that an import needs and the archive lacks.
    pub missing: Vec<String>,
    /// When it was seen for the first time.
    pub first_seen_at: Timestamp,
    /// Whether it came after the first look, in the last 30 days.
    pub is_new: bool,
}

/// Answer of `GET /archive`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Archive {
    /// When it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<Timestamp>,
    /// Why the last look found nothing out; the kernels are then of an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The stock kernels in it, newest first.
    pub kernels: Vec<Kernel>,
}
