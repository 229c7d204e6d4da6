//! What a build did, step by step, and how long it took.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fs,
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
    /// CPU time of its processes, in milliseconds; 0 where the worker can't
    /// know (docker). Ticks of 10 ms.
    pub cpu_millis: u64,
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
    cpu_millis: u64,
}

impl Steps {
    /// Begins a step.
    #[must_use]
    pub fn begin(name: &str) -> Running {
        Running {
            name: name.to_owned(),
            started_at: Timestamp::now(),
            clock: Instant::now(),
            cpu_millis: cpu_millis(),
        }
    }

    /// Ends a step and records it.
    pub fn end(&self, step: Running, exit_code: Option<i32>) {
        let record = StepRecord {
            name: step.name,
            started_at: step.started_at,
            millis: u64::try_from(step.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            cpu_millis: cpu_millis().saturating_sub(step.cpu_millis),
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

/// CPU time of this process and of the children that it has waited for.
fn cpu_millis() -> u64 {
    // proc(5): fields 14 to 17 after the command's closing parenthesis, in
    // ticks of 1/100 s, which x86 Linux has fixed for user space.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks * 10
}
