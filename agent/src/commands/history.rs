//! `resplice history`

use super::Context;
use crate::{
    agent::Agent,
    journal::{By, Entry, State},
    text::{Cell, Tone, table},
};
use anyhow::Result;
use std::process::ExitCode;

pub fn run(context: &Context<'_>, limit: usize) -> Result<ExitCode> {
    let agent = Agent::view(&context.state)?;
    let entries = agent.journal.entries();
    let newest = &entries[entries.len().saturating_sub(limit)..];
    context.give(&newest, || words(&agent, newest))?;
    Ok(ExitCode::SUCCESS)
}

fn words(agent: &Agent, entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "nothing has been done on this host yet".to_owned();
    }
    let records = agent.journal.records();
    let rows: Vec<Vec<Cell>> = entries
        .iter()
        .map(|entry| {
            let info = records
                .get(&entry.update)
                .and_then(|record| record.info.as_ref());
            let tone = match entry.state {
                State::Applied if entry.code.is_none() => Tone::Good,
                State::Refused | State::Failed | State::Quarantined => Tone::Bad,
                State::Busy | State::Applied => Tone::Pending,
                _ => Tone::Normal,
            };
            let by = match entry.by {
                By::Operator => "operator",
                By::Server => "server",
                By::Agent => "agent",
            };
            vec![
                Cell::new(&entry.time.strftime("%Y-%m-%d %H:%M:%S").to_string()),
                Cell::new(info.map_or(entry.update.as_str(), |info| &info.id)),
                Cell::toned(entry.state.word(), tone),
                Cell::new(by),
                Cell::new(entry.detail.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    table(&["TIME (UTC)", "UPDATE", "STATE", "BY", "DETAIL"], &rows)
}
