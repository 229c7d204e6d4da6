//! The server, as this host sees it: its plan, its packages, and the reports
//! that wait for it.

use crate::{
    agent::Agent,
    journal::{By, Entry, State},
    ledger::Log,
    state::StateDir,
    text,
};
use anyhow::{Context, Result};
use resplice_api::{
    HostId, NewReport, Plan, PlannedUpdate, ReleaseProof, ReportEvent, Step, UpdateId,
    client::{Client, Error, PlanAnswer},
};
use resplice_package::MAX_PACKAGE_BYTES;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
};
use tokio::runtime::Runtime;

const PLAN_FILE: &str = "plan.json";

/// A connection to the server that this host is enrolled at.
pub struct Server {
    runtime: Runtime,
    client: Client,
    host: HostId,
}

/// The last plan, and the ETag to ask for the next one with.
#[derive(Debug, Serialize, Deserialize)]
struct KnownPlan {
    etag: String,
    plan: Plan,
}

impl Server {
    /// The enrolled host's server; none if the host is not enrolled at one.
    ///
    /// # Errors
    /// If the token can't be read or the address can't be used.
    pub fn of(agent: &Agent) -> Result<Option<Self>> {
        let (Some(server), Some(host)) = (&agent.enrolment.server, agent.enrolment.host_id) else {
            return Ok(None);
        };
        Ok(Some(Self {
            runtime: runtime()?,
            client: Client::new(server, Some(agent.state.token()?)).map_err(words)?,
            host,
        }))
    }

    /// Asks for the plan, by its ETag if one is known, and remembers it.
    ///
    /// # Errors
    /// If the server can't be reached or refuses.
    pub fn plan(&self, state: &StateDir) -> Result<Plan> {
        let known = state.read_json::<KnownPlan>(PLAN_FILE).unwrap_or_default();
        let etag = known
            .as_ref()
            .map(|known| known.etag.as_str())
            .filter(|etag| !etag.is_empty());
        match self
            .runtime
            .block_on(self.client.plan(self.host, etag))
            .map_err(words)?
        {
            PlanAnswer::Unchanged => Ok(known
                .context("the server says that no plan is unchanged")?
                .plan),
            PlanAnswer::Plan { plan, etag } => {
                let known = KnownPlan { etag, plan };
                state.write_json(PLAN_FILE, &known)?;
                Ok(known.plan)
            }
        }
    }

    /// The planned package: from the cache, or downloaded into it. A download
    /// that was cut off is completed. With `noted_by` it is noted in the journal.
    ///
    /// # Errors
    /// If it can't be downloaded or kept.
    pub fn package(
        &self,
        agent: &mut Agent,
        planned: &PlannedUpdate,
        noted_by: Option<By>,
    ) -> Result<Vec<u8>> {
        let sha256 = &planned.package_sha256;
        if let Some(bytes) = agent.cached_package(sha256)? {
            return Ok(bytes);
        }
        let path = agent.state.packages().join(format!("{sha256}.part"));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("can't write {}", path.display()))?;
        let limit = planned.bytes.min(MAX_PACKAGE_BYTES as u64);
        let result = self
            .runtime
            .block_on(self.client.download_package(sha256, limit, &mut file));
        if let Err(error) = result {
            if matches!(
                error,
                Error::Digest { .. } | Error::TooLarge { .. } | Error::Answer { .. }
            ) {
                fs::remove_file(&path)?;
            }
            return Err(words(error));
        }
        let bytes = crate::agent::read_package(&path)?;
        file.sync_all()?;
        fs::rename(&path, agent.state.package(sha256))?;
        File::open(agent.state.packages())?.sync_all()?;
        if let Some(by) = noted_by {
            let update = planned.update_id.to_string();
            let mut entry = Entry::new(&update, State::Downloaded, by);
            entry.package = Some(sha256.clone());
            agent.journal.append(entry)?;
        }
        Ok(bytes)
    }

    /// Sends all outcomes that the server does not know yet, oldest first.
    ///
    /// # Errors
    /// If the server can't be reached: the rest stays queued. What the server
    /// will never take is dropped with a note.
    pub fn send_reports(&self, agent: &Agent) -> Result<usize> {
        let known = agent.state.sent()?;
        let mut sent = 0;
        for entry in agent
            .journal
            .entries()
            .iter()
            .filter(|entry| entry.seq > known)
        {
            let Some(report) = report(entry) else {
                continue;
            };
            match self
                .runtime
                .block_on(self.client.report(self.host, &report))
            {
                Ok(_) => sent += 1,
                Err(error) if is_final(&error) => {
                    text::note(&format!("the server does not take a report: {error}"));
                }
                Err(error) => return Err(words(error)),
            }
            agent.state.store_sent(entry.seq)?;
        }
        Ok(sent)
    }
}

