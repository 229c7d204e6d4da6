//! Restarts: what was in effect is put back before the network is there, and what a
//! crash followed closely is not.
//!
//! `resplice boot` notes each boot, `resplice boot --end` that it ended as it should;
//! so a boot that has a note and no end was a crash, a panic, a power cut. An update
//! *settles* once it has been in effect for [`WINDOW`], which the agent notes the
//! next time that it is at work after that, or once its boot has ended well. What had
//! never settled when its boot crashed is quarantined; what had settled before, in an
//! earlier boot, is given one more try: a host that loses its power twice in a row
//! soon after its restart quarantines it as well.

use crate::{
    agent::{Agent, Outcome, key},
    journal::{By, Entry, Record, State},
    pause::{self, Pause},
    state::StateDir,
    vouch::{self, Revocations},
};
use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use resplice_package::Package;
use resplice_tuf::{Store, kept::Kept};
use serde::{Deserialize, Serialize};

/// How long an update has to be in effect before a crash is no fault of its own.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// The code of an update that a crash followed closely.
pub const CRASHED: &str = "crashed";
/// After that many boots that crashed an update is quarantined even if it had
/// settled once.
const TRIES: u32 = 2;
const FILE: &str = "boot.json";

/// The newest boot that `resplice boot` was run in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// Its id.
    boot: String,
    /// When it was noted.
    began: Timestamp,
    /// When it ended as it should.
    ended: Option<Timestamp>,
}

impl Boot {
    /// The newest boot that was noted; none if there was none.
    ///
    /// # Errors
    /// If the note is damaged.
    pub fn last(state: &StateDir) -> Result<Option<Self>> {
        state.read_json(FILE)
    }
}

impl Agent {
    /// Quarantines what crashed the last boot, and notes what has settled in this
    /// one. Safe to repeat.
    ///
    /// # Errors
    /// If the journal can't be written or the note on the last boot be read.
    pub fn learn_from_boots(&mut self) -> Result<()> {
        let crashed = Boot::last(&self.state)?
            .filter(|last| last.ended.is_none() && last.boot != self.journal.boot());
        for (update, record) in self.journal.records() {
            if record.last.state != State::Applied {
                continue;
            }
            if crashed
                .as_ref()
                .is_some_and(|last| last.boot == record.last.boot)
                && is_to_blame(&record)
            {
                self.journal.append(quarantine(&update))?;
            } else if record.last.boot == self.journal.boot() && self.has_settled(&record) {
                self.journal
                    .append(Entry::new(&update, State::Settled, By::Agent))?;
            }
        }
        Ok(())
    }

    /// A clock that was set forward says nothing: the host must be up as long.
    fn has_settled(&self, record: &Record) -> bool {
        let age = Timestamp::now().duration_since(record.last.time);
        let up = SignedDuration::try_from(self.host.uptime).unwrap_or(SignedDuration::MAX);
        !record.settled && age >= WINDOW && up >= WINDOW
    }

    /// Notes that this boot has begun, once.
    ///
    /// # Errors
    /// If that can't be written.
    pub fn boot_began(&self) -> Result<()> {
        let last = Boot::last(&self.state)?;
        if last.is_some_and(|last| last.boot == self.journal.boot()) {
            return Ok(());
        }
        self.note_boot(None)
    }

    /// Notes that this boot ends as it should, and that what is in effect had no
    /// part in any crash.
    ///
    /// # Errors
    /// If journal or note can't be written.
    pub fn boot_ended(&mut self) -> Result<()> {
        let this = self.journal.boot().to_owned();
        for (update, record) in self.journal.records() {
            let here = record.last.state == State::Applied && record.last.boot == this;
            if here && !record.settled {
                self.journal
                    .append(Entry::new(&update, State::Settled, By::Agent))?;
            }
        }
        self.note_boot(Some(Timestamp::now()))
    }

    fn note_boot(&self, ended: Option<Timestamp>) -> Result<()> {
        let began = Boot::last(&self.state)?
            .filter(|last| last.boot == self.journal.boot())
            .map_or_else(Timestamp::now, |last| last.began);
        self.state.write_json(
            FILE,
            &Boot {
                boot: self.journal.boot().to_owned(),
                began,
                ended,
            },
        )
    }

