//! What was found, as data: for reports, reviewers and skeletons.

use serde::{Deserialize, Serialize};

use crate::declare::{DeclarationKind, Described};
use crate::plan::Plan;

/// What a finding asks of whom.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Somebody should look at it before a release.
    Review,
    /// Replacing code is not enough: the patch needs a hook, a shadow variable
    /// or its author's declaration.
    NeedsCode,
}

impl Severity {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Review => "review",
            Self::NeedsCode => "needs-code",
        }
    }
}

/// Something that a reviewer or the patch's author should know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A fixed word, such as `layout-changed`.
    pub code: String,
    /// The type, function or variable that it is about.
    pub object: String,
    /// The unit that it was found in.
    pub unit: String,
    /// Where the object is declared, from the source tree's root.
    pub file: String,
    /// Line in it, before the change; 0 if unknown.
    pub line: u64,
    /// One sentence.
    pub sentence: String,
    /// For a changed struct or union: what is different, for a skeleton.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
}

impl Finding {
    /// The tag that a declaration `layout-ok:TAG` names: `foo` for `struct foo`.
    #[must_use]
    pub fn tag(&self) -> &str {
        ["struct ", "union ", "enum "]
            .iter()
            .find_map(|keyword| self.object.strip_prefix(keyword))
            .unwrap_or(&self.object)
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.object, self.sentence)
    }
}

/// A changed struct or union.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// `struct foo`, or the name of a typedef.
    pub name: String,
    /// Bytes before.
    pub old_size: u64,
    /// Bytes after.
    pub new_size: u64,
    /// What is different.
    pub members: Vec<LayoutMember>,
}

/// A member that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayoutMember {
    /// Its name; empty for padding that has none.
    pub name: String,
    /// Before; nothing if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Field>,
    /// After; nothing if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Field>,
}

/// Where a member is, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// As C spells it, without the member's name.
    pub of: String,
    /// From the start of the type, in bits.
    pub bit_offset: u64,
    /// Size in bits.
    pub bits: u64,
}

/// Who can call a function by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Its unit.
    #[default]
    Static,
    /// The kernel object that it is in.
    Global,
    /// Modules as well.
    Exported,
}

impl Scope {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Global => "global",
            Self::Exported => "exported",
        }
    }
}

/// A replaced function, for a reviewer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionFacts {
    /// Its symbol in the running kernel.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The source file that defines it; empty if unknown.
    pub file: String,
    /// Line in it before the change; 0 if unknown.
    pub line: u64,
    /// Why it is replaced.
    pub reason: String,
    /// Bytes before, without its cold part.
    pub old_size: u64,
    /// Bytes after, without its cold part.
    pub new_size: u64,
    /// Who can call it.
    pub scope: Scope,
    /// Something holds its address, so that it is called through pointers.
    pub is_address_taken: bool,
    /// Functions of its unit that refer to it.
    pub callers: Vec<String>,
    /// Functions that the patch touches and that were inlined into it.
    pub absorbs: Vec<String>,
    /// Functions that it was inlined into.
    pub inlined_into: Vec<String>,
}

/// All that debug information tells of an update of one kernel object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemanticReport {
    /// The replaced functions, by unit.
    pub functions: Vec<FunctionFacts>,
    /// What was found, the most severe first.
    pub findings: Vec<Finding>,
}

impl SemanticReport {
    /// What can't be carried over by replacing code alone.
    pub fn needs_code(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::NeedsCode)
    }

    /// Lifts what the patch's author declares to be dealt with, in the source
    /// (`RESPLICE_LAYOUT_OK`) or in the patch's description, and refuses such
    /// declarations that nothing needs.
    /// Differencing that contradicts itself can't be declared away.
    pub fn apply_declarations(&mut self, plans: &mut [&mut Plan], described: &[Described]) {
        let layouts: Vec<&Described> = described
            .iter()
            .filter(|d| d.declaration.kind == DeclarationKind::LayoutOk)
            .collect();
        let mut needed = vec![false; layouts.len()];
        let liftable = self
            .findings
            .iter_mut()
            .filter(|f| f.severity == Severity::NeedsCode && f.code != super::INCONSISTENT);
        for finding in liftable {
            let mut by = None;
            for unit in plans.iter_mut().flat_map(|plan| &mut plan.units) {
                if unit.declares(DeclarationKind::LayoutOk, finding.tag()) {
                    by = Some(DeclarationKind::LayoutOk.macro_name().to_owned());
                }
            }
            for (layout, needed) in layouts.iter().zip(&mut needed) {
                if layout.declaration.name == finding.tag()
                    && (layout.file == finding.file || layout.file == finding.unit)
                {
                    *needed = true;
                    by = Some(layout.declaration.spelling());
                }
            }
            if let Some(by) = by {
                finding.severity = Severity::Review;
                finding
                    .sentence
                    .push_str(&format!("; the patch deals with it, as {by} says"));
            }
        }
        for plan in plans.iter_mut() {
            plan.refuse_unneeded(&[DeclarationKind::LayoutOk]);
        }
        if let Some(unit) = plans.iter_mut().flat_map(|plan| &mut plan.units).next() {
            for (layout, is_needed) in layouts.iter().zip(needed) {
                let mut declaration = layout.declaration.clone();
                declaration.is_needed = is_needed;
                if !is_needed {
                    unit.refused.push(declaration.unneeded());
                }
                unit.declared.push(declaration);
            }
        }
        self.sort();
    }

    /// Brings findings into the order of reports: severity, code, object.
    pub(super) fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            (b.severity, &a.code, &a.object, &a.unit)
                .cmp(&(a.severity, &b.code, &b.object, &b.unit))
        });
        // Several units tell of the same type in their own words.
        self.findings.dedup_by(|a, b| {
            (a.severity, &a.code, &a.object, &a.file, a.line)
                == (b.severity, &b.code, &b.object, &b.file, b.line)
                && (!a.file.is_empty() || a.sentence == b.sentence)
        });
    }
}
