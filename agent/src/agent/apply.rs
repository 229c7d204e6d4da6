//! Handing a verified update to the kernel.

use super::{Agent, Outcome, TRIES, explain, info, key, timed};
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
        if let Some(live) = self.kernel.update(&info.id)? {
            if live.is_applied() {
                let mut entry = Entry::new(update, State::Applied, by);
                entry.detail = Some("it was in effect already".to_owned());
                entry.pause_ns = live.pause_ns;
                return self.finish(entry, Some(&info));
            }
            // Left over from a check or an undo that was cut short.
            self.kernel.rmmod(&info.id)?;
        }
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
            entry.timeline = timeline;
            return self.finish(entry, Some(&info));
        }
        bail!("an update is tried at least once")
    }

    fn load(&self, package: &Package) -> Result<Load> {
        self.kernel.ensure_core(package.core_module()?)?;
        self.kernel
            .insmod(&package.manifest().id, package.update_module()?, &[])
    }
}
