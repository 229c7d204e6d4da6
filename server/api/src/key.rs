//! The keys that the server's word rests on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Answer of `GET /keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Keys {
    /// The roles of the TUF repository, from the root on.
    pub roles: Vec<RoleKeys>,
    /// Whether releases wait for `resplice-server keys sign`.
    pub waiting: bool,
    /// The key of the transparency log, as C2SP signed-note writes it.
    pub log: String,
    /// The key that signs jobs, 64 hex digits: what workers are started with.
    pub jobs: String,
}

/// A role of the TUF repository: its keys, and the file that they have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleKeys {
    /// Its name.
    pub role: String,
    /// Ids of its keys.
    pub keys: Vec<String>,
    /// How many of them must sign.
    pub threshold: u32,
    /// How many of them lie on the server.
    pub here: u32,
    /// Whether they can be kept away from the server.
    pub offline: bool,
    /// The version of its file; 0 before the first.
    pub version: u64,
    /// When its file is void.
    pub expires: Option<Timestamp>,
}
