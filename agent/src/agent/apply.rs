//! Handing a verified update to the kernel.

use super::{Agent, Outcome, TRIES, explain, info, key, parts::waiting, timed};
use crate::{
    journal::{By, Entry, State, Step},
    kernel::{LiveUpdate, Load},
    text,
};
use anyhow::{Result, bail};
use resplice_package::Package;

impl Agent {
    /// Applies a verified package. `timeline` holds the steps that led here.
    ///
    /// # Errors
    /// If the journal can't be written; everything else is an [`Outcome`].
    pub fn apply(&mut self, package: &Package, by: By, mut timeline: Vec<Step>) -> Result<Outcome> {
        let update = key(package);
        let info = info(package);
        let before = self.kernel.update(&info.id)?;
        if let Some(live) = &before {
            // Left over from a check or an undo that was cut short.
            self.unload_idle(live);
            if live.is_applied() {
                let mut entry = Entry::new(update, State::Applied, by);
                entry.pause_ns = live.pause_ns;
                if let Some(sentence) = self.other_package(update, package) {
                    entry.code = Some("package".to_owned());
                    entry.detail = Some(sentence);
                    return self.finish(entry, Some(&info));
                }
                if !self.has_more_to_patch(&info, before.as_ref())? {
                    let here = "it was in effect already".to_owned();
                    let absent = waiting(&self.waits_for(&info)?);
                    entry.detail = Some(
                        [Some(here), absent]
                            .into_iter()
                            .flatten()
                            .collect::<Vec<_>>()
                            .join("\n"),
                    );
                    return self.finish(entry, Some(&info));
                }
            }
        }
        let was_applied = before.is_some_and(|live| live.is_applied());
        let mut wait = self.busy_wait;
        for attempt in 1.. {
            let mut entry = Entry::new(update, State::Applying, by);
            entry.package = Some(package.digest().to_owned());
            entry.info = Some(info.clone());
            self.journal.append(entry)?;
            let end = timed(&mut timeline, "apply", || self.load(package));
            let mut entry = Entry::new(update, State::Failed, by);
            entry.package = Some(package.digest().to_owned());
            match end {
                Ok(Load::Done) => {
                    let live = self.kernel.update(&info.id)?;
                    match live.filter(LiveUpdate::is_applied) {
                        Some(live) => {
                            entry.state = State::Applied;
                            entry.pause_ns = live.pause_ns;
                            entry.detail = waiting(&self.waits_for(&info)?);
                            self.note_superseded(&package.manifest().supersedes, update, by)?;
                        }
                        None => {
                            entry.detail = Some(
                                "the kernel took the module, but does not say that it is applied"
                                    .to_owned(),
                            );
                        }
                    }
                }
                Ok(Load::Refused { report, stderr }) => explain(&mut entry, &report, &stderr),
                Err(error) => entry.detail = Some(format!("{error:#}")),
            }
            if entry.state == State::Busy && attempt < TRIES {
                let detail = entry.detail.as_deref().unwrap_or_default();
                text::note(&format!(
                    "busy, trying again in {} s: {detail}",
                    wait.as_secs_f32()
                ));
                std::thread::sleep(wait);
                wait *= 2;
                continue;
            }
            if was_applied && entry.state != State::Applied {
                still_in_effect(&mut entry);
            }
            entry.timeline = timeline;
            return self.finish(entry, Some(&info));
        }
        bail!("an update is tried at least once")
    }

    /// Why a part of this package must not join the parts that are in effect.
    fn other_package(&self, update: &str, package: &Package) -> Option<String> {
        let records = self.journal.records();
        let applied = records.get(update)?.applied_package.as_deref()?;
        (applied != package.digest()).then(|| {
            format!(
                "it is in effect from another package ({applied}): undo it before this one is applied"
            )
        })
    }
}

/// What was in effect is so in any case; a part that was to join it is not.
fn still_in_effect(entry: &mut Entry) {
    entry.code = Some(entry.code.take().unwrap_or_else(|| match entry.state {
        State::Busy => "busy".to_owned(),
        _ => "failed".to_owned(),
    }));
    entry.state = State::Applied;
    let words = entry.detail.take().unwrap_or_default();
    entry.detail = Some(format!("in effect, but a part could not join it:\n{words}"));
}
