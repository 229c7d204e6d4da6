//! What a build did, step by step, and how long it took.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// One step of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its name: `patch`, `ref`, `pre`, `post`, `diff`, `module`, `verify`, ...
    pub name: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took by the wall clock, in milliseconds.
    pub millis: u64,
    /// CPU time of the step's commands, in milliseconds, as they tell it
    /// themselves; nothing if they were killed, or for the worker's own work.
    pub cpu_millis: Option<u64>,
    /// The exit code, if a command decided; other than 0 means that it failed.
    pub exit_code: Option<i32>,
}

impl From<&StepRecord> for resplice_api::Step {
    fn from(step: &StepRecord) -> Self {
        Self {
            name: step.name.clone(),
            started_at: step.started_at,
            millis: step.millis,
            exit_code: step.exit_code,
        }
    }
}

/// The steps so far; clones share them, so that a heartbeat can tell.
#[derive(Debug, Clone, Default)]
pub struct Steps(Arc<Mutex<Vec<StepRecord>>>);

/// A step that is running.
#[derive(Debug)]
pub struct Running {
    name: String,
    started_at: Timestamp,
    clock: Instant,
}

impl Steps {
    /// Begins a step.
    #[must_use]
    pub fn begin(name: &str) -> Running {
        Running {
            name: name.to_owned(),
            started_at: Timestamp::now(),
            clock: Instant::now(),
        }
    }

    /// Ends a step and records it.
    pub fn end(&self, step: Running, exit_code: Option<i32>, cpu_millis: Option<u64>) {
        let record = StepRecord {
            name: step.name,
            started_at: step.started_at,
            millis: u64::try_from(step.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            cpu_millis,
            exit_code,
        };
        self.lock().push(record);
    }

    /// All steps that have ended.
    #[must_use]
    pub fn all(&self) -> Vec<StepRecord> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<StepRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what the shell's `times` prints: a line for the shell, one for its
/// children, each with user and system time such as `0m1.234s`. In milliseconds.
#[must_use]
pub fn parse_times(text: &str) -> Option<u64> {
    let children = text.lines().nth(1)?;
    let millis = |word: &str| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
        let part: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
        let minutes: u64 = minutes.parse().ok()?;
        let whole: u64 = whole.parse().ok()?;
        (minutes < 1 << 32 && whole < 1 << 32).then(|| (minutes * 60 + whole) * 1000 + part)
    };
    let mut words = children.split_whitespace();
    Some(millis(words.next()?)? + millis(words.next()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_children_is_read() {
        assert_eq!(
            parse_times("0m0.000s 0m0.000s\n1m1.250s 0m0.5s\n"),
            Some(61_750)
        );
        assert_eq!(parse_times("0m0.000s 0m0.000s\n"), None);
        assert_eq!(parse_times("\n99999999999999999999m0s 0m0s\n"), None);
    }
}
