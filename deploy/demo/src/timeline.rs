//! The way of the update in time, from what the server has recorded.

use crate::say;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Something that took time.
struct Row {
    name: String,
    start: Timestamp,
    millis: u64,
}

/// Prints one row per step: when it began, how long it took, and where in the
/// whole that was; then how long the host stood still.
pub fn print(update: &Value) {
    let rows = rows(update);
    let (Some(begin), Some(end)) = (
        rows.iter().map(|row| row.start).min(),
        rows.iter().map(Row::end).max(),
    ) else {
        return say::line("the server recorded no step");
    };
    let whole = end.duration_since(begin).as_millis().max(1);
    for row in &rows {
        let after = row.start.duration_since(begin);
        say::line(&format!(
            "{:<9} +{:>6.1} s {:>7} ms  {}",
            row.name,
            after.as_secs_f64(),
            row.millis,
            bar(after.as_millis(), i128::from(row.millis), whole)
        ));
    }
    for report in items(update, "reports") {
        if let Some(pause) = report.get("pause_ns").and_then(Value::as_u64) {
            let event = report.get("event").and_then(Value::as_str).unwrap_or("?");
            let pause_us = pause / 1000;
            say::line(&format!(
                "{event:<9} {pause_us:>16} µs  the host stood still"
            ));
        }
    }
}

const BAR_COLUMNS: i128 = 40;

/// A bar at its place in the whole; at least one column wide.
fn bar(after_ms: i128, millis: i128, whole_ms: i128) -> String {
    let columns = |ms: i128| usize::try_from(ms.max(0) * BAR_COLUMNS / whole_ms).unwrap_or(0);
    let width = columns(millis).max(1);
    format!("{}{}", " ".repeat(columns(after_ms)), "█".repeat(width))
}

impl Row {
    fn end(&self) -> Timestamp {
        let millis = i64::try_from(self.millis).unwrap_or(i64::MAX);
        self.start
            .saturating_add(SignedDuration::from_millis(millis))
            .unwrap_or(self.start)
    }

    /// From a name, a start, and an end or a duration.
    fn new(name: &str, start: Option<&Value>, millis: u64) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            start: start?.as_str()?.parse().ok()?,
            millis,
        })
    }
}

/// The upload, the worker's steps of the first job, the release, and what the
/// first host did to apply it.
fn rows(update: &Value) -> Vec<Row> {
    let job = items(update, "jobs").first();
    let applied = items(update, "reports")
        .iter()
        .find(|report| report.get("event").and_then(Value::as_str) == Some("applied"));
    let queued = job.and_then(|job| {
        let from: Timestamp = update.get("created_at")?.as_str()?.parse().ok()?;
        let to: Timestamp = job.get("started_at")?.as_str()?.parse().ok()?;
        u64::try_from(to.duration_since(from).as_millis()).ok()
    });
    let upload = Row::new("upload", update.get("created_at"), queued.unwrap_or(0));
    let release = Row::new(
        "release",
        update.get("released").and_then(|it| it.get("at")),
        0,
    );
    upload
        .into_iter()
        .chain(job.into_iter().flat_map(steps("steps")))
        .chain(release)
        .chain(applied.into_iter().flat_map(steps("timeline")))
        .collect()
}

fn steps(list: &'static str) -> impl Fn(&Value) -> Vec<Row> {
    move |of| {
        items(of, list)
            .iter()
            .filter_map(|step| {
                let millis = step.get("millis")?.as_u64()?;
                Row::new(step.get("name")?.as_str()?, step.get("started_at"), millis)
            })
            .collect()
    }
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
