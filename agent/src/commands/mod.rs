//! The commands, and what they have in common.

mod apply;
mod boot;
mod check;
mod coming;
mod daemon;
mod doctor;
mod enroll;
mod history;
mod list;
mod pages;
mod pause;
mod show;
mod status;
mod uname;
mod undo;
mod verify;

use crate::{
    agent::{Agent, Outcome},
    cli::{Cli, Command, Global},
    journal::State,
    state::StateDir,
    text::{self, Tone, micros, paint, plain},
};
use anyhow::{Result, bail};
use serde::Serialize;
use std::process::ExitCode;

/// An error.
pub const ERROR: u8 = 1;
/// An update was refused.
const REFUSED: u8 = 3;
/// An update is busy.
const BUSY: u8 = 4;

/// Runs the chosen command.
///
/// # Errors
/// Whatever keeps it from being carried out.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let context = Context {
        state: StateDir::new(&cli.global.state),
        global: &cli.global,
    };
    match &cli.command {
        Command::Enroll(arguments) => enroll::run(&context, arguments),
        Command::Check(arguments) => check::run(&context, arguments),
        Command::Apply(arguments) => apply::run(&context, arguments),
        Command::Undo(arguments) => undo::run(&context, arguments),
        Command::Status => status::run(&context),
        Command::List => list::run(&context),
        Command::Show { id } => show::run(&context, id),
        Command::History { limit } => history::run(&context, *limit),
        Command::Daemon(arguments) => daemon::run(&context, arguments),
        Command::Coming { module } => coming::run(&context, module),
        Command::Boot { end } => boot::run(&context, *end),
        Command::Uname(arguments) => uname::run(&context, arguments),
        Command::Verify => verify::run(&context),
        Command::Pause { until } => pause::begin(&context, *until),
        Command::Resume => pause::end(&context),
        Command::Doctor { check } => doctor::run(&context, *check),
        Command::Completions { shell } => pages::completions(*shell),
        Command::Man { dir } => pages::man(dir),
    }
}

/// What every command needs.
struct Context<'a> {
    state: StateDir,
    global: &'a Global,
}

impl Context<'_> {
    /// Says something to people; not with --json or --quiet.
    fn say(&self, text: &str) {
        if !self.global.json && !self.global.quiet {
            println!("{text}");
        }
    }

    /// Gives the result: JSON if that was asked for, otherwise words.
    fn give<T: Serialize>(&self, value: &T, words: impl FnOnce() -> String) -> Result<()> {
        if self.global.json {
            println!("{}", serde_json::to_string_pretty(value)?);
        } else if !self.global.quiet {
            let words = words();
            println!("{}", words.trim_end_matches('\n'));
        }
        Ok(())
    }
}

/// An outcome in words, with a mark in front.
fn outcome_words(outcome: &Outcome) -> String {
    let (mark, tone) = match outcome.state {
        State::Applied | State::Undone if outcome.code.is_none() => ("✓", Tone::Good),
        State::Busy => ("…", Tone::Pending),
        _ => ("✗", Tone::Bad),
    };
    let id = outcome.id.as_deref().unwrap_or(&outcome.update);
    let mut words = format!("{} {id} ", paint(mark, tone));
    if let Some(name) = &outcome.name {
        words.push_str(&format!("{} ", paint(&plain(name), Tone::Quiet)));
    }
    words.push_str(&paint(outcome.state.word(), tone));
    if matches!(outcome.state, State::Applied | State::Undone) && outcome.code.is_none() {
        let s = if outcome.functions == 1 { "" } else { "s" };
        words.push_str(&format!(": {} function{s}", outcome.functions));
        if outcome.pause_ns.is_some() {
            words.push_str(&format!(", pause {} µs", micros(outcome.pause_ns)));
        }
    } else if let Some(code) = outcome
        .code
        .as_ref()
        .filter(|code| *code != outcome.state.word())
    {
        words.push_str(&format!(" ({})", plain(code)));
    }
    for line in outcome.detail.iter().flat_map(|detail| detail.lines()) {
        words.push_str(&format!("\n    {}", plain(line)));
    }
    words
}

