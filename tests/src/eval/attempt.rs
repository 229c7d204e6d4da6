//! What came of one patch: built by the worker as a process of its own, so
//! that nothing it may do ends the evaluation.

use super::corpus::Patch;
use crate::programs::program;
use crate::updates::worker_key;
use anyhow::{Context, Result};
use resplice_target::Target;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// There is an update.
    Built,
    /// A person has to write a hook first.
    NeedsCode,
    /// The patch changes no object code of this kernel.
    Nothing,
    /// The patch asks for something that a live update can't do.
    Refused,
    /// Anything else.
    Failed,
}

impl Status {
    /// As in the results.
    pub fn word(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::NeedsCode => "needs-code",
            Self::Nothing => "nothing",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "built" => Self::Built,
            "needs_code" => Self::NeedsCode,
            "nothing" => Self::Nothing,
            "refused" => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// What came of one patch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// Its name.
    pub patch: String,
    /// What it reaches, if an index says so.
    pub reaches: String,
    /// How its build ended.
    pub status: Status,
    /// Why there is no update; empty if there is one.
    pub reason: String,
    /// The functions that the update replaces.
    pub functions: Vec<String>,
    /// `vmlinux` or a module's name; empty if there is no update.
    pub object: String,
    /// Wall clock by step of the build.
    pub seconds: BTreeMap<String, f64>,
    /// Whether the stock kernel took the update; nothing if it was not tried.
    pub applied: Option<bool>,
    /// Whether it was undone and unloaded.
    pub undone: Option<bool>,
    /// Whether the kernel's log was clean from apply to unload.
    pub log_clean: Option<bool>,
    /// What went wrong there; empty if nothing did.
    pub trouble: String,
    /// How long the machine stood still, in nanoseconds.
    pub pause_ns: Option<u64>,
}

impl Attempt {
    /// Why there is no update, as a class: `header-changed` of `refused: header-changed: ...`.
    pub fn class(&self) -> &str {
        let word = self.status.word();
        let reason = self.reason.strip_prefix(word).unwrap_or(&self.reason);
        let reason = reason.trim_start_matches([':', ' ']);
        reason.split(':').next().unwrap_or(reason)
    }
}

/// Builds patches for a target, and remembers what came of each in a directory.
pub struct Attempts {
    target: Target,
    directory: PathBuf,
    worker: PathBuf,
    /// sha256 of the worker's binary and of the target.
    base: [u8; 32],
}

/// An attempt on disk, with a digest of all that it depends on.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    attempt: Attempt,
}

impl Attempts {
    /// Opens the directory.
    ///
    /// # Errors
    /// If the worker's program is not built.
    pub fn open(target: &Target, directory: &Path) -> Result<Self> {
        let worker = program("resplice-worker")?;
        let mut digest = Sha256::new();
        digest.update(Sha256::digest(std::fs::read(&worker)?));
        digest.update(target.digest());
        Ok(Self {
            target: target.clone(),
            directory: directory.to_owned(),
            worker,
            base: digest.finalize().into(),
        })
    }

    /// What came of a patch the last time, if nothing has changed since.
    pub fn known(&self, patch: &Patch) -> Option<Attempt> {
        let text = std::fs::read(self.file(&patch.name)).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        (kept.key == self.key(patch).ok()?).then_some(kept.attempt)
    }

    /// Remembers what came of a patch.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn keep(&self, patch: &Patch, attempt: &Attempt) -> Result<()> {
        let kept = Kept {
            key: self.key(patch)?,
            attempt: attempt.clone(),
        };
        super::save_json(&self.place(&patch.name), "attempt.json", &kept)
    }

    /// Builds a patch.
    ///
    /// # Errors
    /// If the worker can't be started; what it says of the patch is no error.
    pub fn build(&self, patch: &Patch) -> Result<Attempt> {
        let place = self.place(&patch.name);
        match std::fs::remove_dir_all(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("empty {}", place.display()));
            }
            _ => {}
        }
        let out = Command::new(&self.worker)
            .args(["build", "--json", "--no-verify", "--target"])
            .arg(self.target.id().to_string())
            .arg("--patch")
            .arg(&patch.path)
            .args(["--name", &patch.name, "--key"])
            .arg(worker_key()?)
            .arg("--out")
            .arg(&place)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run {}", self.worker.display()))?;
        let said: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        let status = text("status").map_or(Status::Failed, |word| Status::of(&word));
        let crash = || {
            let stderr = String::from_utf8_lossy(&out.stderr);
            let last = stderr.lines().rfind(|line| !line.trim().is_empty());
            format!(
                "the worker ended with {}: {}",
                out.status,
                last.unwrap_or("no word")
            )
        };
        let reason = match status {
            Status::Built => String::new(),
            _ => text("reason").unwrap_or_else(crash),
        };
        Ok(Attempt {
            patch: patch.name.clone(),
            reaches: patch.reaches.clone(),
            status,
            reason,
            functions: words(said.get("functions")),
            object: text("object").unwrap_or_default(),
            seconds: seconds(&place.join("steps.json")),
            applied: None,
            undone: None,
            log_clean: None,
            trouble: String::new(),
            pause_ns: None,
        })
    }

    /// The package that was built of a patch.
    ///
    /// # Errors
    /// If there is none.
    pub fn package(&self, name: &str) -> Result<PathBuf> {
        let place = self.place(name);
        std::fs::read_dir(&place)
            .with_context(|| format!("list {}", place.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|end| end == "rspl"))
            .with_context(|| format!("there is no package in {}", place.display()))
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.join("patches").join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place(name).join("attempt.json")
    }

    fn key(&self, patch: &Patch) -> Result<String> {
        let bytes =
            std::fs::read(&patch.path).with_context(|| format!("read {}", patch.path.display()))?;
        let mut digest = Sha256::new();
        digest.update(self.base);
        digest.update(Sha256::digest(bytes));
        Ok(hex::encode(digest.finalize()))
    }
}

fn words(list: Option<&Value>) -> Vec<String> {
    let list = list
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let word = |value: &Value| value.as_str().map(str::to_owned);
    list.iter().filter_map(word).collect()
}

/// Wall clock by step, and in all.
fn seconds(steps: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read(steps).unwrap_or_default();
    let steps: Vec<Value> = serde_json::from_slice(&text).unwrap_or_default();
    let mut seconds = BTreeMap::new();
    for step in &steps {
        let name = step.get("name").and_then(Value::as_str).unwrap_or("?");
        let millis = step.get("millis").and_then(Value::as_u64).unwrap_or(0);
        for name in [name, "all"] {
            *seconds.entry(name.to_owned()).or_insert(0.0) += millis as f64 / 1000.0;
        }
    }
    seconds
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reason_has_a_class() {
        let mut attempt: Attempt = serde_json::from_value(serde_json::json!({
            "patch": "a", "reaches": "", "status": "refused", "functions": [], "object": "",
            "reason": "refused: several-objects: the patch reaches a and b", "seconds": {},
            "applied": null, "undone": null, "log_clean": null, "trouble": "", "pause_ns": null,
        }))
        .unwrap();
        assert_eq!(attempt.class(), "several-objects");
        attempt.reason = "init-changed: x".to_owned();
        assert_eq!(attempt.class(), "init-changed");
    }
}
