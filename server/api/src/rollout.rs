//! How updates reach hosts.

use crate::Channel;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Body of `POST /updates/{id}/promote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPromotion {
    /// The channel that it goes on to.
    pub channel: Channel,
    /// Why it is good, for the record.
    #[serde(default)]
    pub comment: String,
}

/// That an update entered a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Promotion {
    /// The channel.
    pub channel: Channel,
    /// Name of the token that sent it there.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What the engineer wrote.
    pub comment: String,
}

/// Body of `POST /hosts/{id}/channel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetChannel {
    /// The channel that the host follows from now on.
    pub channel: Channel,
}
