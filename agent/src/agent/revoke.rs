//! Updates that the holders of the targets keys took back. The server's plan may
//! say that there are some; which ones is what the repository says.

use super::{Agent, Outcome};
use crate::{journal::By, kernel::LiveUpdate, text, vouch::Revocations};
use anyhow::Result;

/// The code of an update that was undone since it is revoked.
pub(crate) const REVOKED: &str = "revoked";

impl Agent {
    /// Undoes what is in effect and to be undone. What is only not to be applied any
    /// more stays where it runs.
    ///
    /// # Errors
    /// If the kernel can't be asked or the journal can't be written.
    pub fn undo_revoked(&mut self, revocations: &Revocations, by: By) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for (update, record) in self.journal.records() {
            let revoked = revocations.get(&update).filter(|revoked| revoked.undo);
            let (Some(revoked), Some(info)) = (revoked, record.info) else {
                continue;
            };
            let live = self.kernel.update(&info.id)?;
            if live.as_ref().is_some_and(LiveUpdate::is_applied) {
                let why = format!("it was revoked: {}", text::plain(&revoked.reason));
                outcomes.push(self.take_back(&info.id, by, Some((REVOKED, why)))?);
            }
        }
        Ok(outcomes)
    }
}
