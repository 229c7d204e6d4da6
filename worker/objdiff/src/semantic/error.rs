//! Why debug information can't be read.

use crate::elf::ElfError;

/// Debug information that is missing, malformed, too large or of a kind that
/// is not understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SemanticError {
    /// The object around it can't be read.
    #[error("reading the object: {0}")]
    Object(#[from] ElfError),
    /// There is none.
    #[error("the object has no debug information: compile it with -g")]
    Missing,
    /// The DWARF data contradicts itself.
    #[error("malformed DWARF data: {0}")]
    Malformed(String),
    /// A form of DWARF data that is not understood.
    #[error("DWARF data of an unknown form: {0}")]
    Unsupported(String),
    /// More of something than [`super::LIMITS`] allows.
    #[error("the debug information has {count} {what}; the limit is {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: u64,
        /// How many are allowed.
        limit: u64,
    },
}

impl From<gimli::Error> for SemanticError {
    fn from(error: gimli::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<object::read::Error> for SemanticError {
    fn from(error: object::read::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}
