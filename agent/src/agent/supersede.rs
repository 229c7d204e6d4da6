//! Updates whose place a newer one has taken: the kernel undid them in its stop.

use super::{Agent, REVOKED};
use crate::journal::{By, Entry, Record, State};
use anyhow::Result;
use std::collections::BTreeMap;

/// The code of an update that is undone since a newer one took its place.
pub(crate) const SUPERSEDED: &str = "superseded";
const DETAIL: &str = "a newer update has taken its place";

impl Agent {
    /// Notes what the kernel undid for a newer update, by ids in the kernel, and
    /// unloads it.
    pub(super) fn note_superseded(
        &mut self,
        ids: &[String],
        successor: &str,
        by: By,
    ) -> Result<()> {
        for id in ids {
            let Some(live) = self.kernel.update(id)? else {
                continue;
            };
            if !live.is_superseded() {
                continue;
            }
            if let Some((update, _)) = self.record_of(id) {
                self.journal
                    .append(superseded(&update, Some(successor), by))?;
            }
            self.unload_idle(&live);
        }
        Ok(())
    }
}

/// The entry of an update whose place was taken.
pub(super) fn superseded(update: &str, successor: Option<&str>, by: By) -> Entry {
    let mut entry = Entry::new(update, State::Undone, by);
    entry.code = Some(SUPERSEDED.to_owned());
    entry.detail = Some(DETAIL.to_owned());
    entry.successor = successor.map(str::to_owned);
    entry
}

/// Whether what had taken an update's place is out again since it was revoked: the
/// older one may come back then, if repository and plan have it.
pub(crate) fn has_lost_successor(records: &BTreeMap<String, Record>, record: &Record) -> bool {
    let successor = record.last.successor.as_ref();
    successor
        .and_then(|update| records.get(update))
        .is_some_and(|newer| {
            newer.last.state == State::Undone && newer.last.code.as_deref() == Some(REVOKED)
        })
}
