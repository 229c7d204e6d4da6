//! `resplice status`

use super::Context;
use crate::{
    agent::Agent,
    host::spoken,
    journal::{Record, State},
    kernel::LiveUpdate,
    text::{Cell, Tone, micros, table},
};
use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use std::process::ExitCode;

/// What `status --json` gives.
#[derive(Serialize)]
struct Status {
    host: String,
    release: String,
    target: String,
    server: Option<String>,
    uptime_seconds: u64,
    core_abi: Option<String>,
    updates: Vec<Row>,
}

/// An update in `status`.
#[derive(Serialize)]
struct Row {
    id: String,
    update: Option<String>,
    name: String,
    cves: Vec<String>,
    /// `applied`, `pending` (it was before the restart), `removed` (by hand), or
    /// what the journal says.
    state: String,
    functions: usize,
    /// Modules that it patches and that are not patched.
    waiting: Vec<String>,
    pause_ns: Option<u64>,
    work_ns: Option<u64>,
    since: Option<Timestamp>,
    code: Option<String>,
    detail: Option<String>,
}

pub fn run(context: &Context<'_>) -> Result<ExitCode> {
    let agent = Agent::view(&context.state)?;
    let status = Status {
        host: agent.enrolment.name.clone(),
        release: agent.host.release.clone(),
        target: agent.enrolment.target.clone(),
        server: agent.enrolment.server.clone(),
        uptime_seconds: agent.host.uptime.as_secs(),
        core_abi: agent.kernel.abi()?,
        updates: rows(&agent)?,
    };
    context.give(&status, || words(&agent, &status))?;
    Ok(ExitCode::SUCCESS)
}

/// What is loaded, and what the journal has to say of this boot.
fn rows(agent: &Agent) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut live = agent.kernel.updates()?;
    let mut records: Vec<(String, Record)> = agent.journal.records().into_iter().collect();
    records.sort_by_key(|(_, record)| record.last.seq);
    for (update, record) in records {
        let id = record.info.as_ref().map(|info| info.id.clone());
        let at = live.iter().position(|live| Some(&live.id) == id.as_ref());
        let live = at.map(|at| live.swap_remove(at));
        let this_boot = record.last.boot == agent.journal.boot();
        let Some(state) = state_word(&record, live.as_ref(), this_boot) else {
            continue;
        };
        rows.push(row(update, record, live, state));
    }
    rows.extend(live.into_iter().map(|live| Row {
        id: live.id.clone(),
        update: None,
        name: String::new(),
        cves: Vec::new(),
        state: live.state.clone(),
        functions: live.functions.len(),
        waiting: Vec::new(),
        pause_ns: live.pause_ns,
        work_ns: live.work_ns,
        since: None,
        code: None,
        detail: None,
    }));
    Ok(rows)
}

/// The word for an update; none if it is history.
fn state_word(record: &Record, live: Option<&LiveUpdate>, this_boot: bool) -> Option<String> {
    let word = match record.last.state {
        _ if live.is_some_and(LiveUpdate::is_applied) => "applied",
        State::Applied if this_boot => "removed",
        State::Applied => "pending",
        State::Undone | State::Refused | State::Failed | State::Busy if !this_boot => return None,
        state => state.word(),
    };
    Some(word.to_owned())
}

fn row(update: String, record: Record, live: Option<LiveUpdate>, state: String) -> Row {
    let info = record.info;
    let live = live.unwrap_or_default();
    let objects = info.iter().flat_map(|info| &info.objects);
    let waiting = objects
        .filter(|_| live.is_applied())
        .filter(|object| !live.has(object));
    Row {
        waiting: waiting.cloned().collect(),
        id: info
            .as_ref()
            .map_or_else(|| update.clone(), |info| info.id.clone()),
        update: Some(update),
        name: info
            .as_ref()
            .map(|info| info.name.clone())
            .unwrap_or_default(),
        cves: info
            .as_ref()
            .map(|info| info.cves.clone())
            .unwrap_or_default(),
        functions: info.map_or(live.functions.len(), |info| info.functions),
        pause_ns: live.pause_ns.or(record.last.pause_ns),
        work_ns: live.work_ns,
        since: Some(record.last.time),
        code: record.last.code,
        detail: record.last.detail,
        state,
    }
}

fn words(agent: &Agent, status: &Status) -> String {
    let host = &agent.host;
    let mut words = format!(
        "{}  kernel {}  up {}\n",
        status.host,
        status.release,
        spoken(host.uptime)
    );
    if status.updates.is_empty() {
        words.push_str("no updates in effect\n");
        return words;
    }
    let rows: Vec<Vec<Cell>> = status
        .updates
        .iter()
        .map(|row| {
            let tone = match row.state.as_str() {
                "applied" => Tone::Good,
                "refused" | "failed" | "quarantined" => Tone::Bad,
                "undone" => Tone::Quiet,
                _ => Tone::Pending,
            };
            vec![
                Cell::new(&row.id),
                Cell::toned(&row.state, tone),
                Cell::number(&row.functions.to_string()),
                Cell::number(&micros(row.pause_ns)),
                Cell::new(&row.cves.join(" ")),
                Cell::new(&match row.waiting.as_slice() {
                    [] => row.name.clone(),
                    objects => format!("{} (waits for {})", row.name, objects.join(", ")),
                }),
            ]
        })
        .collect();
    let header = ["UPDATE", "STATE", "FUNCTIONS", "PAUSE µs", "CVES", "NAME"];
    words.push('\n');
    words.push_str(&table(&header, &rows));
    words
}
