//! Modules that updates have parts for and that are not loaded: the core calls this
//! agent when one comes, and lets its init wait for the part.

use super::{ABSENT, Agent, Outcome};
use crate::{
    journal::{By, Record, State},
    kernel::{LiveUpdate, VMLINUX},
    pause::Pause,
    rollout::Calendar,
    server::known_plan,
    text,
};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use resplice_api::{PlannedUpdate, UpdateId};
use std::collections::BTreeSet;

/// The command that the core is told, with a module's name behind it.
pub const COMMAND: &str = "coming";
/// What a program's path ends with for the kernel once another was put in its place.
const REPLACED: &str = " (deleted)";

impl Agent {
    /// Has the core wait for what is not loaded. A host where that fails brings the
    /// parts in with its polls.
    pub(super) fn await_modules(&self) {
        let told = self
            .awaited()
            .and_then(|modules| self.kernel.await_modules(&self.program()?, &modules));
        if let Err(error) = told {
            text::note(&format!(
                "modules that come later are patched by polls: {error:#}"
            ));
        }
    }

    fn awaited(&self) -> Result<BTreeSet<String>> {
        let mut modules = BTreeSet::new();
        for record in self.journal.records().values() {
            let Some(info) = record.info.as_ref().filter(|_| self.is_joined(record)) else {
                continue;
            };
            let live = self.kernel.update(&info.id)?;
            // Also those that are here: an init that fails may be tried again.
            if live.as_ref().is_some_and(LiveUpdate::is_applied) || is_absent(record) {
                let objects = info.objects.iter().filter(|object| *object != VMLINUX);
                modules.extend(objects.cloned());
            }
        }
        Ok(modules)
    }

    /// Whether parts of this update may still come in this boot.
    fn is_joined(&self, record: &Record) -> bool {
        let is_here = record.last.boot == self.journal.boot();
        is_here && (record.last.state == State::Applied || is_absent(record))
    }

    /// Whether a poll would leave it, too: the server has taken it out of its last plan, as
    /// when its rollout is halted, or this host's owner lets nothing new come now.
    fn is_held(&self, update: &str, record: &Record) -> Result<bool> {
        let package = record.applied_package.as_ref().or(record.package.as_ref());
        let is_it = |planned: &PlannedUpdate| {
            planned.update_id.to_string() == update && Some(&planned.package_sha256) == package
        };
        // One that was built without a server is in no plan.
        let is_servers = update.parse::<UpdateId>().is_ok();
        let plan = known_plan(&self.state)?.filter(|_| is_servers);
        if plan.is_some_and(|plan| !plan.updates.iter().any(is_it)) {
            return Ok(true);
        }
        let is_new = is_absent(record) && record.last.by != By::Operator;
        // It has been deferred for long enough, or it would not have been tried.
        let long_ago = Timestamp::UNIX_EPOCH;
        let calendar = Calendar::read(&self.state)?;
        Ok(is_new && calendar.objection(long_ago, Timestamp::now()).is_some())
    }

    /// This program, as the core splits it into words.
    fn program(&self) -> Result<String> {
        let path = std::env::current_exe().context("can't tell this program's path")?;
        let path = path.to_str().context("this program's path is no UTF-8")?;
        let state = self.state.path().to_str();
        let state = state.context("the state directory's path is no UTF-8")?;
        let words = [
            path.strip_suffix(REPLACED).unwrap_or(path),
            "--quiet",
            "--state",
            state,
            COMMAND,
        ];
        let is_one = |word: &&str| !word.is_empty() && !word.contains(char::is_whitespace);
        ensure!(words.iter().all(is_one), "a path has a space: {words:?}");
        Ok(words.join(" "))
    }

    /// Brings the parts for a module in that is being loaded, from the packages on disk:
    /// its init waits, so nobody is asked.
    ///
    /// # Errors
    /// If the journal can't be written or the kernel can't be asked.
    pub fn module_comes(&mut self, module: &str) -> Result<Vec<Outcome>> {
        self.kernel.comes(module)?;
        if Pause::in_force(&self.state, Timestamp::now())?.is_some() {
            return Ok(Vec::new());
        }
        let revocations = self.known_revocations();
        let mut records: Vec<(String, Record)> = self.journal.records().into_iter().collect();
        records.sort_by_key(|(_, record)| record.last.seq);
        let mut outcomes = Vec::new();
        for (update, record) in records {
            let patches = |record: &Record| {
                let info = record.info.as_ref();
                info.is_some_and(|info| info.objects.iter().any(|object| object == module))
            };
            let is_wanted = self.is_joined(&record) && patches(&record);
            if !is_wanted || revocations.contains_key(&update) || self.is_held(&update, &record)? {
                continue;
            }
            outcomes.push(match self.package_to_put_back(&update, &record) {
                Ok(package) => self.apply(&package, By::Agent, Vec::new())?,
                Err(outcome) => *outcome,
            });
        }
        Ok(outcomes)
    }
}

/// None of its modules was loaded.
fn is_absent(record: &Record) -> bool {
    record.last.state == State::Refused && record.last.code.as_deref() == Some(ABSENT)
}
