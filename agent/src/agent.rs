//! The agent: what it knows and what it may do with an update, step by step.
//!
//! Each step is in the journal before it is taken. Between `applying` and the
//! next entry the kernel alone knows what happened; [`Agent::reconcile`] asks it
//! when the agent comes back.

use crate::{
    host::Host,
    journal::{By, Entry, Info, Journal, Record, State, Step},
    kernel::{Kernel, Load, LoadReport, Undo, hint},
    state::{Enrolment, Lock, StateDir, replace},
    text,
};
use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use resplice_package::{MAX_PACKAGE_BYTES, Package};
use serde::Serialize;
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

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

/// What [`Agent::check`] found.
#[derive(Debug, Clone, Serialize)]
pub struct CheckResult {
    /// The update on the server.
    pub update: String,
    /// Id in the kernel.
    pub id: Option<String>,
    /// One line for people.
    pub name: Option<String>,
    /// Whether it would be applied.
    pub applies: bool,
    /// A named code for what is in the way.
    pub code: Option<String>,
    /// Sentences for people.
    pub detail: Option<String>,
    /// How many functions would be replaced.
    pub functions: usize,
}

/// Why a package is not loaded: a code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `package`, `digest`, `target`, `release`, `update`, …
    pub code: &'static str,
    /// For people.
    pub sentence: String,
}

