//! Taking an update back.

use super::{Agent, Outcome, TRIES, timed};
use crate::{
    journal::{By, Entry, State},
    kernel::Undo,
    text,
};
use anyhow::{Result, bail};

impl Agent {
    /// Undoes an update that is in effect, by its id in the kernel.
    ///
    /// # Errors
    /// If the journal can't be written; everything else is an [`Outcome`].
    pub fn undo(&mut self, id: &str, by: By) -> Result<Outcome> {
        self.take_back(id, by, None)
    }

    /// As [`Self::undo`], with a code and a sentence that say why.
    pub(super) fn take_back(
        &mut self,
        id: &str,
        by: By,
        why: Option<(&str, String)>,
    ) -> Result<Outcome> {
        let record = self.record_of(id);
        let update = record.as_ref().map_or(id, |(update, _)| update).to_owned();
        let info = record.and_then(|(_, record)| record.info);
        let mut timeline = Vec::new();
        let mut wait = self.busy_wait;
        for attempt in 1.. {
            self.journal
                .append(Entry::new(&update, State::Undoing, by))?;
            let end = timed(&mut timeline, "undo", || self.kernel.disable(id));
            let mut entry = Entry::new(&update, State::Undone, by);
            match end {
                Ok(Undo::Done) => {
                    entry.code = why.as_ref().map(|(code, _)| (*code).to_owned());
                    entry.detail = why.as_ref().map(|(_, sentence)| sentence.clone());
                    // Undone it is, whatever becomes of the modules.
                    if let Some(live) = self.kernel.update(id)? {
                        entry.pause_ns = live.pause_ns;
                        self.unload_idle(&live);
                    }
                }
                Ok(Undo::Busy(words)) if attempt < TRIES => {
                    text::note(&format!(
                        "busy, trying again in {} s: {}",
                        wait.as_secs_f32(),
                        words.join(", ")
                    ));
                    std::thread::sleep(wait);
                    wait *= 2;
                    continue;
                }
                Ok(Undo::Busy(words)) => {
                    entry.state = State::Applied;
                    entry.code = Some("busy".to_owned());
                    entry.detail = Some(format!("still in effect:\n{}", words.join("\n")));
                }
                Err(error) => {
                    entry.state = State::Applied;
                    entry.code = Some("failed".to_owned());
                    entry.detail = Some(format!("still in effect: {error:#}"));
                }
            }
            entry.timeline = timeline;
            return self.finish(entry, info.as_ref());
        }
        bail!("an update is undone at least once")
    }
}
