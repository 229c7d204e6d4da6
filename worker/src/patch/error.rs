//! Why a patch was turned down.

/// Why a patch was turned down, before any command has seen it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// Larger than a patch may be.
    #[error("the patch has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// It touches more files than it may.
    #[error("the patch touches more than {limit} files, the limit")]
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
    /// There is no change in it.
    #[error("the patch has no unified diff in it: make one with `git diff` or `diff -u`")]
    Empty,
    /// Not a unified diff.
    #[error("the patch's line {line} is wrong: {reason}")]
    Malformed {
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A path that leads out of the source tree, or that no kernel file has.
    #[error("the patch names the path {path:?}, which is not one below the kernel's source")]
    Path {
        /// The path.
        path: String,
    },
    /// A file that this kernel's source does not have.
    #[error("the patch touches {path}, which this kernel's source does not have")]
    NoSuchFile {
        /// The path.
        path: String,
    },
    /// Something that can't be carried into a running kernel.
    #[error("refused: {code}: {path}: {reason}")]
    Refused {
        /// A word for the kind: `new-file`, `renamed-file`, `copied-file`,
        /// `file-mode`, `binary`, `build-system`, `device-tree`, `not-c`.
        code: &'static str,
        /// The file.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
}

impl PatchError {
    /// Whether it is a patch that could be well-formed yet asks for too much.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}
