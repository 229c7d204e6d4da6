//! `resplice undo`

use super::{Context, exit_code, find, outcome_words, report};
use crate::{agent::Agent, cli::Undo, journal::By};
use anyhow::{Context as _, Result, ensure};
use std::{cmp::Reverse, process::ExitCode};

pub fn run(context: &Context<'_>, arguments: &Undo) -> Result<ExitCode> {
    let (mut agent, _lock) = Agent::open_locked(&context.state)?;
    let ids = if arguments.all {
        newest_first(&agent)?
    } else {
        named(&agent, &arguments.ids)?
    };
    let mut outcomes = Vec::new();
    for id in ids {
        outcomes.push(agent.undo(&id, By::Operator)?);
    }
    context.give(&outcomes, || {
        if outcomes.is_empty() {
            return "nothing is in effect".to_owned();
        }
        outcomes
            .iter()
            .map(outcome_words)
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    report(&agent);
    Ok(exit_code(&outcomes))
}

fn named(agent: &Agent, texts: &[String]) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for text in texts {
        let id = find(agent, text)?
            .id
            .with_context(|| format!("{text} was never loaded here"))?;
        let live = agent
            .kernel
            .update(&id)?
            .is_some_and(|live| live.is_applied());
        ensure!(live, "{id} is not in effect: there is nothing to undo");
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// All that are in effect; what was applied last may build upon what was before.
fn newest_first(agent: &Agent) -> Result<Vec<String>> {
    let mut live: Vec<String> = agent
        .kernel
        .updates()?
        .into_iter()
        .filter(|update| update.is_applied())
        .map(|update| update.id)
        .collect();
    live.sort_by_key(|id| Reverse(agent.record_of(id).map_or(0, |(_, record)| record.last.seq)));
    Ok(live)
}
