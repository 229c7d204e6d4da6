//! What keeps a host from getting updates: a list of checks, each with a level.

mod disk;
mod kernel;
mod server;

use crate::{agent::Agent, journal::State, pause::Pause};
use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use std::path::PathBuf;

/// How bad it is; in the order of a monitoring plug-in's exit codes, but that
/// `unknown` is worse than `warning` and not as bad as `critical`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Will keep the host from getting updates if nobody looks after it.
    Warning,
    /// Could not be found out.
    Unknown,
    /// Keeps the host from getting updates, or something is in effect that should
    /// not be.
    Critical,
}

impl Level {
    /// The plug-in's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Unknown => "UNKNOWN",
            Self::Critical => "CRITICAL",
        }
    }

    /// The plug-in's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

/// What was looked at, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// For people: what was found, and what to do about it.
    pub sentence: String,
}

/// Where to look: the machine's own files, or in a test others below a directory.
#[derive(Debug, Clone)]
pub struct Place {
    /// `/`, apart from tests.
    pub root: PathBuf,
    /// Now.
    pub now: Timestamp,
}

/// Looks at everything. What can't be found out is `unknown`, and hides nothing else.
#[must_use]
pub fn examine(agent: &Agent, place: &Place) -> Vec<Check> {
    type Look = fn(&Agent, &Place) -> Result<(Level, String)>;
    let looks: [(&'static str, Look); 9] = [
        ("poll", server::poll),
        ("metadata", server::metadata),
        ("journal", journal),
        ("updates", updates),
        ("pause", pause),
        ("core", kernel::core),
        ("modules", kernel::modules),
        ("keys", disk::keys),
        ("disk", disk::space),
    ];
    looks
        .into_iter()
        .map(|(name, look)| {
            let found = look(agent, place);
            let (level, sentence) =
                found.unwrap_or_else(|error| (Level::Unknown, format!("{error:#}")));
            Check {
                name,
                level,
                sentence,
            }
        })
        .collect()
}

/// The worst level.
#[must_use]
pub fn worst(checks: &[Check]) -> Level {
    checks
        .iter()
        .map(|check| check.level)
        .max()
        .unwrap_or(Level::Unknown)
}

fn journal(agent: &Agent, _: &Place) -> Result<(Level, String)> {
    let differences = agent.differences()?;
    let Some(first) = differences.first() else {
        return Ok((
            Level::Ok,
            "the kernel and the journal say the same".to_owned(),
        ));
    };
    // A step may be under way right now.
    let level = match differences
        .iter()
        .all(|d| matches!(d.code, "unfinished" | "pending"))
    {
        true => Level::Warning,
        false => Level::Critical,
    };
    let more = match differences.len() {
        1 => String::new(),
        count => format!(" (and {} more: `resplice verify`)", count - 1),
    };
    Ok((level, format!("{}: {}{more}", first.update, first.sentence)))
}

fn updates(agent: &Agent, _: &Place) -> Result<(Level, String)> {
    let records = agent.journal.records();
    let count = |states: &[State]| {
        let is = |state| states.contains(&state);
        records
            .values()
            .filter(|record| is(record.last.state))
            .count()
    };
    let quarantined = count(&[State::Quarantined]);
    let refused = count(&[State::Refused, State::Failed]);
    let applied = agent.kernel.applied()?.len();
    let words =
        format!("{applied} in effect, {refused} refused or failed, {quarantined} quarantined");
    Ok(match quarantined + refused {
        0 => (Level::Ok, words),
        _ => (Level::Warning, format!("{words}: see `resplice history`")),
    })
}

fn pause(agent: &Agent, place: &Place) -> Result<(Level, String)> {
    Ok(match Pause::in_force(&agent.state, place.now)? {
        None => (Level::Ok, "not paused".to_owned()),
        Some(pause) if pause.until.is_some() => (Level::Ok, pause.words()),
        Some(pause) => (Level::Warning, pause.words()),
    })
}
