//! What came of one patch.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// All of them, best first.
    pub const ALL: [Self; 5] = [
        Self::Built,
        Self::NeedsCode,
        Self::Nothing,
        Self::Refused,
        Self::Failed,
    ];

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

    /// As the worker says it.
    pub fn of(word: &str) -> Self {
        match word {
            "built" => Self::Built,
            "needs_code" => Self::NeedsCode,
            "nothing" => Self::Nothing,
            "refused" => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// What came of one patch, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// The patch, with the fields of the results.
    #[serde(flatten)]
    pub result: Outcome,
    /// What the patch reaches, if an index says so.
    pub reaches: String,
    /// The kernel objects that the update patches: `vmlinux`, modules.
    pub objects: Vec<String>,
    /// How long the machine stood still, in nanoseconds.
    pub pause_ns: Option<u64>,
    /// Whether applying it was tried, or could not be.
    pub tried: bool,
    /// Modules that were loaded for that without their init.
    pub idle: Vec<String>,
}

/// One object of `results.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The patch's name.
    pub patch: String,
    /// How its build ended.
    pub status: Status,
    /// Why there is no update, or why it was not applied and undone cleanly;
    /// empty if all went well.
    pub reason: String,
    /// The functions that the update replaces.
    pub functions: Vec<String>,
    /// What was declared of the patch, a line each; not there if nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<String>,
    /// Wall clock by step.
    pub seconds: BTreeMap<String, f64>,
    /// Whether the stock kernel took the update; nothing if it was not tried.
    pub applied: Option<bool>,
    /// Whether it was undone and unloaded.
    pub undone: Option<bool>,
    /// Whether the kernel's log was clean after that.
    pub log_clean: Option<bool>,
}

impl Attempt {
    /// A patch of which nothing is known yet but its status and why.
    pub fn new(patch: &str, reaches: &str, status: Status, reason: String) -> Self {
        Self {
            result: Outcome {
                patch: patch.to_owned(),
                status,
                reason,
                functions: Vec::new(),
                declared: Vec::new(),
                seconds: BTreeMap::new(),
                applied: None,
                undone: None,
                log_clean: None,
            },
            reaches: reaches.to_owned(),
            objects: Vec::new(),
            pause_ns: None,
            tried: false,
            idle: Vec::new(),
        }
    }

    /// Whether there is an update.
    pub fn is_built(&self) -> bool {
        self.result.status == Status::Built
    }

    /// Whether it went in and out, and the kernel had nothing to say.
    pub fn is_clean(&self) -> bool {
        self.result.applied == Some(true)
            && self.result.undone == Some(true)
            && self.result.log_clean == Some(true)
    }

    /// Whether there is something to explain.
    pub fn is_miss(&self) -> bool {
        !self.is_built() || !self.result.reason.is_empty()
    }

    /// How long all steps of the build took together.
    pub fn build_seconds(&self) -> f64 {
        let steps = self.result.seconds.iter();
        steps
            .filter(|(name, _)| *name != TRIAL)
            .map(|(_, s)| s)
            .sum()
    }

    /// The cause's class: `changed-data` of `refused: changed-data: a has ...`.
    pub fn class(&self) -> &str {
        let reason = self.result.reason.as_str();
        let bare = ["refused", "nothing", "needs code", "verification failed"]
            .iter()
            .find_map(|word| reason.strip_prefix(word)?.strip_prefix(": "))
            .unwrap_or(reason);
        let (class, _) = bare.split_once(": ").unwrap_or((bare, ""));
        class
    }
}

/// The step's name for applying and undoing.
pub const TRIAL: &str = "apply";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reason_has_a_class() {
        let class = |reason: &str| {
            let attempt = Attempt::new("a", "", Status::Refused, reason.to_owned());
            attempt.class().to_owned()
        };
        assert_eq!(
            class("refused: several-objects: a and b"),
            "several-objects"
        );
        assert_eq!(class("needs code: changed-data: x"), "changed-data");
        assert_eq!(class("init-changed: x"), "init-changed");
        assert_eq!(class("nothing: the patch"), "the patch");
    }

    #[test]
    fn results_have_exactly_the_fields_that_readers_know() {
        let attempt = Attempt::new("a", "module", Status::NeedsCode, "x".to_owned());
        let value = serde_json::to_value(&attempt.result).unwrap();
        let mut names: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "applied",
                "functions",
                "log_clean",
                "patch",
                "reason",
                "seconds",
                "status",
                "undone"
            ]
        );
        assert_eq!(value["status"], "needs-code");
        assert!(value["applied"].is_null());
    }
}
