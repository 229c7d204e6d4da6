//! What the web interface costs a browser that has never been here.

use anyhow::{Context, Result};
use resplice_tests::eval::measure::Measure;
use resplice_tests::programs::{program, run_ok};
use resplice_tests::repository;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::Command;

/// What the scripts and styles of a page may come to, gzipped.
const BYTES: f64 = 150_000.0;
/// Until a page answers, on a CPU slowed down four times.
const INTERACTIVE_MS: f64 = 1000.0;

#[derive(Deserialize)]
struct Page {
    bytes: f64,
    interactive_ms: f64,
}

/// Loads pages in a browser; the median of several loads each.
pub fn measure() -> Result<Vec<Measure>> {
    let work = tempfile::tempdir()?;
    let file = work.path().join("figures.json");
    let server = program("resplice-server")?;
    let directory = server.parent().context("the server has no directory")?;
    run_ok(
        Command::new("npm")
            .args(["--prefix", "web", "run", "--silent", "figures"])
            .current_dir(repository(""))
            .env("RESPLICE_PROGRAMS", directory)
            .env("RESPLICE_FIGURES", &file),
    )?;
    let text = std::fs::read_to_string(&file).context("read the browser's figures")?;
    let pages: BTreeMap<String, Page> = serde_json::from_str(&text)?;
    Ok(pages
        .iter()
        .flat_map(|(name, page)| {
            let bytes = "script and style of a first load as they travel / what they may be";
            let time = "first load at a 4x slower CPU, until the page answers / what it may be";
            [
                Measure::alone(&format!("web: {name}, bytes"), page.bytes, "B", bytes)
                    .against(BYTES),
                Measure::alone(
                    &format!("web: {name}, interactive"),
                    page.interactive_ms,
                    "ms",
                    time,
                )
                .against(INTERACTIVE_MS),
            ]
        })
        .collect())
}
