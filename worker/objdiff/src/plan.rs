//! What differencing found, as data: for reports, manifests and reviewers.

use crate::declare::{Declaration, DeclarationKind};
use crate::hook::Hook;
use crate::skeleton::needs_code;
use serde::{Deserialize, Serialize};

/// The result for one kernel object (vmlinux or a module).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// `vmlinux` or a module's name.
    pub object: String,
    /// New functions of vmlinux that the parts of modules call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<String>,
    /// New functions of vmlinux that this module's part calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borrows: Vec<String>,
    /// Per translation unit.
    pub units: Vec<UnitPlan>,
}

/// What happens with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There are functions to replace, data to exchange or hooks to run.
    Replace,
    /// The change does not reach any code or data that runs.
    Nothing,
    /// Something in it needs code of the patch's author; see [`crate::skeleton`].
    NeedsCode,
    /// Something in it can't be carried into a running kernel (yet).
    Refused,
}

/// The result for one translation unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitPlan {
    /// Source path from the tree's root.
    pub name: String,
    /// Functions whose code gives way to new code.
    pub replaced: Vec<Replaced>,
    /// Functions that exist only after the change.
    pub added: Vec<String>,
    /// Functions that no longer exist after the change; their old code stays.
    pub removed: Vec<String>,
    /// Read-only data that gets new contents where it is.
    #[serde(default)]
    pub exchanged: Vec<Exchanged>,
    /// What of the update others may hold by its address: it stays loaded also
    /// when it is undone.
    #[serde(default)]
    pub held: Vec<String>,
    /// Changes of `__init` code and data whose own source the patch does not
    /// touch: without effect, since it has run.
    #[serde(default)]
    pub init_changed: Vec<String>,
    /// Variables and constants that the new code brings along; strings and
    /// anonymous constants are not listed.
    pub data_added: Vec<DataAdded>,
    /// Changes in `__exit` code: without effect in vmlinux, left out or refused in a
    /// module.
    pub exit_changed: Vec<String>,
    /// Those of a module that are left out, since it runs only as the module goes: the
    /// update stays loaded also when it is undone, and its module with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit_left: Vec<String>,
    /// New exports, which nobody but the update's own parts can use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports_left: Vec<String>,
    /// New tracepoints: their code is there, but nobody can enable them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events_left: Vec<String>,
    /// Hooks of the patch's author.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// What the patch's author declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<Declaration>,
    /// Why the change can't be carried over; empty if it can.
    pub refused: Vec<Refusal>,
}

/// A function that is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its symbol in the running kernel.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Bytes of the running function, without its cold part.
    pub old_size: u64,
    /// Bytes of the replacement, without its cold part.
    pub new_size: u64,
    /// What is different, for a reader.
    pub reason: String,
    /// Functions of the same unit that refer to it.
    pub callers: Vec<String>,
}

/// Read-only data that is exchanged in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchanged {
    /// Its symbol.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Bytes of the whole object.
    pub size: u64,
    /// Bytes that are exchanged.
    pub bytes: u64,
    /// Its section in the object.
    pub section: String,
    /// What is different, for a reader.
    pub reason: String,
}

/// A variable or named constant that comes with the update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataAdded {
    /// Its symbol.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Its section in the object.
    pub section: String,
}

/// Something that can't be carried over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A fixed word, such as `changed-data`.
    pub code: String,
    /// The function, variable or section it is about.
    pub object: String,
    /// One sentence for the patch's author.
    pub sentence: String,
}

impl Refusal {
    /// A refusal; the sentence should name the object and the way out.
    pub fn new(code: &str, object: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            object: object.into(),
            sentence: sentence.into(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.object, self.sentence)
    }
}

impl UnitPlan {
    /// Whether the patch's author declared that of a symbol, function or tag.
    /// To be asked where only that keeps a change from being refused: it notes
    /// that the declaration is needed.
    pub fn declares(&mut self, kind: DeclarationKind, symbol: &str) -> bool {
        let mut found = false;
        for declaration in &mut self.declared {
            if declaration.kind == kind && declaration.is_about(symbol) {
                declaration.is_needed = true;
                found = true;
            }
        }
        found
    }

    /// What happens with this unit.
    pub fn outcome(&self) -> Outcome {
        if !self.refused.iter().all(needs_code) {
            Outcome::Refused
        } else if !self.refused.is_empty() {
            Outcome::NeedsCode
        } else if self.replaced.is_empty() && self.exchanged.is_empty() && self.hooks.is_empty() {
            Outcome::Nothing
        } else {
            Outcome::Replace
        }
    }
}

impl Plan {
    /// What happens with the whole plan: one refusal refuses it.
    pub fn outcome(&self) -> Outcome {
        let is = |what| self.units.iter().any(|u| u.outcome() == what);
        if is(Outcome::Refused) {
            Outcome::Refused
        } else if is(Outcome::NeedsCode) {
            Outcome::NeedsCode
        } else if is(Outcome::Replace) || !self.offers.is_empty() {
            Outcome::Replace
        } else {
            Outcome::Nothing
        }
    }

    /// Refuses declarations of these kinds that no change of any unit needed.
    /// To be called once whatever could need them has been looked at.
    pub fn refuse_unneeded(&mut self, kinds: &[DeclarationKind]) {
        let needed: Vec<Declaration> = self
            .units
            .iter()
            .flat_map(|u| &u.declared)
            .filter(|d| d.is_needed)
            .cloned()
            .collect();
        for unit in &mut self.units {
            for declaration in &unit.declared {
                let (kind, name) = (declaration.kind, &declaration.name);
                let is_needed = needed.iter().any(|d| d.kind == kind && d.name == *name);
                if is_needed || !kinds.contains(&kind) {
                    continue;
                }
                unit.refused.push(declaration.unneeded());
            }
        }
    }

    /// All replaced functions.
    pub fn replaced(&self) -> impl Iterator<Item = &Replaced> {
        self.units.iter().flat_map(|u| &u.replaced)
    }

    /// All refusals.
    pub fn refused(&self) -> impl Iterator<Item = &Refusal> {
        self.units.iter().flat_map(|u| &u.refused)
    }
}
