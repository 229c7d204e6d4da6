//! One round with the server: report, ask for the plan, carry it out.

use crate::{
    agent::{Agent, Expected, Outcome, Refusal, has_lost_successor, timed},
    journal::{By, Record, State},
    kernel::LiveUpdate,
    ledger,
    pause::{self, Pause},
    policy::{Decision, Situation, decide},
    rollout::Calendar,
    server::Server,
    state::StateDir,
    text,
    vouch::{Doubt, Vouched},
};
use anyhow::Result;
use jiff::Timestamp;
use resplice_api::{Plan, PlannedUpdate};
use resplice_package::Package;
use resplice_tuf::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const POLL_FILE: &str = "poll.json";

/// When the daemon last asked the server, and how that ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Polled {
    /// When.
    pub at: Timestamp,
    /// When it last succeeded.
    pub last_good: Option<Timestamp>,
    /// Failures in a row since.
    pub failures: u32,
    /// Why the last one failed.
    pub error: Option<String>,
    /// Seconds between polls.
    pub interval: u64,
}

impl Polled {
    /// The last poll; none if there was none yet.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn last(state: &StateDir) -> Result<Option<Self>> {
        state.read_json(POLL_FILE)
    }

    /// Notes that a poll has ended.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn note(state: &StateDir, interval: u64, error: Option<String>) -> Result<Self> {
        // A damaged note is replaced.
        let before = Self::last(state).unwrap_or_default();
        let at = Timestamp::now();
        let (failures, last_good) = before.map_or((0, None), |b| (b.failures, b.last_good));
        let polled = Self {
            at,
            last_good: if error.is_none() { Some(at) } else { last_good },
            failures: if error.is_none() {
                0
            } else {
                failures.saturating_add(1)
            },
            error,
            interval,
        };
        state.write_json(POLL_FILE, &polled)?;
        Ok(polled)
    }
}

/// Downloads and verifies a planned update, then hands it to the kernel.
///
/// # Errors
/// If the package can't be downloaded or the journal can't be written; everything
/// else is an [`Outcome`].
pub fn apply_planned(
    agent: &mut Agent,
    server: &Server,
    vouched: &Vouched,
    planned: &PlannedUpdate,
    by: By,
) -> Result<Outcome> {
    let target = match vouched.target(planned) {
        Ok(target) => target,
        Err(Doubt::Unknown(error)) => return Ok(not_had(planned, "repository", &error.into())),
        Err(Doubt::Contradicts(sentence)) => {
            return agent.refuse(&planned.update_id.to_string(), "repository", sentence, by);
        }
        Err(Doubt::Withheld(sentence)) => {
            return Ok(not_had(planned, "withheld", &anyhow::Error::msg(sentence)));
        }
    };
    let mut timeline = Vec::new();
    let objection = timed(&mut timeline, "log", || {
        ledger::object(agent, server, planned, by)
    })?;
    if let Some(outcome) = objection {
        return Ok(outcome);
    }
    let bytes = timed(&mut timeline, "download", || {
        server.package(agent, planned, Some(by))
    })?;
    let update = planned.update_id.to_string();
    let expected = expected(&update, &target);
    let verified = timed(&mut timeline, "verify", || {
        agent.verify_noted(&update, &bytes, Some(expected), by)
    })?;
    drop(bytes);
    match verified {
        Ok(package) => agent.apply(&package, by, timeline),
        Err(refused) => Ok(refused),
    }
}

/// As [`apply_planned`], with the package at hand.
///
/// # Errors
/// If cache or journal can't be written; everything else is an [`Outcome`].
pub fn apply_bytes(
    agent: &mut Agent,
    planned: &PlannedUpdate,
    target: &Target,
    bytes: &[u8],
    by: By,
) -> Result<Outcome> {
    let update = planned.update_id.to_string();
    agent.store_package(&update, bytes, by)?;
    match agent.verify_noted(&update, bytes, Some(expected(&update, target)), by)? {
        Ok(package) => agent.apply(&package, by, Vec::new()),
        Err(refused) => Ok(refused),
    }
}

/// Verifies a planned update's package, without a trace in the journal.
///
/// # Errors
/// If it can't be downloaded; the inner error is the [`Refusal`].
pub fn fetch_to_check(
    agent: &mut Agent,
    server: &Server,
    vouched: &Vouched,
    planned: &PlannedUpdate,
) -> Result<Result<Package, Refusal>> {
    let target = match vouched.target(planned) {
        Ok(target) => target,
        Err(doubt) => {
            return Ok(Err(Refusal {
                code: doubt.code(),
                sentence: doubt.to_string(),
            }));
        }
    };
    let bytes = server.package(agent, planned, None)?;
    let update = planned.update_id.to_string();
    Ok(agent.verify(&bytes, Some(expected(&update, &target))))
}