    /// Puts back what was in effect when the last boot ended, in the order in which
    /// it had come, from the packages on disk and without asking anybody. What the
    /// repository, as far as it is known here, says to undo stays out, and all of it
    /// while the host is paused.
    ///
    /// # Errors
    /// If the journal can't be written or the kernel can't be asked; what is in the
    /// way of a single update is its [`Outcome`].
    pub fn reapply(&mut self) -> Result<Vec<Outcome>> {
        let mut lost: Vec<(String, Record)> = Vec::new();
        for (update, record) in self.journal.records() {
            if record.wanted && !self.is_settled_here(&record)? {
                lost.push((update, record));
            }
        }
        lost.sort_by_key(|(_, record)| record.last.seq);
        let paused = Pause::in_force(&self.state, Timestamp::now())?.is_some();
        let revocations = self.known_revocations();
        let mut outcomes = Vec::new();
        for (update, record) in lost {
            if revocations.get(&update).is_some_and(|revoked| revoked.undo) {
                continue;
            }
            outcomes.push(match paused {
                true => not_done(&update, &record, pause::REASON, "this host is paused"),
                false => self.reapply_one(&update, &record)?,
            });
        }
        Ok(outcomes)
    }

    /// What is known to be revoked, without asking anybody. A damaged repository says
    /// nothing here; the next poll brings another.
    #[must_use]
    pub fn known_revocations(&self) -> Revocations {
        let kept = Store::open(&self.state.repository()).and_then(|store| Kept::read(&store));
        match kept.map(|kept| kept.targets) {
            Ok(Some(targets)) => vouch::revocations(&targets, &self.enrolment.target),
            _ => Revocations::new(),
        }
    }

    /// Whether nothing is to be done about it in this boot: it is in effect, or
    /// somebody or something took it out since.
    fn is_settled_here(&self, record: &Record) -> Result<bool> {
        let here = record.last.boot == self.journal.boot();
        let out = here && matches!(record.last.state, State::Applied | State::Refused);
        let live = match &record.info {
            Some(info) => self.kernel.update(&info.id)?,
            None => None,
        };
        Ok(out || live.is_some_and(|live| live.is_applied()))
    }

    fn reapply_one(&mut self, update: &str, record: &Record) -> Result<Outcome> {
        match self.package_to_put_back(update, record) {
            Ok(package) => self.apply(&package, By::Agent, Vec::new()),
            Err(outcome) => Ok(*outcome),
        }
    }

    /// The package that an update was applied from, or if it never was its newest one,
    /// from the disk and verified.
    ///
    /// # Errors
    /// Why it is not put back. Nothing is noted of that: what is for another kernel,
    /// for example, is put back with its own one again.
    pub fn package_to_put_back(
        &self,
        update: &str,
        record: &Record,
    ) -> Result<Package, Box<Outcome>> {
        let not = |code: &str, sentence: &str| Box::new(not_done(update, record, code, sentence));
        let sha256 = record.applied_package.as_ref().or(record.package.as_ref());
        let sha256 = sha256.map(String::as_str).unwrap_or_default();
        let missing = "its package is not on disk any more: the next poll fetches it";
        let Ok(Some(bytes)) = self.cached_package(sha256) else {
            return Err(not("missing", missing));
        };
        let package = self
            .verify(&bytes, None)
            .map_err(|refusal| not(refusal.code, &refusal.sentence))?;
        if key(&package) != update {
            let sentence = format!("its package is of the update {}", key(&package));
            return Err(not("update", &sentence));
        }
        Ok(package)
    }
}

/// Whether a crash of the boot that an update was last applied in is laid at its door.
fn is_to_blame(record: &Record) -> bool {
    !record.settled && (!record.ever_settled || record.unsettled_boots >= TRIES)
}

fn quarantine(update: &str) -> Entry {
    let mut entry = Entry::new(update, State::Quarantined, By::Agent);
    entry.code = Some(CRASHED.to_owned());
    entry.detail = Some(format!(
        "the host went down within {} min after this update was applied: it will not be tried again by itself (`resplice apply --force` tries it)",
        WINDOW.as_mins()
    ));
    entry
}

fn not_done(update: &str, record: &Record, code: &str, sentence: &str) -> Outcome {
    let info = record.info.as_ref();
    Outcome {
        update: update.to_owned(),
        id: info.map(|info| info.id.clone()),
        name: info.map(|info| info.name.clone()),
        state: State::Failed,
        code: Some(code.to_owned()),
        detail: Some(sentence.to_owned()),
        functions: 0,
        pause_ns: None,
        timeline: Vec::new(),
    }
}

#[cfg(test)]
#[path = "boot_test.rs"]
mod tests;
