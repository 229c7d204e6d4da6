//! Why a match image can't be made.

use crate::sites::SiteError;

/// A reference object that the image can't describe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A table of the object is broken.
    #[error("unit {unit}: {problem}")]
    Site {
        /// The unit.
        unit: String,
        /// What is wrong.
        problem: SiteError,
    },
    /// Code that can't be described.
    #[error("unit {unit}: {section}+{offset:#x}: {problem}")]
    Unsupported {
        /// The unit.
        unit: String,
        /// Section name.
        section: String,
        /// Offset in it.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// Two units define the same global symbol, or one was added twice.
    #[error("{what} {name} is there twice")]
    Duplicate {
        /// Unit or symbol.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The image would exceed what the kernel core accepts.
    #[error("match image needs {count} {what}; the core accepts {limit}: split the update")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
}
