//! A released update, and what has happened to it.

use jiff::Timestamp;
use resplice_api::{Channel, UpdateId};
use std::collections::BTreeSet;

/// A released update, with what may be told about it.
#[derive(Debug, Clone)]
pub struct Update {
    /// Its id.
    pub id: UpdateId,
    /// One line for people; not empty.
    pub name: String,
    /// Anything else, for people.
    pub notes: String,
    /// CVE ids that it fixes.
    pub cves: Vec<String>,
    /// What it was built into, by target.
    pub packages: Vec<Package>,
    /// The channels that it got to, oldest first; the first one is its release.
    pub entered: Vec<Entered>,
    /// The released updates that took its place.
    pub superseded_by: Vec<Successor>,
    /// That it was taken back, and each time that this went further, oldest first.
    pub revoked: Vec<Revoked>,
}

/// The package of an update for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The target's id.
    pub target: String,
    /// sha256 of the package in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// That an update got to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// The channel.
    pub channel: Channel,
    /// When.
    pub at: Timestamp,
}

/// That another update took the place of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Successor {
    /// The newer one.
    pub id: UpdateId,
    /// When it was released.
    pub at: Timestamp,
    /// When it was taken back itself: then this one takes its place again.
    pub revoked: Option<Timestamp>,
}

/// That an update was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Whether hosts undo it; otherwise it stays where it runs.
    pub undo: bool,
}

/// What has happened to an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// It got to a channel.
    Entered(Channel),
    /// Another one took its place.
    Superseded(UpdateId),
    /// The one that had taken its place was taken back.
    Reinstated(UpdateId),
    /// It was taken back.
    Revoked(&'a Revoked),
}

impl Update {
    /// The id of what is told about it.
    #[must_use]
    pub fn advisory(&self) -> String {
        format!("{}-{}", crate::osv::PREFIX, self.id)
    }

    /// When it was released.
    #[must_use]
    pub fn released(&self) -> Timestamp {
        self.entered.first().map_or(Timestamp::UNIX_EPOCH, |e| e.at)
    }

    /// All that has happened to it, oldest first. There is a release, at least.
    #[must_use]
    pub fn changes(&self) -> Vec<(Timestamp, Change<'_>)> {
        let entered = self.entered.iter();
        let mut changes: Vec<_> = entered
            .map(|e| (e.at, Change::Entered(e.channel)))
            .collect();
        if changes.is_empty() {
            changes.push((self.released(), Change::Entered(Channel::Edge)));
        }
        let newer = self.superseded_by.iter();
        changes.extend(newer.map(|newer| (newer.at, Change::Superseded(newer.id))));
        let gone = self.superseded_by.iter();
        changes.extend(gone.filter_map(|gone| Some((gone.revoked?, Change::Reinstated(gone.id)))));
        changes.extend(self.revoked.iter().map(|r| (r.at, Change::Revoked(r))));
        // Nothing happens to it before its release, whatever the clocks say.
        let first = self.released();
        for (at, _) in &mut changes {
            *at = first.max(*at);
        }
        changes.sort_by_key(|(at, _)| *at);
        changes
    }

    /// How it was taken back, at last.
    #[must_use]
    pub fn revocation(&self) -> Option<&Revoked> {
        self.revoked.last()
    }

    /// When something happened to it last.
    #[must_use]
    pub fn changed(&self) -> Timestamp {
        let last = self.changes().last().map(|(at, _)| *at);
        last.unwrap_or_else(|| self.released())
    }

    /// When it got to a channel, or past it; none if it has not.
    #[must_use]
    pub fn reached(&self, channel: Channel) -> Option<Timestamp> {
        let mut entered = self.entered.iter();
        entered.find(|e| channel.gets(e.channel)).map(|e| e.at)
    }

    /// Its CVE ids that are such, each of them once, and the other ids.
    pub(crate) fn vulnerabilities(&self) -> (Vec<&str>, Vec<&str>) {
        let all: BTreeSet<&str> = self.cves.iter().map(String::as_str).collect();
        all.into_iter().partition(|id| is_cve(id))
    }
}

impl Change<'_> {
    /// What happened, in a sentence without its full stop.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Entered(channel) => format!("Released to the channel {channel}"),
            Self::Superseded(newer) => format!("Superseded by the update {newer}"),
            Self::Reinstated(newer) => {
                format!("The update {newer}, which had superseded it, was revoked")
            }
            Self::Revoked(revoked) => {
                let undo = if revoked.undo {
                    "hosts undo it"
                } else {
                    "it stays where it runs"
                };
                match revoked.reason.trim() {
                    "" => format!("Revoked: {undo}"),
                    reason => format!("Revoked: {undo}. Reason: {reason}"),
                }
            }
        }
    }
}

/// Whether it is a CVE id: a year and four or more digits.
fn is_cve(id: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let parts = id.strip_prefix("CVE-").and_then(|id| id.split_once('-'));
    parts.is_some_and(|(year, number)| {
        year.len() == 4 && digits(year) && number.len() >= 4 && digits(number)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(crate) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    pub(crate) fn example() -> Update {
        Update {
            id: "01990000-0000-7000-8000-000000000001".parse().unwrap(),
            name: "ipv6: check the routing header's length".to_owned(),
            notes: "Found by a fuzzer.".to_owned(),
            cves: vec!["CVE-2026-72400".to_owned()],
            packages: ["debian:6.1.0-50-cloud-amd64", "debian:6.1.0-50-amd64"]
                .map(|target| Package {
                    target: target.to_owned(),
                    sha256: "ab".repeat(32),
                    bytes: 20_000,
                })
                .to_vec(),
            entered: vec![Entered {
                channel: Channel::Edge,
                at: at(0),
            }],
            superseded_by: Vec::new(),
            revoked: Vec::new(),
        }
    }

    pub(crate) fn revoked() -> Update {
        Update {
            revoked: vec![Revoked {
                at: at(60),
                reason: "it loses packets".to_owned(),
                undo: true,
            }],
            ..example()
        }
    }

    #[test]
    fn changes_are_in_the_order_of_time_and_none_is_before_the_release() {
        let mut update = revoked();
        update.entered.push(Entered {
            channel: Channel::Stable,
            at: at(30),
        });
        update.superseded_by.push(Successor {
            id: update.id,
            at: at(-5),
            revoked: Some(at(40)),
        });
        let changes = update.changes();
        let times: Vec<_> = changes.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [at(0), at(0), at(30), at(40), at(60)]);
        assert_eq!(update.changed(), at(60));
        assert_eq!(update.reached(Channel::Candidate), Some(at(30)));
        assert_eq!(example().reached(Channel::Candidate), None);
    }

    #[test]
    fn only_a_cve_id_is_one_and_each_is_named_once() {
        let mut update = example();
        update.cves = [
            "CVE-2026-72400",
            "CVE-2026-72400",
            "CVE-26-1",
            "GHSA-1",
            "CVE-2026-12x4",
        ]
        .map(str::to_owned)
        .to_vec();
        let (cves, others) = update.vulnerabilities();
        assert_eq!(cves, ["CVE-2026-72400"]);
        assert_eq!(others, ["CVE-2026-12x4", "CVE-26-1", "GHSA-1"]);
    }
}
