//! Hooks: functions of the patch's author that the kernel core runs around the
//! exchange. The macros of kmod/include/resplice/hooks.h put a pointer to each
//! into a section per kind.

use serde::{Deserialize, Serialize};

/// What the sections' names begin with.
const PREFIX: &str = ".resplice.hook.";

/// When a hook runs; the numbers are RESPLICE_HOOK_* of format.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookKind {
    /// Before anything is changed; may sleep and refuse.
    PreApply = 0,
    /// With the machine stopped; may refuse.
    CheckApply = 1,
    /// With the machine stopped, after the exchange.
    Apply = 2,
    /// After the exchange; may sleep.
    PostApply = 3,
    /// When something failed after the pre hook had succeeded.
    FailApply = 4,
    /// As [`Self::PreApply`], for undo.
    PreReverse = 5,
    /// As [`Self::CheckApply`], for undo.
    CheckReverse = 6,
    /// As [`Self::Apply`], for undo.
    Reverse = 7,
    /// As [`Self::PostApply`], for undo.
    PostReverse = 8,
    /// As [`Self::FailApply`], for undo.
    FailReverse = 9,
}

impl HookKind {
    /// All kinds, by number.
    pub const ALL: [Self; 10] = [
        Self::PreApply,
        Self::CheckApply,
        Self::Apply,
        Self::PostApply,
        Self::FailApply,
        Self::PreReverse,
        Self::CheckReverse,
        Self::Reverse,
        Self::PostReverse,
        Self::FailReverse,
    ];

    /// Its name in the sections.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PreApply => "pre_apply",
            Self::CheckApply => "check_apply",
            Self::Apply => "apply",
            Self::PostApply => "post_apply",
            Self::FailApply => "fail_apply",
            Self::PreReverse => "pre_reverse",
            Self::CheckReverse => "check_reverse",
            Self::Reverse => "reverse",
            Self::PostReverse => "post_reverse",
            Self::FailReverse => "fail_reverse",
        }
    }

    /// The kind that a section's pointers are of.
    #[must_use]
    pub fn of_section(name: &str) -> Option<Self> {
        let word = name.strip_prefix(PREFIX)?;
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// For a hook that undoes another's work: the kind of that one.
    #[must_use]
    pub fn undoes(self) -> Option<Self> {
        match self {
            Self::FailApply => Some(Self::PreApply),
            Self::FailReverse => Some(Self::PreReverse),
            _ => None,
        }
    }
}

/// A hook, for reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// When it runs.
    pub kind: HookKind,
    /// The function.
    pub function: String,
}
