//! Waves: when a host's turn comes.
//!
//! A host's *place* is a number from 0 to 2^48 - 1 that follows from a seed and its
//! id alone: the first six bytes, big-endian, of
//!
//! ```text
//! SHA-256("resplice wave 1\n" SEED "\n" HOST-ID "\n")
//! ```
//!
//! where the id is its hyphenated lower-case text. The next six bytes, as a share of
//! 2^48, are the part of the jitter that the host waits. A wave lets in whoever has a
//! place below a bound; the bounds are chosen when the rollout starts, so that they
//! let in the shares of the hosts that were enrolled then to the last host.

use jiff::{SignedDuration, Timestamp};
use resplice_api::{HostId, WavePlan};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Places are below this.
pub const PLACES: u64 = 1 << 48;

/// A host's place among all, and how much of the jitter is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 0 to 2^48 - 1.
    pub place: u64,
    /// Its part of the jitter, of 2^48.
    pub delay: u64,
}

impl Place {
    /// The place of a host under a seed.
    #[must_use]
    pub fn of(seed: &str, host: HostId) -> Self {
        let text = format!("resplice wave 1\n{seed}\n{host}\n");
        let digest = Sha256::digest(text.as_bytes());
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
        Self {
            place: number(&digest[..6]),
            delay: number(&digest[6..12]),
        }
    }
}

/// A rollout's schedule, as it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Name of the plan that it was made from.
    pub plan: String,
    /// What places follow from: at most 64 characters.
    pub seed: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Hosts wait up to so many seconds longer, each its own part of it.
    pub jitter_s: u32,
    /// In the order of time.
    pub steps: Vec<Step>,
}

/// From when on which places are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds after the beginning.
    pub after_s: u32,
    /// Places below this are let in.
    pub below: u64,
}

impl Wave {
    /// Starts a plan for a fleet. Each step lets in its share of these hosts, rounded
    /// to whole hosts, and at least one; hosts that enrol later have places as well.
    #[must_use]
    pub fn start(
        plan: &WavePlan,
        seed: &str,
        started_at: Timestamp,
        hosts: impl IntoIterator<Item = HostId>,
    ) -> Self {
        let place = |host| Place::of(seed, host).place;
        let mut places: Vec<u64> = hosts.into_iter().map(place).collect();
        places.sort_unstable();
        let steps = plan.steps.iter().map(|step| Step {
            after_s: step.after_s,
            below: bound(&places, step.share),
        });
        Self {
            plan: plan.name.clone(),
            seed: seed.to_owned(),
            started_at,
            jitter_s: plan.jitter_s,
            steps: steps.collect(),
        }
    }

    /// When a host's turn comes; never, if no step lets it in.
    #[must_use]
    pub fn opens_at(&self, host: HostId) -> Option<Timestamp> {
        let Place { place, delay } = Place::of(&self.seed, host);
        let step = self.steps.iter().find(|step| place < step.below)?;
        let jitter = (u128::from(delay) * u128::from(self.jitter_s)) >> 48;
        let jitter = i64::try_from(jitter).unwrap_or(i64::MAX);
        self.after(i64::from(step.after_s).saturating_add(jitter))
    }

    /// When the last host's turn has come; never, if no step lets all in.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        let step = self.steps.iter().find(|step| step.below >= PLACES)?;
        self.after(i64::from(step.after_s) + i64::from(self.jitter_s))
    }

    fn after(&self, seconds: i64) -> Option<Timestamp> {
        let wait = SignedDuration::from_secs(seconds);
        self.started_at.checked_add(wait).ok()
    }
}

/// The bound that lets a share (in ‰) of these places in, which are sorted.
fn bound(places: &[u64], share: u32) -> u64 {
    let count = places.len() as u64;
    let share = u64::from(share.min(1000));
    if share == 1000 {
        return PLACES;
    }
    if count == 0 {
        return PLACES / 1000 * share;
    }
    let hosts = ((count * share + 500) / 1000).max(1);
    let next = usize::try_from(hosts).ok().and_then(|at| places.get(at));
    next.copied().unwrap_or(PLACES)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use resplice_api::{Gate, WaveStep};

    fn plan(shares: &[(u32, u32)]) -> WavePlan {
        WavePlan {
            name: "careful".to_owned(),
            steps: shares
                .iter()
                .map(|&(after_s, share)| WaveStep { after_s, share })
                .collect(),
            jitter_s: 600,
            gate: Gate::default(),
        }
    }

    #[test]
    fn a_place_is_what_the_documentation_says() {
        let host: HostId = "0199b1a2-0000-7000-8000-000000000001".parse().unwrap();
        // printf 'resplice wave 1\nseed\n0199b1a2-0000-7000-8000-000000000001\n' | sha256sum
        let place = Place::of("seed", host);
        assert_eq!(
            format!("{:012x}{:012x}", place.place, place.delay),
            "904d3363ad7dab243e7c5ba4"
        );
    }

    #[test]
    fn a_small_fleet_has_a_first_host() {
        let hosts: Vec<HostId> = (0..7).map(|_| HostId::new()).collect();
        let now = Timestamp::UNIX_EPOCH;
        let wave = Wave::start(&plan(&[(0, 10), (3600, 1000)]), "s", now, hosts.clone());
        let opens = |host: &&HostId| wave.opens_at(**host).unwrap();
        let hour = now + SignedDuration::from_secs(3600);
        assert_eq!(hosts.iter().filter(|host| opens(host) < hour).count(), 1);
        let late = hour + SignedDuration::from_secs(600);
        assert!(hosts.iter().all(|host| opens(&host) < late));
    }

    #[test]
    fn a_fleet_without_hosts_gets_bounds_by_share() {
        let wave = Wave::start(
            &plan(&[(0, 500), (1, 1000)]),
            "s",
            Timestamp::UNIX_EPOCH,
            [],
        );
        assert_eq!(wave.steps[0].below, PLACES / 1000 * 500);
        assert_eq!(wave.steps[1].below, PLACES);
    }
}
