//! Updates whose place a newer one has taken: the kernel undid them in its stop.

use super::Agent;
use crate::journal::{By, Entry, State};
use anyhow::Result;

/// The code of an update that is undone since a newer one took its place.
pub(crate) const SUPERSEDED: &str = "superseded";
const DETAIL: &str = "a newer update has taken its place";

impl Agent {
    /// Notes what the kernel undid, by ids in the kernel, and unloads it.
    pub(super) fn note_superseded(&mut self, ids: &[String], by: By) -> Result<()> {
        for id in ids {
            let Some(live) = self.kernel.update(id)? else {
                continue;
            };
            if !live.is_superseded() {
                continue;
            }
            if let Some((update, _)) = self.record_of(id) {
                self.journal.append(superseded(&update, by))?;
            }
            self.unload_idle(&live);
        }
        Ok(())
    }
}

/// The entry of an update whose place was taken.
pub(super) fn superseded(update: &str, by: By) -> Entry {
    let mut entry = Entry::new(update, State::Undone, by);
    entry.code = Some(SUPERSEDED.to_owned());
    entry.detail = Some(DETAIL.to_owned());
    entry
}
