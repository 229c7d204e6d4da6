//! The way of the update in time, from what the server has recorded.

use crate::say;
use serde_json::Value;

/// Prints one row per step: its name, a bar, and how long it took.
pub fn print(update: &Value) {
    let rows = rows(update);
    let longest = rows.iter().map(|row| row.1).max().unwrap_or(1).max(1);
    for (name, millis) in &rows {
        let width = usize::try_from(millis * 32 / longest).unwrap_or(0).max(1);
        say::line(&format!(
            "{name:<10} {:>7} ms  {}",
            millis,
            "█".repeat(width)
        ));
    }
    for report in items(update, "reports") {
        if let Some(pause) = report.get("pause_ns").and_then(Value::as_u64) {
            let event = report.get("event").and_then(Value::as_str).unwrap_or("?");
            say::line(&format!(
                "{event:<10} {:>7} µs  the machine stood still",
                pause / 1000
            ));
        }
    }
}

/// The worker's steps of the first job, then those of the host's first apply.
fn rows(update: &Value) -> Vec<(String, u64)> {
    let job = items(update, "jobs").first();
    let report = items(update, "reports")
        .iter()
        .find(|report| report.get("event").and_then(Value::as_str) == Some("applied"));
    let steps = job.into_iter().flat_map(|job| items(job, "steps"));
    let host = report
        .into_iter()
        .flat_map(|report| items(report, "timeline"));
    steps
        .chain(host)
        .filter_map(|step| {
            let name = step.get("name")?.as_str()?.to_owned();
            Some((name, step.get("millis")?.as_u64()?))
        })
        .collect()
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
