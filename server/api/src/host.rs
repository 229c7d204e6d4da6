//! Hosts: enrolment, what they should run, and what they say they did.

use crate::{Channel, HostId, ReportId, Step, Token, UpdateId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Body of `POST /hosts/enrol`, sent with the enrolment token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// The host's name.
    pub name: String,
    /// Its own ed25519 public key, 64 hex digits.
    pub public_key: String,
    /// What `uname -r` says.
    pub release: String,
    /// Id of its target, for example `debian:6.1.0-50-cloud-amd64`.
    pub target: String,
    /// The channel that it follows; stable, or what it followed before, if it is
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// When this was signed, by the host's clock; later than the same key's last
    /// enrolment, so that none can be replayed.
    pub at: Timestamp,
    /// The key's signature over [`Self::signed`], 128 hex digits: whoever enrols
    /// has the host's own key.
    #[serde(default)]
    pub signature: String,
}

impl Enrol {
    /// What is signed: a line for what this is, then one for each of name, public
    /// key, release, target, channel (`-` for none) and time in microseconds since
    /// 1970; each ends in a line feed. None of them has one inside.
    #[must_use]
    pub fn signed(&self) -> String {
        format!(
            "resplice enrolment 1\n{}\n{}\n{}\n{}\n{}\n{}\n",
            self.name,
            self.public_key,
            self.release,
            self.target,
            self.channel.map_or("-", Channel::as_str),
            self.at.as_microsecond(),
        )
    }
}

/// Answer to an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Enrolled {
    /// The host's id.
    pub host_id: HostId,
    /// The host's own token; it is shown this once.
    pub token: Token,
    /// Keys whose packages the host may trust, 64 hex digits each.
    pub worker_keys: Vec<String>,
    /// The TUF repository's newest root file, which the host begins with.
    pub root: String,
    /// The key of the server's transparency log, as C2SP signed-note writes it.
    pub log_key: String,
}

/// What a package is called in the server's TUF repository: the update, and the
/// target that it was built for, with all but letters, digits, `.`, `_` and `-`
/// as `-`.
#[must_use]
pub fn package_target(update: UpdateId, target: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let target: String = target
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    format!("{update}.{target}.rspl")
}

/// Answer of `GET /hosts/{id}/plan`: what the host should run. Its ETag stays
/// the same as long as its content does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plan {
    /// The channel that the host follows.
    #[serde(default)]
    pub channel: Channel,
    /// Released updates for the host's target, in the order of their release.
    pub updates: Vec<PlannedUpdate>,
    /// Released updates that it should undo. The repository has the last word: an agent undoes
    /// what that says is revoked.
    pub undo: Vec<UpdateId>,
    /// Updates of its channel that are not offered to it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldUpdate>,
}

/// An update that a host does not get yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeldUpdate {
    /// The update.
    pub update_id: UpdateId,
    /// One line for people.
    pub name: String,
    /// From when on, if nothing stops it.
    pub from: Option<Timestamp>,
    /// Why not, if it is stopped.
    pub reason: Option<String>,
}

/// An update that a host should run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedUpdate {
    /// The update.
    pub update_id: UpdateId,
    /// One line for people.
    pub name: String,
    /// Its package: `GET /packages/{sha256}`.
    pub package_sha256: String,
    /// The package's size in bytes.
    pub bytes: u64,
    /// Id of the target that it is for.
    pub target: String,
    /// When it was released.
    pub released_at: Timestamp,
}

/// What a host did with an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReportEvent {
    /// It runs now.
    Applied,
    /// It does not run any more.
    Undone,
    /// The running kernel or the package was not what it must be.
    Refused,
    /// Something else went wrong.
    Failed,
    /// A task sits in a function that is to be replaced; it will be tried again.
    Busy,
}

impl ReportEvent {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Undone => "undone",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Busy => "busy",
        }
    }
}

/// Body of `POST /hosts/{id}/reports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewReport {
    /// The update.
    pub update_id: UpdateId,
    /// What happened.
    pub event: ReportEvent,
    /// The report of the kernel core or the reason, for people.
    #[serde(default)]
    pub detail: String,
    /// A named code for what was in the way, such as `quarantined`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How long all CPUs stood still, in nanoseconds.
    #[serde(default)]
    pub pause_ns: Option<u64>,
    /// What the host did, step by step: `download`, `verify`, `apply`.
    #[serde(default)]
    pub timeline: Vec<Step>,
}

/// A report as the server keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostReport {
    /// Its id.
    pub id: ReportId,
    /// The host.
    pub host_id: HostId,
    /// The host's name.
    pub host_name: String,
    /// The update.
    pub update_id: UpdateId,
    /// What happened.
    pub event: ReportEvent,
    /// The report of the kernel core or the reason, for people.
    pub detail: String,
    /// A named code for what was in the way, such as `quarantined`.
    pub code: Option<String>,
    /// How long all CPUs stood still, in nanoseconds.
    pub pause_ns: Option<u64>,
    /// What the host did, step by step.
    pub timeline: Vec<Step>,
    /// When the server got it.
    pub received_at: Timestamp,
}

/// An enrolled host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// Id of its target.
    pub target: String,
    /// What `uname -r` said when it enrolled.
    pub release: String,
    /// The channel that it follows.
    pub channel: Channel,
    /// Its own ed25519 public key, 64 hex digits.
    pub public_key: String,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it last asked for its plan or reported.
    pub last_seen_at: Timestamp,
    /// Updates that run there, by its latest reports.
    pub applied: Vec<UpdateId>,
    /// Updates that it could not apply, by its latest reports.
    #[serde(default)]
    pub failed: Vec<UpdateId>,
    /// The groups that it is in.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Answer of `GET /hosts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hosts {
    /// One page, by name.
    pub hosts: Vec<Host>,
    /// Give this as `after` to get the next page.
    pub next: Option<HostId>,
}
