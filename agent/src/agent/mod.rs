//! The agent: what it knows and what it may do with an update, step by step.
//!
//! Each step is in the journal before it is taken. Between `applying` and the
//! next entry the kernel alone knows what happened; [`Agent::reconcile`] asks it
//! when the agent comes back.

mod apply;
mod awaited;
mod cache;
mod check;
mod compare;
mod parts;
mod reconcile;
mod revoke;
mod supersede;
mod undo;
mod verify;

pub use cache::read_package;
pub use check::CheckResult;
pub use compare::{Finding, Held};
pub(crate) use parts::ABSENT;
pub(crate) use revoke::REVOKED;
pub(crate) use supersede::{SUPERSEDED, has_lost_successor};
pub use verify::{Expected, Refusal};

use crate::{
    host::Host,
    journal::{Entry, Info, Journal, Record, State, Step},
    kernel::{Kernel, LoadReport, hint},
    state::{Enrolment, Lock, StateDir},
    text,
};
use anyhow::Result;
use jiff::Timestamp;
use resplice_api::UpdateId;
use resplice_package::Package;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How often a busy update is tried before the agent gives up for now.
const TRIES: u32 = 3;
/// Longest detail in bytes that is kept and reported.
const MAX_DETAIL_BYTES: usize = 16 << 10;

/// A command's or the daemon's hold on this host's state.
pub struct Agent {
    /// The state directory.
    pub state: StateDir,
    /// Who this host is.
    pub enrolment: Enrolment,
    /// What it has done.
    pub journal: Journal,
    /// The kernel.
    pub kernel: Kernel,
    /// The machine.
    pub host: Host,
    /// Wait before the second try of a busy update; doubled after each.
    pub busy_wait: Duration,
}

/// How a step ended.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The update on the server.
    pub update: String,
    /// Id in the kernel, if it got that far.
    pub id: Option<String>,
    /// One line for people.
    pub name: Option<String>,
    /// The end.
    pub state: State,
    /// A named code for what was in the way.
    pub code: Option<String>,
    /// A sentence for people; one line per complaint.
    pub detail: Option<String>,
    /// How many functions are replaced.
    pub functions: usize,
    /// How long the machine stood still, in nanoseconds.
    pub pause_ns: Option<u64>,
    /// What took how long.
    pub timeline: Vec<Step>,
}

impl Agent {
    /// Opens the state of an enrolled host to look at it.
    ///
    /// # Errors
    /// If this host is not enrolled or its state can't be read.
    pub fn view(state: &StateDir) -> Result<Self> {
        let enrolment = state.enrolment()?;
        let host = Host::read()?;
        let journal = Journal::view(&state.journal(), &host.boot_id)?;
        Ok(Self::with(state, enrolment, host, journal))
    }

    fn with(state: &StateDir, enrolment: Enrolment, host: Host, journal: Journal) -> Self {
        Self {
            enrolment,
            journal,
            kernel: Kernel::running(state.load()),
            host,
            state: state.clone(),
            busy_wait: Duration::from_secs(1),
        }
    }

    /// Opens the state to change something: takes the lock, then asks the kernel
    /// how steps ended that have no end in the journal.
    ///
    /// # Errors
    /// As [`Agent::view`], and if another process keeps the lock.
    pub fn open_locked(state: &StateDir) -> Result<(Self, Lock)> {
        let enrolment = state.enrolment()?;
        let lock = state.lock()?;
        let host = Host::read()?;
        let journal = Journal::open(&state.journal(), &host.boot_id)?;
        let mut agent = Self::with(state, enrolment, host, journal);
        agent.reconcile()?;
        agent.learn_from_boots()?;
        Ok((agent, lock))
    }

    /// The record of the update with this id in the kernel.
    #[must_use]
    pub fn record_of(&self, id: &str) -> Option<(String, Record)> {
        let is_it = |record: &Record| record.info.as_ref().is_some_and(|info| info.id == id);
        let found = self
            .journal
            .records()
            .into_iter()
            .filter(|(_, record)| is_it(record));
        found.max_by_key(|(_, record)| record.last.seq)
    }

    /// Writes the last entry of a step and tells it.
    fn finish(&mut self, mut entry: Entry, info: Option<&Info>) -> Result<Outcome> {
        entry.detail = entry
            .detail
            .map(|detail| text::shorten(&detail, MAX_DETAIL_BYTES));
        let entry = self.journal.append(entry)?.clone();
        self.await_modules();
        Ok(Outcome {
            update: entry.update,
            id: info.map(|info| info.id.clone()),
            name: info.map(|info| info.name.clone()),
            state: entry.state,
            code: entry.code,
            detail: entry.detail,
            functions: info.map_or(0, |info| info.functions),
            pause_ns: entry.pause_ns,
            timeline: entry.timeline,
        })
    }
}

/// What a package says about itself, for the journal.
pub fn info(package: &Package) -> Info {
    let manifest = package.manifest();
    Info {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        cves: manifest.cves.clone(),
        objects: manifest.objects().map(str::to_owned).collect(),
        functions: manifest.functions().count(),
    }
}

/// What an update goes by in the journal: its id on the server. Packages that
/// were built without a server share a word there, and go by their id in the
/// kernel.
pub fn key(package: &Package) -> &str {
    let manifest = package.manifest();
    if manifest.update_id.parse::<UpdateId>().is_ok() {
        &manifest.update_id
    } else {
        &manifest.id
    }
}

/// Turns a load's complaints into an end: the core's codes are refusals, apart
/// from those that say nothing about the update.
fn explain(entry: &mut Entry, report: &LoadReport, stderr: &str) {
    entry.code.clone_from(&report.code);
    entry.state = match report.code.as_deref() {
        Some("busy") => State::Busy,
        None | Some("memory" | "failed" | "init") => State::Failed,
        Some(_) => State::Refused,
    };
    entry.detail = Some(if report.sentences.is_empty() {
        format!(
            "the kernel does not take the update module: {stderr}{}",
            hint(stderr)
        )
    } else {
        report.sentences.join("\n")
    });
}

/// Does a step and adds how long it took to the timeline.
pub fn timed<T>(timeline: &mut Vec<Step>, name: &str, work: impl FnOnce() -> T) -> T {
    let started_at = Timestamp::now();
    let clock = Instant::now();
    let value = work();
    let millis = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    timeline.push(Step {
        name: name.to_owned(),
        started_at,
        millis,
    });
    value
}