/// What the server says about a package that it offers.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The update.
    pub update: &'a str,
    /// sha256 of the package.
    pub sha256: &'a str,
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
        Ok((agent, lock))
    }

    /// Settles what was under way when the agent or the host went down.
    ///
    /// # Errors
    /// If the kernel can't be asked or the journal can't be written.
    pub fn reconcile(&mut self) -> Result<()> {
        for (update, record) in self.journal.records() {
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
                _ => None,
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

    fn settle_apply(&self, record: &Record) -> Result<Option<(State, &'static str)>> {
        let Some(info) = &record.info else {
            return Ok(Some((
                State::Failed,
                "the agent was stopped before it was loaded",
            )));
        };
        Ok(Some(match self.kernel.update(&info.id)? {
            Some(live) if live.is_applied() => {
                (State::Applied, "it was applied while the agent was away")
            }
            Some(_) => {
                self.kernel.rmmod(&info.id)?;
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
            Some(_) => {
                self.kernel.rmmod(id)?;
                (State::Undone, "it was undone while the agent was away")
            }
            None => (State::Undone, "it was undone while the agent was away"),
        }))
    }

    /// Notes that a package is in the cache.
    ///
    /// # Errors
    /// If cache or journal can't be written.
    pub fn store_package(&mut self, update: &str, bytes: &[u8], by: By) -> Result<()> {
        let sha256 = resplice_package::sha256_hex(bytes);
        replace(&self.state.package(&sha256), bytes)?;
        let mut entry = Entry::new(update, State::Downloaded, by);
        entry.package = Some(sha256);
        self.journal.append(entry)?;
        Ok(())
    }

    /// A package from the cache; none if it is not there.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn cached_package(&self, sha256: &str) -> Result<Option<Vec<u8>>> {
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        ensure!(is_digest, "{sha256:?} is not a sha256");
        let path = self.state.package(sha256);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read_package(&path)?;
        // A damaged cache is no reason to fail: it is fetched again.
        Ok((resplice_package::sha256_hex(&bytes) == sha256).then_some(bytes))
    }

    /// Whether a package is authentic and for this host, without a trace.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn verify(&self, bytes: &[u8], expected: Option<Expected<'_>>) -> Result<Package, Refusal> {
        let refused = |code, sentence| Err(Refusal { code, sentence });
        if let Some(expected) = expected {
            let found = resplice_package::sha256_hex(bytes);
            if found != expected.sha256 {
                let sentence = format!(
                    "the package has the sha256 {found}, the server's plan says {}",
                    expected.sha256
                );
                return refused("digest", sentence);
            }
        }
        let package = match Package::open(bytes, &self.enrolment.worker_keys) {
            Ok(package) => package,
            Err(error) => return refused("package", error.to_string()),
        };
        let manifest = package.manifest();
        if let Some(expected) = expected.filter(|e| e.update != manifest.update_id) {
            let sentence = format!(
                "the package is of the update {}, the server's plan says {}",
                manifest.update_id, expected.update
            );
            return refused("update", sentence);
        }
        if manifest.target.id != self.enrolment.target {
            let sentence = format!(
                "the package is for the target {}, this host is {}",
                manifest.target.id, self.enrolment.target
            );
            return refused("target", sentence);
        }
        if manifest.target.release != self.host.release {
            let sentence = format!(
                "the package is for the kernel {}, this host runs {}",
                manifest.target.release, self.host.release
            );
            return refused("release", sentence);
        }
        Ok(package)
    }

    /// Verifies a package and puts the result into the journal.
    ///
    /// # Errors
    /// If the journal can't be written; a refusal is an [`Outcome`].
    pub fn verify_noted(
        &mut self,
        update: &str,
        bytes: &[u8],
        expected: Option<Expected<'_>>,
        by: By,
    ) -> Result<Result<Package, Outcome>> {
        match self.verify(bytes, expected) {
            Ok(package) => {
                let mut entry = Entry::new(update, State::Verified, by);
                entry.info = Some(info(&package));
                entry.package = Some(package.digest().to_owned());
                self.journal.append(entry)?;
                Ok(Ok(package))
            }
            Err(refusal) => {
                let mut entry = Entry::new(update, State::Refused, by);
                entry.code = Some(refusal.code.to_owned());
                entry.detail = Some(refusal.sentence);
                Ok(Err(self.finish(entry, None)?))
            }
        }
    }

    /// Applies a verified package. `timeline` holds the steps that led here.
    ///
    /// # Errors
    /// If the journal can't be written; everything else is an [`Outcome`].
    pub fn apply(&mut self, package: &Package, by: By, mut timeline: Vec<Step>) -> Result<Outcome> {
        let manifest = package.manifest();
        let update = &manifest.update_id;
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
            match end {
                Ok(Load::Done) => {
                    let live = self.kernel.update(&info.id)?;
                    match live.filter(crate::kernel::LiveUpdate::is_applied) {
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

    /// Matches a verified package against the running kernel, changing nothing.
    ///
    /// # Errors
    /// If the kernel can't be asked.
    pub fn check(&self, package: &Package) -> Result<CheckResult> {
        let info = info(package);
        let mut result = CheckResult {
            update: package.manifest().update_id.clone(),
            id: Some(info.id.clone()),
            name: Some(info.name.clone()),
            applies: true,
            code: None,
            detail: None,
            functions: info.functions,
        };
        if self
            .kernel
            .update(&info.id)?
            .is_some_and(|live| live.is_applied())
        {
            result.code = Some("applied".to_owned());
            result.detail = Some("it is in effect already".to_owned());
            return Ok(result);
        }
        let core_loaded_here = self.kernel.ensure_core(package.core_module()?)?;
        let load = self
            .kernel
            .insmod(&info.id, package.update_module()?, &["check=1"]);
        if matches!(load, Ok(Load::Done)) {
            self.kernel.rmmod(&info.id)?;
        }
        if core_loaded_here {
            self.kernel.rmmod("resplice")?;
        }
        if let Load::Refused { report, stderr } = load? {
            let mut entry = Entry::new(&result.update, State::Failed, By::Operator);
            explain(&mut entry, &report, &stderr);
            result.applies = false;
            result.code = entry.code;
            result.detail = entry.detail;
        }
        Ok(result)
    }

    /// Undoes an update that is in effect, by its id in the kernel.
    ///
    /// # Errors
    /// If the journal can't be written; everything else is an [`Outcome`].
    pub fn undo(&mut self, id: &str, by: By) -> Result<Outcome> {
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
                    let live = self.kernel.update(id)?;
                    entry.pause_ns = live.and_then(|live| live.pause_ns);
                    // Undone it is, whatever becomes of the module.
                    if let Err(error) = self.kernel.rmmod(id) {
                        entry.detail = Some(format!("{error:#}"));
                    }
                }
                Ok(Undo::Busy(tasks)) if attempt < TRIES => {
                    text::note(&format!(
                        "busy, trying again in {} s: {}",
                        wait.as_secs_f32(),
                        tasks.join(", ")
                    ));
                    std::thread::sleep(wait);
                    wait *= 2;
                    continue;
                }
                Ok(Undo::Busy(tasks)) => {
                    entry.state = State::Applied;
                    entry.code = Some("busy".to_owned());
                    entry.detail = Some(format!(
                        "still in effect, tasks are in its functions:\n{}",
                        tasks.join("\n")
                    ));
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

    fn load(&self, package: &Package) -> Result<Load> {
        self.kernel.ensure_core(package.core_module()?)?;
        self.kernel
            .insmod(&package.manifest().id, package.update_module()?, &[])
    }

    /// Writes the last entry of a step and tells it.
    fn finish(&mut self, mut entry: Entry, info: Option<&Info>) -> Result<Outcome> {
        entry.detail = entry
            .detail
            .map(|detail| text::shorten(&detail, MAX_DETAIL_BYTES));
        let entry = self.journal.append(entry)?;
        Ok(Outcome {
            update: entry.update.clone(),
            id: info.map(|info| info.id.clone()),
            name: info.map(|info| info.name.clone()),
            state: entry.state,
            code: entry.code.clone(),
            detail: entry.detail.clone(),
            functions: info.map_or(0, |info| info.functions),
            pause_ns: entry.pause_ns,
            timeline: entry.timeline.clone(),
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
        object: manifest.object.clone(),
        functions: manifest.functions.len(),
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

/// Reads a package file, with its limit.
///
/// # Errors
/// If it can't be read or is larger than a package may be.
pub fn read_package(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("can't open the package {shown}"))?;
    ensure!(
        file.metadata()?.is_file(),
        "the package {shown} is not a file"
    );
    let mut bytes = Vec::new();
    file.take(MAX_PACKAGE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("can't read the package {shown}"))?;
    ensure!(
        bytes.len() <= MAX_PACKAGE_BYTES,
        "the package {shown} is larger than {MAX_PACKAGE_BYTES} bytes"
    );
    Ok(bytes)
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

impl Agent {
    /// Removes cached packages that no update in effect or in progress needs, and
    /// that are not in `planned`.
    ///
    /// # Errors
    /// If the cache can't be listed.
    pub fn prune_packages(&self, planned: &[&str]) -> Result<()> {
        let records = self.journal.records();
        let keep: Vec<&str> = records
            .values()
            .filter(|r| {
                !matches!(
                    r.last.state,
                    State::Undone | State::Refused | State::Quarantined
                )
            })
            .filter_map(|record| record.package.as_deref())
            .collect();
        for entry in fs::read_dir(self.state.packages())? {
            let path = entry?.path();
            let name = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            if !keep.contains(&name) && !planned.contains(&name) {
                fs::remove_file(&path)
                    .with_context(|| format!("can't remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}
