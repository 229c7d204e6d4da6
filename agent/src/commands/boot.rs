//! `resplice boot`

use super::{Context, exit_code, outcome_words};
use crate::agent::Agent;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(context: &Context<'_>, end: bool) -> Result<ExitCode> {
    let (mut agent, _lock) = Agent::open_locked(&context.state)?;
    let outcomes = if end {
        agent.boot_ended()?;
        Vec::new()
    } else {
        // First: a crash from here on is one of this boot.
        agent.boot_began()?;
        agent.reapply()?
    };
    context.give(&outcomes, || {
        let lines: Vec<String> = outcomes.iter().map(outcome_words).collect();
        match (end, lines.is_empty()) {
            (true, _) => "noted that this boot ends as it should".to_owned(),
            (false, true) => "nothing is to be put back".to_owned(),
            (false, false) => lines.join("\n"),
        }
    })?;
    Ok(exit_code(&outcomes))
}
