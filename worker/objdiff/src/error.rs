//! Why a difference can't be taken or a delta can't be written.

use crate::elf::ElfError;

/// A failure of differencing or writing; a change that is merely not
/// supported is a [`crate::plan::Refusal`] instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// One of a unit's three objects can't be read.
    #[error("unit {unit}: reading the {which} object: {source}")]
    Object {
        /// The unit.
        unit: String,
        /// `reference`, `pre` or `post`.
        which: &'static str,
        /// Why.
        source: ElfError,
    },
    /// A relocation that can't be understood.
    #[error("section {section}+{offset:#x}: {problem}")]
    Reference {
        /// Section that holds the field.
        section: String,
        /// Offset of the field.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A table of the kernel's that is not as the kernel reads it.
    #[error("table {section}: {problem}")]
    Table {
        /// The section.
        section: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The update's id can't be carried in the kernel's structure.
    #[error("update id {0:?}: use 1 to 63 characters of a-z, 0-9 and _")]
    Id(String),
    /// The match image could not be written.
    #[error("writing the match image of {object}: {problem}")]
    Image {
        /// `vmlinux` or a module's name.
        object: String,
        /// Why.
        problem: String,
    },
    /// The delta would not fit its format.
    #[error("writing the delta object: {count} {what}; the limit is {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The written delta does not say what it should: an error in this
    /// program, caught before the delta is used.
    #[error("self-check of the delta object: {0}")]
    SelfCheck(String),
}
