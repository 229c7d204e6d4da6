//! `resplice list`

use super::Context;
use crate::{
    agent::Agent,
    policy::Decision,
    poll,
    server::{Server, known_plan},
    text::{self, Cell, Tone, table},
};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Serialize;
use std::process::ExitCode;

/// A released update.
#[derive(Serialize)]
struct Row {
    update: String,
    id: Option<String>,
    name: String,
    bytes: u64,
    target: String,
    released_at: Timestamp,
    /// What the agent would do by itself: `apply`, or why it leaves it.
    next: String,
}

pub fn run(context: &Context<'_>) -> Result<ExitCode> {
    let agent = Agent::view(&context.state)?;
    let server = Server::of(&agent)?.context("this host is not enrolled at a server")?;
    let plan = match server.plan(&agent.state) {
        Ok(plan) => plan,
        Err(error) => {
            let known = known_plan(&agent.state)?;
            let plan = known.with_context(|| format!("{error:#}"))?;
            text::note(&format!("this is the last known list: {error:#}"));
            plan
        }
    };
    let records = agent.journal.records();
    let mut rows = Vec::new();
    for planned in &plan.updates {
        let update = planned.update_id.to_string();
        let info = records.get(&update).and_then(|record| record.info.as_ref());
        rows.push(Row {
            id: info.map(|info| info.id.clone()),
            name: text::plain(&planned.name),
            bytes: planned.bytes,
            target: planned.target.clone(),
            released_at: planned.released_at,
            next: match poll::decision(&agent, &records, planned)? {
                Decision::Apply => "apply".to_owned(),
                Decision::Leave(reason) => reason.to_owned(),
            },
            update,
        });
    }
    context.give(&rows, || words(&rows))?;
    Ok(ExitCode::SUCCESS)
}

fn words(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "the server has released nothing for this host".to_owned();
    }
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| {
            let tone = match row.next.as_str() {
                "in effect" => Tone::Good,
                "apply" => Tone::Pending,
                _ => Tone::Bad,
            };
            vec![
                Cell::new(&row.update),
                Cell::new(&row.released_at.strftime("%Y-%m-%d %H:%M").to_string()),
                Cell::number(&format!("{} kB", row.bytes.div_ceil(1000))),
                Cell::toned(
                    if row.next == "apply" {
                        "to be applied"
                    } else {
                        &row.next
                    },
                    tone,
                ),
                Cell::new(&row.name),
            ]
        })
        .collect();
    table(&["UPDATE", "RELEASED", "SIZE", "HERE", "NAME"], &cells)
}