/// What a package must be, on the repository's word.
fn expected<'a>(update: &'a str, target: &'a Target) -> Expected<'a> {
    Expected { update, target }
}

/// Whether the update of this record is in effect.
///
/// # Errors
/// If the kernel can't be asked.
pub fn is_live(agent: &Agent, record: Option<&Record>) -> Result<bool> {
    let Some(info) = record.and_then(|record| record.info.as_ref()) else {
        return Ok(false);
    };
    Ok(agent
        .kernel
        .update(&info.id)?
        .is_some_and(|live| live.is_applied()))
}

/// What the agent would do by itself with a planned update.
///
/// # Errors
/// If the kernel can't be asked.
pub fn decision(
    agent: &Agent,
    records: &BTreeMap<String, Record>,
    planned: &PlannedUpdate,
) -> Result<Decision> {
    if planned.target != agent.enrolment.target {
        return Ok(Decision::Leave("for another kernel"));
    }
    let record = records.get(&planned.update_id.to_string());
    let info = record.and_then(|record| record.info.as_ref());
    let live = match info {
        Some(info) => agent.kernel.update(&info.id)?,
        None => None,
    };
    let decided = decide(Situation {
        record,
        live: live.as_ref().is_some_and(LiveUpdate::is_applied),
        has_more_to_patch: match info {
            Some(info) => agent.has_more_to_patch(info, live.as_ref())?,
            None => false,
        },
        lost_successor: record.is_some_and(|record| has_lost_successor(records, record)),
        package: &planned.package_sha256,
        boot: agent.journal.boot(),
        now: Timestamp::now(),
    });
    let paused = Pause::in_force(&agent.state, Timestamp::now())?.is_some();
    Ok(match decided {
        Decision::Apply if paused => Decision::Leave(pause::REASON),
        decided => decided,
    })
}

/// When the repository is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// In any case.
    Always,
    /// Only if there is something to apply or to undo: a poll with nothing new costs
    /// one request.
    IfNeeded,
}

/// Whether something is to be done, by the plan and what is known here.
fn has_work(agent: &Agent, plan: &Plan) -> Result<bool> {
    let records = agent.journal.records();
    for update in &plan.undo {
        if is_live(agent, records.get(&update.to_string()))? {
            return Ok(true);
        }
    }
    for planned in &plan.updates {
        if decision(agent, &records, planned)? == Decision::Apply {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Carries a plan out, if the repository is in order: undoes what that says is
/// revoked, then applies what [`decision`] says. An update that can't be had does not
/// keep the others from being applied.
///
/// # Errors
/// If the repository can't be believed, the journal can't be written or the kernel
/// can't be asked.
pub fn carry_out(
    agent: &mut Agent,
    server: &Server,
    plan: &Plan,
    by: By,
    ask: Ask,
) -> Result<Vec<Outcome>> {
    if ask == Ask::IfNeeded && !has_work(agent, plan)? {
        return Ok(Vec::new());
    }
    let vouched = Vouched::refresh(agent)?;
    let calendar = Calendar::read(&agent.state)?;
    let mut outcomes = agent.undo_revoked(&vouched.revocations(), by)?;
    for planned in &plan.updates {
        if decision(agent, &agent.journal.records(), planned)? != Decision::Apply {
            continue;
        }
        // Its time may come; until then that is nothing to tell of.
        let due = match by {
            By::Operator => vouched.target(planned).map(drop),
            _ => vouched.in_season(planned, &calendar),
        };
        if let Err(Doubt::Withheld(_)) = due {
            continue;
        }
        match apply_planned(agent, server, &vouched, planned, by) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => outcomes.push(not_had(planned, "download", &error)),
        }
    }
    let planned: Vec<&str> = plan
        .updates
        .iter()
        .map(|u| u.package_sha256.as_str())
        .collect();
    agent.prune_packages(&planned)?;
    Ok(outcomes)
}

/// The outcome of an update that can't be had or that is not signed yet; it is tried again with
/// the next poll and not reported: the server knows what it could not serve.
pub(crate) fn not_had(planned: &PlannedUpdate, code: &str, error: &anyhow::Error) -> Outcome {
    Outcome {
        update: planned.update_id.to_string(),
        id: None,
        name: Some(text::plain(&planned.name)),
        state: State::Failed,
        code: Some(code.to_owned()),
        detail: Some(format!("{error:#}")),
        functions: 0,
        pause_ns: None,
        timeline: Vec::new(),
    }
}

/// Sends waiting reports; if that can't be done they stay queued.
pub fn send_reports(agent: &Agent, server: &Server) {
    if let Err(error) = server.send_reports(agent) {
        text::note(&format!("reports stay queued: {error:#}"));
    }
}
