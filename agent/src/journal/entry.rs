//! What stands in the journal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where an update is in its life on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The package is in the cache, unverified.
    Downloaded,
    /// It is authentic and for this kernel.
    Verified,
    /// About to be loaded: its effect is unknown until the next entry.
    Applying,
    /// In effect.
    Applied,
    /// About to be undone.
    Undoing,
    /// No longer in effect.
    Undone,
    /// Not for this host, not authentic, or the running kernel does not match.
    Refused,
    /// Something went wrong on this host; nothing was changed.
    Failed,
    /// Tasks were in the functions to be replaced; nothing was changed.
    Busy,
    /// The host went down while or soon after it was applied: never retried by itself.
    Quarantined,
    /// It was in effect for long enough that a crash is no fault of its own.
    Settled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Downloaded,
        Self::Verified,
        Self::Applying,
        Self::Applied,
        Self::Undoing,
        Self::Undone,
        Self::Refused,
        Self::Failed,
        Self::Busy,
        Self::Quarantined,
        Self::Settled,
    ];

    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Downloaded => "downloaded",
            Self::Verified => "verified",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::Quarantined => "quarantined",
            Self::Settled => "settled",
        }
    }
}

/// On whose word a step was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Somebody at this host's command line.
    Operator,
    /// The server's plan.
    Server,
    /// The agent, when it found out after a crash.
    Agent,
}

/// What a verified package said about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Id in the kernel.
    pub id: String,
    /// One line for people.
    pub name: String,
    /// CVE ids.
    pub cves: Vec<String>,
    /// The kernel objects that it changes, a part each.
    #[serde(default)]
    pub objects: Vec<String>,
    /// How many functions are replaced.
    pub functions: usize,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up from 1.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// The boot it was written in.
    pub boot: String,
    /// The update on the server.
    pub update: String,
    /// What is about to happen, or has happened.
    pub state: State,
    /// On whose word.
    pub by: By,
    /// sha256 of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// From the manifest, once verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
    /// A named code for what was in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The update that has taken its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// How long the kernel stood still, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ns: Option<u64>,
    /// What took how long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Step>,
}

impl Entry {
    /// An entry without number, time and boot, which [`Journal::append`] fills in.
    #[must_use]
    pub fn new(update: &str, state: State, by: By) -> Self {
        Self {
            seq: 0,
            time: Timestamp::UNIX_EPOCH,
            boot: String::new(),
            update: update.to_owned(),
            state,
            by,
            package: None,
            info: None,
            code: None,
            detail: None,
            successor: None,
            pause_ns: None,
            timeline: Vec::new(),
        }
    }
}

/// What the journal says about one update: the newest of everything.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// The newest entry, but `settled`; `downloaded` and `verified` only if nothing
    /// else is known.
    pub last: Entry,
    /// The newest known package.
    pub package: Option<String>,
    /// The package whose parts were applied last.
    pub applied_package: Option<String>,
    /// The newest known description.
    pub info: Option<Info>,
    /// Whether it is to be in effect: it was applied, and not undone since.
    pub wanted: bool,
    /// Whether it has settled since it was last applied.
    pub settled: bool,
    /// Whether its package has settled at any time.
    pub ever_settled: bool,
    /// In how many boots it was applied since it last settled.
    pub unsettled_boots: u32,
    /// The boot that it last settled in.
    #[serde(skip)]
    pub settled_in: Option<String>,
    /// The last boot that was counted as one that it was applied in.
    #[serde(skip)]
    pub counted: Option<String>,
    /// Refused, failed and busy outcomes in a row, for the back-off.
    pub setbacks: u32,
}

impl Record {
    /// What an entry means for what is to be in effect, and whether it has proven
    /// itself. Comes before the entry's own package is taken over.
    pub(super) fn follow(&mut self, entry: &Entry) {
        let other = entry.package.is_some() && entry.package != self.applied_package;
        match entry.state {
            State::Applying if other => {
                self.ever_settled = false;
                self.unsettled_boots = 0;
            }
            State::Applied => {
                if !self.wanted || self.settled_in.as_deref() != Some(entry.boot.as_str()) {
                    self.settled = false;
                }
                if self.counted.as_deref() != Some(entry.boot.as_str()) {
                    self.counted = Some(entry.boot.clone());
                    self.unsettled_boots += 1;
                }
                self.wanted = true;
            }
            State::Settled => {
                self.settled = true;
                self.ever_settled = true;
                self.unsettled_boots = 0;
                self.settled_in = Some(entry.boot.clone());
            }
            State::Undone | State::Quarantined => self.wanted = false,
            _ => {}
        }
    }
}
