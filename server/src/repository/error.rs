//! Why the repository can't be kept.

use std::{io, path::PathBuf};

/// Why the repository can't be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The system said no.
    #[error("can't {operation} {}: {cause}", .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// A file is not what it should be.
    #[error("the repository is damaged, restore it from a backup: {0}")]
    Damaged(String),
    /// A key can't be used.
    #[error(transparent)]
    Key(#[from] resplice_package::Error),
    /// Too few of a role's keys are here.
    #[error(
        "{found} of the keys of the role {role} are here, {needed} are needed: name their directory with --keys"
    )]
    KeysMissing {
        /// The role.
        role: String,
        /// How many are here.
        found: usize,
        /// How many must sign.
        needed: u32,
    },
    /// There is a repository already.
    #[error("{} is a repository already; its keys are exchanged with `resplice-server keys rotate`", .0.display())]
    Exists(PathBuf),
    /// There is none.
    #[error("{} is no repository yet: `resplice-server keys init` makes one, and so does `resplice-server serve`", .0.display())]
    None(PathBuf),
    /// Nothing waits for a signature.
    #[error("nothing waits for a signature")]
    NothingWaits,
    /// Another thread has panicked.
    #[error("the list of targets is lost; restart the server")]
    Poisoned,
}

impl From<resplice_tuf::Error> for RepositoryError {
    fn from(error: resplice_tuf::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
