//! The two stages of an evaluation, each a run of the worker: build a patch,
//! and apply and undo what was built.

use super::attempt::{Attempt, Status, TRIAL};
use super::corpus::Patch;
use super::process::{Ended, Worker};
use super::record::Record;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The worker's exit code for a verification that did not come to an answer.
const RIG_BROKEN: i32 = 2;

/// A worker, a target, and what is known already.
pub struct Stages {
    /// Runs builds.
    pub builder: Worker,
    /// Runs verifications.
    pub verifier: Worker,
    /// The target's id.
    pub target: String,
    /// The key that packages are signed with.
    pub key: PathBuf,
    /// Where results are kept.
    pub record: Record,
    /// Whether what is built is tried.
    pub apply: bool,
}

impl Stages {
    /// Whether there is nothing left to do for a patch.
    pub fn is_done(&self, patch: &Patch) -> bool {
        let known = self.record.known(patch);
        known.is_some_and(|attempt| !self.wants_trial(&attempt))
    }

    /// Does what is left to do for a patch, and keeps it.
    ///
    /// # Errors
    /// If the worker can't be started or a file not be written; what the worker
    /// says of the patch is no error.
    pub fn run(&self, patch: &Patch) -> Result<()> {
        let mut attempt = match self.record.known(patch) {
            Some(attempt) => attempt,
            None => {
                let attempt = self.build(patch)?;
                self.record.keep(patch, &attempt)?;
                attempt
            }
        };
        if self.wants_trial(&attempt) {
            self.trial(patch, &mut attempt)?;
            self.record.keep(patch, &attempt)?;
        }
        Ok(())
    }

    fn wants_trial(&self, attempt: &Attempt) -> bool {
        self.apply && attempt.is_built() && !attempt.tried
    }

    fn build(&self, patch: &Patch) -> Result<Attempt> {
        let place = self.record.fresh(patch)?;
        let source = place.join("source.patch");
        std::fs::write(&source, patch.text()?)
            .with_context(|| format!("write {}", source.display()))?;
        let ended = self.builder.run(|command| {
            // The trial is a stage of its own: the worker boots nothing here.
            command
                .args(["build", "--json", "--no-verify", "--target", &self.target])
                .arg("--patch")
                .arg(&source)
                .args(["--name", &patch.name, "--key"])
                .arg(&self.key)
                .arg("--out")
                .arg(&place);
        })?;
        let said: Value = serde_json::from_slice(&ended.stdout).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        let status = text("status").map_or(Status::Failed, |word| Status::of(&word));
        let reason = match status {
            Status::Built => String::new(),
            Status::Failed => with_first_error(text("reason").unwrap_or(ended.words), &place),
            _ => text("reason").unwrap_or(ended.words),
        };
        let mut attempt = Attempt::new(&patch.name, &patch.reaches, status, reason);
        attempt.result.declared = patch.declared.lines().map(str::to_owned).collect();
        attempt.result.functions = words(said.get("functions"));
        attempt.objects = match said.get("objects") {
            Some(list) => words(Some(list)),
            None => text("object").into_iter().collect(),
        };
        attempt.result.seconds = seconds(&place.join("steps.json"));
        Ok(attempt)
    }

    /// Every trial has a guest of its own, restored from one snapshot: so no
    /// update answers for another.
    fn trial(&self, patch: &Patch, attempt: &mut Attempt) -> Result<()> {
        let package = self.record.package(patch)?;
        let log = self.record.place(patch).join("verify.log");
        let mut ended = self.verify(&package, &log)?;
        // A rig that broke says nothing of the update: once more.
        if ended.code.is_none_or(|code| code == RIG_BROKEN) {
            ended = self.verify(&package, &log)?;
        }
        let said: Value = serde_json::from_slice(&ended.stdout).unwrap_or_default();
        let guest = said.get("guest");
        let flag = |name: &str| guest.and_then(|guest| guest.get(name)?.as_bool());
        let reason = said.get("reason").and_then(Value::as_str);
        attempt.tried = true;
        attempt
            .result
            .seconds
            .insert(TRIAL.to_owned(), ended.seconds);
        attempt.result.reason = match (ended.code, reason) {
            (Some(0), _) => String::new(),
            (_, Some(reason)) => reason.to_owned(),
            (_, None) => ended.words,
        };
        if flag("modules_loaded") == Some(false) && ended.code == Some(1) {
            // Never came to the update.
            attempt.result.reason = format!("not tried: {}", attempt.result.reason);
            return Ok(());
        }
        attempt.idle = words(guest.and_then(|guest| guest.get("idle_modules")));
        attempt.result.applied = Some(flag("applied").unwrap_or(false));
        attempt.result.undone = Some(flag("undone").unwrap_or(false));
        attempt.result.log_clean = Some(flag("log_clean").unwrap_or(false));
        attempt.pause_ns = guest.and_then(|guest| guest.get("numbers")?.get("pause_ns")?.as_u64());
        Ok(())
    }

    fn verify(&self, package: &Path, log: &Path) -> Result<Ended> {
        self.verifier.run(|command| {
            command
                .args(["verify", "--json", "--package"])
                .arg(package)
                .arg("--key")
                .arg(&self.key)
                .arg("--log")
                .arg(log);
        })
    }
}

/// A failed command's own first complaint, from the log.
fn with_first_error(reason: String, place: &Path) -> String {
    let log = std::fs::read(place.join("build.log")).unwrap_or_default();
    with_complaint(reason, &String::from_utf8_lossy(&log))
}

fn with_complaint(reason: String, log: &str) -> String {
    const SHOWN: usize = 200;
    let log = console::strip_ansi_codes(log);
    let complaint = log.lines().find(|line| {
        let lower = line.to_ascii_lowercase();
        lower.contains("error: ") || lower.contains("error!") || line.contains("*** ")
    });
    match complaint {
        Some(line) if !reason.contains(line.trim()) => {
            let line: String = line.trim().chars().take(SHOWN).collect();
            format!("{reason} ({line})")
        }
        _ => reason,
    }
}

fn words(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array);
    let word = |value: &Value| value.as_str().map(str::to_owned);
    list.map_or(&[][..], Vec::as_slice)
        .iter()
        .filter_map(word)
        .collect()
}

/// Wall clock by step.
fn seconds(steps: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read(steps).unwrap_or_default();
    let steps: Vec<Value> = serde_json::from_slice(&text).unwrap_or_default();
    let mut seconds = BTreeMap::new();
    for step in &steps {
        let name = step.get("name").and_then(Value::as_str).unwrap_or("?");
        let millis = step.get("millis").and_then(Value::as_u64).unwrap_or(0);
        *seconds.entry(name.to_owned()).or_insert(0.0) += millis as f64 / 1000.0;
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_comes_without_its_colours() {
        let log =
            "CC a.o\n\x1b[01m\x1b[Ka.c:1:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kno\n";
        assert_eq!(
            with_complaint("it fails".to_owned(), log),
            "it fails (a.c:1: error: no)"
        );
        assert_eq!(
            with_complaint("it fails".to_owned(), "CC a.o\n"),
            "it fails"
        );
    }
}