impl Log for Server {
    fn release_proof(&self, update: UpdateId, since: Option<u64>) -> Result<Option<ReleaseProof>> {
        let proof = self.client.release_proof(update, since);
        self.runtime.block_on(proof).map_err(words)
    }
}

/// A client's error in its own words, which tell its causes already.
pub fn words(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

/// The last plan that the server gave.
///
/// # Errors
/// If the file is damaged.
pub fn known_plan(state: &StateDir) -> Result<Option<Plan>> {
    Ok(state
        .read_json::<KnownPlan>(PLAN_FILE)?
        .map(|known| known.plan))
}

/// A runtime of this one thread.
///
/// # Errors
/// If the system gives no resources for it.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the network")
}

/// Whether the server will refuse the same report again.
fn is_final(error: &Error) -> bool {
    error
        .problem()
        .is_some_and(|problem| matches!(problem.status, 400 | 404 | 409 | 413 | 422))
}

/// What the server wants to know of a journal entry; nothing of a step, or of an
/// update that did not come from a server.
fn report(entry: &Entry) -> Option<NewReport> {
    let update_id: UpdateId = entry.update.parse().ok()?;
    let event = match (entry.state, entry.code.as_deref()) {
        (State::Applied, Some("busy")) => ReportEvent::Busy,
        (State::Applied, Some(_)) => ReportEvent::Failed,
        (State::Applied, None) => ReportEvent::Applied,
        (State::Undone, _) => ReportEvent::Undone,
        (State::Refused, _) => ReportEvent::Refused,
        (State::Failed | State::Quarantined, _) => ReportEvent::Failed,
        (State::Busy, _) => ReportEvent::Busy,
        (
            State::Settled | State::Downloaded | State::Verified | State::Applying | State::Undoing,
            _,
        ) => return None,
    };
    let step = |step: &crate::journal::Step| Step {
        name: step.name.clone(),
        started_at: step.started_at,
        millis: step.millis,
        exit_code: None,
    };
    Some(NewReport {
        update_id,
        event,
        detail: entry.detail.clone().unwrap_or_default(),
        code: entry.code.clone(),
        pause_ns: entry.pause_ns,
        timeline: entry.timeline.iter().map(step).collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const UPDATE: &str = "0199b1a2-0000-7000-8000-000000000001";

    #[test]
    fn an_undo_that_was_busy_is_reported_as_busy_not_as_applied() {
        let mut entry = Entry::new(UPDATE, State::Applied, By::Server);
        assert_eq!(report(&entry).unwrap().event, ReportEvent::Applied);
        entry.code = Some("busy".to_owned());
        assert_eq!(report(&entry).unwrap().event, ReportEvent::Busy);
    }

    #[test]
    fn a_quarantined_update_is_reported_with_its_code() {
        let mut entry = Entry::new(UPDATE, State::Quarantined, By::Agent);
        entry.code = Some("crashed".to_owned());
        entry.detail = Some("the host went down".to_owned());
        let report = report(&entry).unwrap();
        assert_eq!(report.event, ReportEvent::Failed);
        assert_eq!(report.code.as_deref(), Some("crashed"));
    }

    #[test]
    fn steps_and_updates_without_a_server_are_not_reported() {
        assert!(report(&Entry::new(UPDATE, State::Applying, By::Server)).is_none());
        assert!(report(&Entry::new("by-hand", State::Applied, By::Operator)).is_none());
    }
}
