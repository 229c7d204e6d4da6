//! Metrics for the textfile collector of Prometheus' node exporter.

use crate::{agent::Agent, effective, journal::State, pause::Pause, poll::Polled};
use anyhow::{Context, Result};
use jiff::Timestamp;
use resplice_tuf::{Store, kept::Kept};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Replaces the file in one step. The collector only takes names that end in
/// `.prom`, so that what a crash leaves behind is never read.
///
/// # Errors
/// If the host's state can't be read, or the file not be written.
pub fn write(agent: &Agent, path: &Path) -> Result<()> {
    let text = text(agent)?;
    let failed = || format!("can't write the metrics {}", path.display());
    let mut name = path.file_name().with_context(failed)?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(failed);
        }
        _ => {}
    }
    // Others may write the directory: nothing that they put there is followed.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&new, path))
        .with_context(failed)
}

fn text(agent: &Agent) -> Result<String> {
    let mut out = Metrics::default();
    let applied = agent.kernel.applied()?;
    let effective = effective::release(&agent.host.release, &applied);
    out.family(
        "resplice_info",
        "gauge",
        "The agent and the effective kernel.",
    );
    out.sample(
        "resplice_info",
        &[
            ("version", env!("CARGO_PKG_VERSION")),
            ("release", &agent.host.release),
            ("effective_release", &effective),
        ],
        1,
    );
    out.family(
        "resplice_updates_applied",
        "gauge",
        "Updates that the kernel says are in effect.",
    );
    out.sample("resplice_updates_applied", &[], applied.len());
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for record in agent.journal.records().values() {
        *states.entry(record.last.state.word()).or_default() += 1;
    }
    out.family(
        "resplice_updates",
        "gauge",
        "Updates by their last state in the journal.",
    );
    for state in State::ALL {
        let count = states.get(state.word()).copied().unwrap_or(0);
        out.sample("resplice_updates", &[("state", state.word())], count);
    }
    let differences = agent.differences()?.len();
    out.family(
        "resplice_differences",
        "gauge",
        "Where the kernel and the journal differ.",
    );
    out.sample("resplice_differences", &[], differences);
    let paused = Pause::in_force(&agent.state, Timestamp::now())?.is_some();
    out.family("resplice_paused", "gauge", "1 while nothing is applied.");
    out.sample("resplice_paused", &[], u8::from(paused));
    if let Some(polled) = Polled::last(&agent.state)? {
        out.family("resplice_poll_timestamp_seconds", "gauge", "The last poll.");
        out.sample(
            "resplice_poll_timestamp_seconds",
            &[],
            polled.at.as_second(),
        );
        out.family("resplice_poll_failures", "gauge", "Failed polls in a row.");
        out.sample("resplice_poll_failures", &[], polled.failures);
        if let Some(good) = polled.last_good {
            out.family(
                "resplice_poll_success_timestamp_seconds",
                "gauge",
                "The last poll that succeeded.",
            );
            out.sample(
                "resplice_poll_success_timestamp_seconds",
                &[],
                good.as_second(),
            );
        }
    }
    // That it can't be read is for `doctor` to say: the rest is true all the same.
    if agent.enrolment.server.is_some()
        && let Ok(kept) = Store::open(&agent.state.repository()).and_then(|s| Kept::read(&s))
    {
        out.family(
            "resplice_metadata_expiry_timestamp_seconds",
            "gauge",
            "Until when a role's metadata is good.",
        );
        for role in &kept.roles {
            out.sample(
                "resplice_metadata_expiry_timestamp_seconds",
                &[("role", role.role)],
                role.expires.as_second(),
            );
        }
    }
    Ok(out.0)
}

/// Prometheus' text format, version 0.0.4. Writing to a string can't fail.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let quoted = |value: &str| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            value.replace('\n', "\\n")
        };
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", quoted(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}
