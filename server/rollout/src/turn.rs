//! Whether it is a host's turn, as the server sees it: the signed schedule, later by
//! the time that the rollout was held, and not at all while it is.

use crate::Wave;
use jiff::{SignedDuration, Timestamp};
use resplice_api::{HostId, RolloutState};

/// How a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether it runs.
    pub state: RolloutState,
    /// Why not, if it does not.
    pub reason: String,
    /// How long it was held before, in microseconds.
    pub held_us: u64,
    /// The schedule.
    pub wave: Wave,
}

/// Whether a host is offered an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// From then on, if nothing stops it.
    At(Timestamp),
    /// Not while things are as they are.
    Held(String),
}

impl Standing {
    /// Whether it is a host's turn. Where it runs already, it stays.
    #[must_use]
    pub fn turn(&self, host: HostId, applied: bool, now: Timestamp) -> Turn {
        if applied {
            return Turn::Now;
        }
        match self.state {
            RolloutState::Running => {}
            state => return Turn::Held(format!("{}: {}", state.as_str(), self.reason)),
        }
        let held = SignedDuration::from_micros(i64::try_from(self.held_us).unwrap_or(i64::MAX));
        let opens = self.wave.opens_at(host);
        match opens.and_then(|opens| opens.checked_add(held).ok()) {
            Some(opens) if opens <= now => Turn::Now,
            Some(opens) => Turn::At(opens),
            None => Turn::Held("the plan does not reach this host".to_owned()),
        }
    }
}
