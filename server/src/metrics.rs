//! What the server counts, in Prometheus' text format. What the database knows is
//! asked for when somebody looks; counters begin at zero with the process.

use crate::db::metrics::Gauges;
use resplice_api::Step;
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The media type of Prometheus' text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Most names of steps that are told apart: workers choose them.
const MAX_STEPS: usize = 64;

/// What the process has counted.
#[derive(Debug, Default)]
pub struct Metrics {
    polls_changed: AtomicU64,
    polls_unchanged: AtomicU64,
    /// By step: how many, and milliseconds in all.
    steps: Mutex<BTreeMap<String, (u64, u64)>>,
}

impl Metrics {
    /// A host was told its plan, or that it has not changed.
    pub fn polled(&self, changed: bool) {
        let counter = match changed {
            true => &self.polls_changed,
            false => &self.polls_unchanged,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt ended after these steps.
    pub fn built(&self, steps: &[Step]) {
        let mut all = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        for step in steps {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            let known = all.contains_key(&step.name);
            let fits = (1..=32).contains(&step.name.len()) && step.name.bytes().all(plain);
            let name = match known || (fits && all.len() < MAX_STEPS) {
                true => step.name.as_str(),
                false => "other",
            };
            let sum = all.entry(name.to_owned()).or_default();
            sum.0 += 1;
            sum.1 = sum.1.saturating_add(step.millis);
        }
    }

    /// All of it as text.
    #[must_use]
    pub fn text(&self, gauges: &Gauges) -> String {
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, rows: &[(String, f64)]| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in rows {
                let _ = writeln!(text, "{labels} {value}");
            }
        };
        let jobs: Vec<_> = gauges
            .jobs
            .iter()
            .map(|(status, n)| (format!("resplice_jobs{{status=\"{status}\"}}"), *n as f64))
            .collect();
        metric("resplice_jobs", "gauge", "Jobs by status.", &jobs);
        let mut gauge = |name: &str, help: &str, value: f64| {
            metric(name, "gauge", help, &[(name.to_owned(), value)]);
        };
        gauge(
            "resplice_queue_age_seconds",
            "How long the oldest queued job has waited.",
            gauges.queue_age_seconds,
        );
        gauge(
            "resplice_lease_age_seconds",
            "How long the oldest running attempt has run.",
            gauges.lease_age_seconds,
        );
        gauge("resplice_hosts", "Enrolled hosts.", gauges.hosts as f64);
        gauge(
            "resplice_log_entries",
            "Entries of the transparency log.",
            gauges.log_entries as f64,
        );
        let polls: Vec<_> = [
            ("changed", &self.polls_changed),
            ("unchanged", &self.polls_unchanged),
        ]
        .iter()
        .map(|(answer, n)| {
            let labels = format!("resplice_polls_total{{answer=\"{answer}\"}}");
            (labels, n.load(Ordering::Relaxed) as f64)
        })
        .collect();
        let help = "Polls of hosts by answer.";
        metric("resplice_polls_total", "counter", help, &polls);
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<_> = steps
            .iter()
            .flat_map(|(step, (count, millis))| {
                let row = |part| format!("resplice_build_step_seconds_{part}{{step=\"{step}\"}}");
                [
                    (row("sum"), *millis as f64 / 1000.0),
                    (row("count"), *count as f64),
                ]
            })
            .collect();
        let help = "Seconds of a build by step.";
        metric("resplice_build_step_seconds", "summary", help, &rows);
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_workers_words_neither_break_the_text_nor_fill_the_memory() {
        let metrics = Metrics::default();
        let step = |name: &str| Step {
            name: name.to_owned(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            millis: 1500,
            exit_code: None,
        };
        metrics.built(&[step("diff"), step("diff"), step("a\"} 1\nx")]);
        for i in 0..200 {
            metrics.built(&[step(&format!("s{i}"))]);
        }
        let text = metrics.text(&Gauges::default());
        assert!(text.contains("\nresplice_build_step_seconds_sum{step=\"diff\"} 3\n"));
        assert!(text.contains("\nresplice_build_step_seconds_count{step=\"diff\"} 2\n"));
        assert!(!text.contains("\nx"));
        assert!(text.lines().count() < 2 * MAX_STEPS + 40);
    }
}
