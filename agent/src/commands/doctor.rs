//! `resplice doctor`

use super::{Context, ERROR};
use crate::{
    agent::Agent,
    doctor::{Check, Level, Place, examine, worst},
    text::{Cell, Tone, plain, table},
};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};

pub fn run(context: &Context<'_>, check: bool) -> Result<ExitCode> {
    let examined = Agent::view(&context.state).map(|agent| {
        let place = Place {
            root: PathBuf::from("/"),
            now: Timestamp::now(),
        };
        examine(&agent, &place)
    });
    let checks = match examined {
        Ok(checks) => checks,
        // For a plug-in that is a state to be told, not an error of its own.
        Err(error) if check => vec![Check {
            name: "state",
            level: Level::Unknown,
            sentence: format!("{error:#}"),
        }],
        Err(error) => return Err(error),
    };
    let level = worst(&checks);
    let value = json!({ "level": level, "checks": checks });
    context.give(&value, || match check {
        true => line(&checks),
        false => rows(&checks),
    })?;
    Ok(ExitCode::from(match (check, level) {
        (true, level) => level.exit_code(),
        (false, Level::Critical) => ERROR,
        (false, _) => 0,
    }))
}

/// One line: the worst first.
fn line(checks: &[Check]) -> String {
    let mut bad: Vec<&Check> = checks.iter().filter(|c| c.level != Level::Ok).collect();
    bad.sort_by_key(|check| std::cmp::Reverse(check.level));
    let words = match bad.is_empty() {
        true => format!("all of {} checks", checks.len()),
        false => bad
            .iter()
            .map(|check| format!("{}: {}", check.name, check.sentence))
            .collect::<Vec<_>>()
            .join("; "),
    };
    let word = worst(checks).word();
    // A bar would begin performance data.
    let words = plain(&words).replace('\n', " ").replace('|', "/");
    format!("RESPLICE {word} - {words}")
}

fn rows(checks: &[Check]) -> String {
    let rows: Vec<Vec<Cell>> = checks
        .iter()
        .map(|check| {
            let tone = match check.level {
                Level::Ok => Tone::Good,
                Level::Critical => Tone::Bad,
                Level::Warning | Level::Unknown => Tone::Pending,
            };
            vec![
                Cell::new(check.name),
                Cell::toned(&check.level.word().to_lowercase(), tone),
                Cell::long(&check.sentence),
            ]
        })
        .collect();
    table(&["CHECK", "LEVEL", "FOUND"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plug_in_says_one_line_with_the_worst_first() {
        let check = |name, level, sentence: &str| Check {
            name,
            level,
            sentence: sentence.to_owned(),
        };
        let good = check("disk", Level::Ok, "room");
        assert_eq!(
            line(std::slice::from_ref(&good)),
            "RESPLICE OK - all of 1 checks"
        );
        let checks = [
            good,
            check("pause", Level::Warning, "a|b\nc"),
            check("keys", Level::Critical, "bad"),
        ];
        assert_eq!(line(&checks), "RESPLICE CRITICAL - keys: bad; pause: a/b c");
        assert_eq!(worst(&checks).exit_code(), 2);
    }
}
