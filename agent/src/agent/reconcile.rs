//! Finding out, after the agent or the host went down, what had happened.

use super::{Agent, SUPERSEDED, supersede::superseded};
use crate::{
    journal::{By, Entry, Record, State},
    kernel::LiveUpdate,
};
use anyhow::Result;

impl Agent {
    /// Settles what was under way when the agent or the host went down.
    ///
    /// # Errors
    /// If the kernel can't be asked or the journal can't be written.
    pub fn reconcile(&mut self) -> Result<()> {
        self.state.clear_load()?;
        for (update, record) in self.journal.records() {
            if self.settle_superseded(&update, &record)? {
                continue;
            }
            let same_boot = record.last.boot == self.journal.boot();
            let end = match record.last.state {
                State::Applying if same_boot => self.settle_apply(&record)?,
                State::Undoing if same_boot => self.settle_undo(&record)?,
                State::Applying => Some((
                    State::Quarantined,
                    "the host went down while this update was being applied: it will not be tried again by itself (`resplice apply --force` tries it)",
                )),
                State::Undoing => Some((
                    State::Undone,
                    "the host was restarted while it was being undone",
                )),
                State::Applied => None,
                _ => self.settle_unexpected(&record)?,
            };
            if let Some((state, detail)) = end {
                // An undo stays the operator's or the server's.
                let by = if state == State::Undone {
                    record.last.by
                } else {
                    By::Agent
                };
                let mut entry = Entry::new(&update, state, by);
                entry.detail = Some(detail.to_owned());
                entry.code = (state == State::Quarantined).then(|| "quarantined".to_owned());
                entry.pause_ns = match (state, &record.info) {
                    (State::Applied, Some(info)) => {
                        self.kernel.update(&info.id)?.and_then(|live| live.pause_ns)
                    }
                    _ => None,
                };
                self.journal.append(entry)?;
            }
        }
        Ok(())
    }

    /// The agent was stopped between a newer update and the note on this one.
    fn settle_superseded(&mut self, update: &str, record: &Record) -> Result<bool> {
        let noted = record.last.code.as_deref() == Some(SUPERSEDED);
        let Some(info) = record.info.as_ref().filter(|_| !noted) else {
            return Ok(false);
        };
        let live = self.kernel.update(&info.id)?;
        let Some(live) = live.filter(LiveUpdate::is_superseded) else {
            return Ok(false);
        };
        self.journal.append(superseded(update, None, By::Agent))?;
        self.unload_idle(&live);
        Ok(true)
    }

    fn settle_apply(&self, record: &Record) -> Result<Option<(State, &'static str)>> {
        let Some(info) = &record.info else {
            return Ok(Some((
                State::Failed,
                "the agent was stopped before it was loaded",
            )));
        };
        Ok(Some(match self.kernel.update(&info.id)? {
            Some(live) if live.is_applied() => {
                self.unload_idle(&live);
                (State::Applied, "it was applied while the agent was away")
            }
            Some(live) => {
                self.unload_idle(&live);
                (State::Failed, "the agent was stopped before it was applied")
            }
            None => (State::Failed, "the agent was stopped before it was loaded"),
        }))
    }

    fn settle_undo(&self, record: &Record) -> Result<Option<(State, &'static str)>> {
        let id = record
            .info
            .as_ref()
            .map_or(record.last.update.as_str(), |info| &info.id);
        Ok(Some(match self.kernel.update(id)? {
            Some(live) if live.is_applied() => {
                (State::Applied, "the agent was stopped before it was undone")
            }
            Some(live) => {
                self.unload_idle(&live);
                (State::Undone, "it was undone while the agent was away")
            }
            None => (State::Undone, "it was undone while the agent was away"),
        }))
    }

    /// A load can outlive an agent that was killed while it waited for it.
    fn settle_unexpected(&self, record: &Record) -> Result<Option<(State, &'static str)>> {
        let Some(info) = &record.info else {
            return Ok(None);
        };
        let live = self
            .kernel
            .update(&info.id)?
            .is_some_and(|live| live.is_applied());
        Ok(live.then_some((State::Applied, "it was found to be in effect")))
    }
}
