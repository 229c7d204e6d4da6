//! Kernel targets that the server can build for.

use serde::{Deserialize, Serialize};

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
}

/// Answer of `GET /targets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Targets {
    /// All of them, by id.
    pub targets: Vec<Target>,
}
