//! Channels: how far an update has got, and how far a host waits for it.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A channel. An update goes from edge to stable; a host follows one channel and
/// gets what has got there or further.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Where a release begins, unless asked otherwise.
    Edge,
    /// Good on edge.
    Candidate,
    /// For everybody; what hosts follow, unless asked otherwise.
    #[default]
    Stable,
}

impl Channel {
    /// Every channel, in the order in which updates go through them.
    pub const ALL: [Self; 3] = [Self::Edge, Self::Candidate, Self::Stable];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Candidate => "candidate",
            Self::Stable => "stable",
        }
    }

    /// Whether a host that follows this channel gets an update that has got to
    /// `reached`.
    #[must_use]
    pub fn gets(self, reached: Self) -> bool {
        reached >= self
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no channel: edge, candidate or stable")]
pub struct UnknownChannel(String);

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == text)
            .ok_or_else(|| UnknownChannel(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_channel_has_one_word_in_json_text_and_database() {
        for channel in Channel::ALL {
            let json = serde_json::to_string(&channel).unwrap();
            assert_eq!(json, format!("\"{channel}\""));
            assert_eq!(channel.as_str().parse::<Channel>().unwrap(), channel);
        }
        assert!("Edge".parse::<Channel>().is_err());
    }

    #[test]
    fn a_host_gets_what_has_got_to_its_channel_or_further() {
        let gets = |host: Channel| Channel::ALL.map(|reached| host.gets(reached));
        assert_eq!(gets(Channel::Edge), [true; 3]);
        assert_eq!(gets(Channel::Candidate), [false, true, true]);
        assert_eq!(gets(Channel::Stable), [false, false, true]);
    }
}
