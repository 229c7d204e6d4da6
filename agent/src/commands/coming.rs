//! `resplice coming`

use super::{Context, exit_code, outcome_words};
use crate::agent::Agent;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(context: &Context<'_>, module: &str) -> Result<ExitCode> {
    let (mut agent, _lock) = Agent::open_locked(&context.state)?;
    let outcomes = agent.module_comes(module)?;
    context.give(&outcomes, || {
        let lines: Vec<String> = outcomes.iter().map(outcome_words).collect();
        match lines.is_empty() {
            true => format!("nothing in effect has a part for {module}"),
            false => lines.join("\n"),
        }
    })?;
    Ok(exit_code(&outcomes))
}
