//! The fleet as a whole, and one host in full.

use crate::{Channel, Host, HostReport, Plan, ReportEvent, Rollout, RolloutState, UpdateId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Answer of `GET /fleet`. It may be a few seconds old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fleet {
    /// When it was counted.
    pub at: Timestamp,
    /// Number of enrolled hosts.
    pub hosts: u64,
    /// How many of them are silent.
    pub silent: u64,
    /// After how many seconds without a word a host is called silent.
    pub silent_after_s: u64,
    /// Hosts by the channel that they follow.
    pub channels: Vec<HostCount>,
    /// Hosts by their target.
    pub targets: Vec<HostCount>,
    /// Released updates, newest first.
    pub updates: Vec<FleetUpdate>,
    /// What keeps updates from hosts, the most frequent first.
    pub troubles: Vec<Trouble>,
    /// CVEs that some update is for, those that most hosts are open to first.
    pub cves: Vec<FleetCve>,
    /// When what is in effect came to be so: the days of the last month.
    pub days: Vec<FleetDay>,
    /// How long hosts stood still for what is in effect.
    pub pauses: Vec<PauseCount>,
}

/// A number of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostCount {
    /// What they have in common.
    pub name: String,
    /// How many they are.
    pub hosts: u64,
    /// How many of these are silent.
    pub silent: u64,
}

/// Where a released update has got to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FleetUpdate {
    /// The update.
    pub update_id: UpdateId,
    /// One line for people.
    pub name: String,
    /// CVE ids that it fixes.
    pub cves: Vec<String>,
    /// The channel that it has got to.
    pub channel: Channel,
    /// When it was released.
    pub released_at: Timestamp,
    /// How its rollout stands, if it goes out in waves.
    pub rollout: Option<RolloutState>,
    /// Whether a released update takes its place.
    pub superseded: bool,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Hosts that have one of its targets, and get what is in its channel.
    pub hosts: u64,
    /// Hosts that it is in effect on.
    pub applied: u64,
    /// Hosts that could not apply it.
    pub failed: u64,
    /// Hosts that try again.
    pub busy: u64,
}

/// One kind of what keeps an update from hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Trouble {
    /// The update.
    pub update_id: UpdateId,
    /// One line for people.
    pub name: String,
    /// What the hosts said last.
    pub event: ReportEvent,
    /// The named code that they gave.
    pub code: Option<String>,
    /// How many said so.
    pub hosts: u64,
}

/// How far the fix of a vulnerability has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FleetCve {
    /// Its id.
    pub cve: String,
    /// Hosts with a target that some update for it was made for.
    pub hosts: u64,
    /// How many of these run no update for it.
    pub open: u64,
    /// The same by target.
    pub targets: Vec<CveTarget>,
}

/// The fix of a vulnerability for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CveTarget {
    /// Id of the target.
    pub target: String,
    /// Hosts that have it.
    pub hosts: u64,
    /// How many of these run an update for the vulnerability.
    pub fixed: u64,
    /// The update that has got furthest.
    pub update_id: UpdateId,
    /// How far.
    pub stage: CveStage,
}

/// How far a fix has got, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CveStage {
    /// It was released and taken back.
    Revoked,
    /// The build came out without a package, or an engineer rejected what came out.
    Failed,
    /// It is queued or being built.
    Building,
    /// It waits for its release.
    Built,
    /// Hosts can have it.
    Released,
}

/// What came into effect on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FleetDay {
    /// When the day began, in UTC.
    pub day: Timestamp,
    /// Updates on hosts: two on one host are two.
    pub applied: u64,
}

/// How many updates stopped a host for so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PauseCount {
    /// Upper bound in microseconds; none for what is longer than all others.
    pub below_us: Option<u64>,
    /// Updates on hosts.
    pub hosts: u64,
}

/// Answer of `GET /updates/{id}/progress`: what became of an update over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// When its rollout began, or it was released.
    pub from: Timestamp,
    /// Now.
    pub to: Timestamp,
    /// Hosts that it is for now.
    pub hosts: u64,
    /// Its rollout, if it goes out in waves.
    pub rollout: Option<Rollout>,
    /// Numbers that add up over time; a moment at which nothing changed is left out.
    pub points: Vec<ProgressPoint>,
}

/// How an update stood at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProgressPoint {
    /// When.
    pub at: Timestamp,
    /// Hosts that had been offered it in waves.
    pub offered: u64,
    /// Hosts that it was in effect on, of those where it is now.
    pub applied: u64,
    /// Hosts that had failed to apply it, and have not since.
    pub failed: u64,
}

/// Answer of `GET /hosts/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostDetail {
    /// The host.
    pub host: Host,
    /// What it should run, as it would hear it now.
    pub plan: Plan,
    /// Updates that it has said something of, the latest first.
    pub updates: Vec<HostUpdate>,
    /// Its latest reports, newest first.
    pub reports: Vec<HostReport>,
}

/// How an update stands on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostUpdate {
    /// The update.
    pub update_id: UpdateId,
    /// One line for people.
    pub name: String,
    /// CVE ids that it fixes.
    pub cves: Vec<String>,
    /// What the host said last.
    pub event: ReportEvent,
    /// The named code that it gave.
    pub code: Option<String>,
    /// Whether it is in effect.
    pub in_effect: bool,
    /// When it said so.
    pub at: Timestamp,
}