/// The exit code for a set of outcomes: the worst.
fn exit_code(outcomes: &[Outcome]) -> ExitCode {
    let rank = |outcome: &Outcome| match (outcome.state, outcome.code.as_deref()) {
        (State::Applied | State::Undone, None) => 0,
        (State::Busy, _) | (State::Applied, Some("busy")) => BUSY,
        (State::Refused, _) => REFUSED,
        _ => ERROR,
    };
    let codes: Vec<u8> = outcomes.iter().map(rank).collect();
    let worst = [ERROR, REFUSED, BUSY]
        .into_iter()
        .find(|code| codes.contains(code));
    ExitCode::from(worst.unwrap_or(0))
}

/// An update that a person named: its id on the server, in the kernel, or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    update: Option<String>,
    id: Option<String>,
}

/// Finds the one update whose id on the server or in the kernel begins with
/// `text`, among those in the journal and those that are loaded.
fn find(agent: &Agent, text: &str) -> Result<Named> {
    let mut known: Vec<Named> = Vec::new();
    for (update, record) in agent.journal.records() {
        let id = record.info.map(|info| info.id);
        known.push(Named {
            update: Some(update),
            id,
        });
    }
    for live in agent.kernel.updates()? {
        if !known
            .iter()
            .any(|named| named.id.as_ref() == Some(&live.id))
        {
            known.push(Named {
                update: None,
                id: Some(live.id),
            });
        }
    }
    let begins = |id: &Option<String>| id.as_ref().is_some_and(|id| id.starts_with(text));
    let mut found: Vec<Named> = known
        .into_iter()
        .filter(|named| begins(&named.update) || begins(&named.id))
        .collect();
    match (found.pop(), found.len()) {
        (Some(named), 0) if !text.is_empty() => Ok(named),
        (Some(_), _) => {
            bail!("{text:?} is the beginning of more than one update's id: give more of it")
        }
        (None, _) => {
            bail!("no update {text:?} is known here: see `resplice list` and `resplice status`")
        }
    }
}

/// Says that outcomes wait for the server, or sends them.
fn report(agent: &Agent) {
    match crate::server::Server::of(agent) {
        Ok(Some(server)) => crate::poll::send_reports(agent, &server),
        Ok(None) => {}
        Err(error) => text::note(&format!("reports stay queued: {error:#}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn outcome(state: State, code: Option<&str>) -> Outcome {
        Outcome {
            update: "u".to_owned(),
            id: Some("rsp_1".to_owned()),
            name: Some("a fix".to_owned()),
            state,
            code: code.map(str::to_owned),
            detail: None,
            functions: 1,
            pause_ns: Some(41_200),
            timeline: Vec::new(),
        }
    }

    #[test]
    fn an_outcome_is_one_line() {
        let words = outcome_words(&outcome(State::Applied, None));
        assert_eq!(words, "✓ rsp_1 a fix applied: 1 function, pause 41.2 µs");
        let words = outcome_words(&outcome(State::Refused, Some("mismatch")));
        assert_eq!(words, "✗ rsp_1 a fix refused (mismatch)");
        let words = outcome_words(&outcome(State::Busy, Some("busy")));
        assert_eq!(words, "… rsp_1 a fix busy");
    }

    #[test]
    fn the_exit_code_tells_the_worst_outcome() {
        let good = outcome(State::Applied, None);
        let busy = outcome(State::Busy, Some("busy"));
        let refused = outcome(State::Refused, Some("mismatch"));
        let failed = outcome(State::Failed, None);
        let code = |outcomes: &[&Outcome]| {
            let outcomes: Vec<Outcome> = outcomes.iter().map(|o| (*o).clone()).collect();
            format!("{:?}", exit_code(&outcomes))
        };
        let is = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(code(&[&good]), is(0));
        assert_eq!(code(&[&good, &busy]), is(4));
        assert_eq!(code(&[&busy, &refused]), is(3));
        assert_eq!(code(&[&busy, &refused, &failed]), is(1));
        assert_eq!(code(&[&outcome(State::Applied, Some("busy"))]), is(4));
    }
}
