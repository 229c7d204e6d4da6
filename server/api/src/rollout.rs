//! How updates reach hosts.

use crate::{Channel, UpdateId};
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
    /// Name of the wave plan by which hosts get it; all at once, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
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

/// A named plan for waves: body of `POST /wave-plans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WavePlan {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// In the order of time; shares grow, and the last one is 1000.
    pub steps: Vec<WaveStep>,
    /// A host waits up to so many seconds longer, each its own part of it.
    #[serde(default)]
    pub jitter_s: u32,
    /// When a rollout stops by itself; never, if this is left out.
    #[serde(default)]
    pub gate: Gate,
}

/// One step of a [`WavePlan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WaveStep {
    /// Seconds after the rollout's beginning.
    pub after_s: u32,
    /// The share of hosts that have it offered from then on, in ‰.
    pub share: u32,
}

/// When a rollout pauses by itself. It never resumes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Hosts that could not apply it: their latest word is failed or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Limit>,
    /// Hosts that went down with it: they say so, or they applied it and have been
    /// silent since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crashed: Option<Limit>,
    /// Hosts that were offered it, said nothing of it and have been silent since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Limit>,
    /// How long a host that neither polls nor reports is not yet silent, in seconds:
    /// some polls' length.
    #[serde(default = "an_hour")]
    pub silent_after_s: u32,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            failed: None,
            crashed: None,
            lost: None,
            silent_after_s: an_hour(),
        }
    }
}

fn an_hour() -> u32 {
    3600
}

/// How many hosts are too many: so many, and such a share of those that were
/// offered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Hosts; at least 1.
    pub hosts: u32,
    /// Share of the hosts that were offered it, in ‰.
    #[serde(default)]
    pub share: u32,
}

/// What became of a rollout since it was started, or resumed last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tally {
    /// Hosts whose plan had the update.
    pub offered: u64,
    /// Those where it runs, by their latest word.
    pub applied: u64,
    /// Those that could not apply it.
    pub failed: u64,
    /// Those that went down with it.
    pub crashed: u64,
    /// Those that said nothing of it and have been silent since.
    pub lost: u64,
}

/// How a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Hosts get the update as their turns come.
    Running,
    /// An engineer has stopped it.
    Halted,
    /// Its gate has stopped it.
    Paused,
}

impl RolloutState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Halted => "halted",
            Self::Paused => "paused",
        }
    }
}

impl std::str::FromStr for RolloutState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Running, Self::Halted, Self::Paused]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// A word that is no state of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a rollout")]
pub struct UnknownState(String);

/// Answer of `GET /updates/{id}/rollout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rollout {
    /// The update.
    pub update_id: UpdateId,
    /// The channel that it was started for.
    pub channel: Channel,
    /// The plan as it was then.
    pub plan: WavePlan,
    /// How it stands.
    pub state: RolloutState,
    /// Why it does not run.
    pub reason: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// How long it has been held in all, in seconds; its steps come so much later.
    pub held_s: u64,
    /// What became of it.
    pub tally: Tally,
}

/// Body of `POST /updates/{id}/halt` and `/resume`, and of `/groups/{name}/freeze`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why, for the record and the hosts.
    #[serde(default)]
    pub reason: String,
}

/// Body of `POST /hosts/{id}/groups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetGroups {
    /// All groups that the host is in from now on; names as those of plans.
    pub groups: Vec<String>,
}

/// A group of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many hosts are in it.
    pub hosts: u64,
    /// Why it is frozen: its hosts are offered nothing new.
    pub frozen: Option<String>,
}

/// Answer of `GET /groups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Groups {
    /// All of them, by name.
    pub groups: Vec<Group>,
}

/// Answer of `GET /wave-plans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WavePlans {
    /// All of them, by name.
    pub plans: Vec<WavePlan>,
}
