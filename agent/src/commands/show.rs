//! `resplice show`

use super::{Context, find};
use crate::{
    agent::Agent,
    journal::{Entry, Record},
    kernel::LiveUpdate,
    text::{micros, plain},
};
use anyhow::Result;
use resplice_package::Manifest;
use serde::Serialize;
use std::{fmt::Write, process::ExitCode};

/// All that is known of one update.
#[derive(Serialize)]
struct Details {
    id: Option<String>,
    update: Option<String>,
    record: Option<Record>,
    /// What the kernel says, if it is loaded.
    kernel: Option<LiveUpdate>,
    /// From its package, if that is in the cache.
    manifest: Option<Manifest>,
    signed_by: Option<String>,
    history: Vec<Entry>,
}

pub fn run(context: &Context<'_>, text: &str) -> Result<ExitCode> {
    let agent = Agent::view(&context.state)?;
    let named = find(&agent, text)?;
    let update = named.update.clone();
    let is_it = |entry: &&Entry| Some(&entry.update) == update.as_ref();
    let record = update
        .as_ref()
        .and_then(|update| agent.journal.records().remove(update));
    let sha256 = record.as_ref().and_then(|record| record.package.as_deref());
    let bytes = sha256
        .map(|sha256| agent.cached_package(sha256))
        .transpose()?
        .flatten();
    let package = bytes.and_then(|bytes| agent.verify(&bytes, None).ok());
    let details = Details {
        kernel: named
            .id
            .as_ref()
            .map(|id| agent.kernel.update(id))
            .transpose()?
            .flatten(),
        manifest: package.as_ref().map(|package| package.manifest().clone()),
        signed_by: package.map(|package| package.signer().to_string()),
        history: agent
            .journal
            .entries()
            .iter()
            .filter(is_it)
            .cloned()
            .collect(),
        id: named.id,
        update: named.update,
        record,
    };
    context.give(&details, || words(&details))?;
    Ok(ExitCode::SUCCESS)
}

fn words(details: &Details) -> String {
    let mut out = String::new();
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string can't fail.
            let _ = writeln!(out, "{label:<10} {}", plain(value));
        }
    };
    line("update", details.update.as_deref().unwrap_or_default());
    line(
        "in kernel",
        details.id.as_deref().unwrap_or("not verified yet"),
    );
    if let Some(info) = details
        .record
        .as_ref()
        .and_then(|record| record.info.as_ref())
    {
        line("name", &info.name);
        line("fixes", &info.cves.join(" "));
        for object in &info.objects {
            let live = details.kernel.as_ref();
            let part = live.and_then(|live| live.parts.iter().find(|p| p.object == *object));
            let state = part.map_or("not loaded", |part| part.state.as_str());
            line("part", &format!("{object}: {state}"));
        }
    }
    if let Some(record) = &details.record {
        line("state", record.last.state.word());
        line("code", record.last.code.as_deref().unwrap_or_default());
        line("package", record.package.as_deref().unwrap_or_default());
        for detail in record.last.detail.iter().flat_map(|detail| detail.lines()) {
            line("", detail);
        }
    }
    if let Some(live) = &details.kernel {
        let count = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |v| v.to_string());
        line("kernel", &live.state);
        line(
            "pause",
            &format!(
                "{} µs, {} µs of it work",
                micros(live.pause_ns),
                micros(live.work_ns)
            ),
        );
        line("attempts", &count(live.attempts));
        line("memory", &format!("{} bytes", count(live.bytes)));
    }
    line(
        "signed by",
        details.signed_by.as_deref().unwrap_or_default(),
    );
    if let Some(manifest) = &details.manifest {
        line("built by", &manifest.built_by);
        for part in &manifest.parts {
            for function in &part.functions {
                line(
                    "replaces",
                    &format!(
                        "{} ({}, in {}), {} → {} bytes",
                        function.name,
                        function.unit,
                        part.object,
                        function.old_size,
                        function.new_size
                    ),
                );
            }
        }
    }
    out
}
