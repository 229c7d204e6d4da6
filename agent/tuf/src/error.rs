//! Why a repository, or a file of it, is not believed.

use crate::fetch::FetchError;
use std::{io, path::PathBuf};

/// Why a repository, or a file of it, is not believed. Each is a sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It can't be had.
    #[error("can't fetch {file}: {cause}")]
    Fetch {
        /// The file.
        file: String,
        /// Why not.
        cause: FetchError,
    },
    /// It is not what the specification says that it is.
    #[error("{file} can't be read: {reason}")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Too few keys of the role have signed it.
    #[error("{file} is signed by {valid} of the keys that may, {threshold} are needed")]
    Threshold {
        /// The file.
        file: String,
        /// How many keys have signed.
        valid: usize,
        /// How many must.
        threshold: u32,
    },
    /// It is older than what was trusted before: a rollback.
    #[error(
        "{file} says version {found} of {what}, but version {trusted} is known already: the repository was rolled back"
    )]
    Rollback {
        /// The file.
        file: String,
        /// Which file's version is older.
        what: String,
        /// Its version.
        found: u64,
        /// The version known.
        trusted: u64,
    },
    /// It has another version than the one that was announced.
    #[error("{file} has the version {found}, version {expected} was announced")]
    Version {
        /// The file.
        file: String,
        /// Its version.
        found: u64,
        /// The version announced.
        expected: u64,
    },
    /// A role has vanished from the snapshot.
    #[error("{file} does not list {what} any more")]
    Removed {
        /// The file.
        file: String,
        /// What was listed before.
        what: String,
    },
    /// It is out of date: the repository may be held back on purpose.
    #[error(
        "{file} has expired on {expires}: the repository is not kept, or is held back; ask who runs it, and look at this machine's clock"
    )]
    Expired {
        /// The file.
        file: String,
        /// When.
        expires: jiff::Timestamp,
    },
    /// It has another digest than the one that was announced.
    #[error("{file} is not the file that was announced: its {algorithm} differs")]
    Digest {
        /// The file.
        file: String,
        /// The digest's name.
        algorithm: &'static str,
    },
    /// It has another length than the one that was announced.
    #[error("{file} has {found} bytes, {expected} were announced")]
    Length {
        /// The file.
        file: String,
        /// Its length in bytes.
        found: u64,
        /// The length announced.
        expected: u64,
    },
    /// The repository has no such target.
    #[error("the repository does not vouch for {name:?}")]
    NoTarget {
        /// The target.
        name: String,
    },
    /// Not a name that a target may have.
    #[error("{name:?} can't be the name of a target")]
    Name {
        /// The name.
        name: String,
    },
    /// Others could have changed what is remembered.
    #[error("{}: {reason}", .path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Who may write it.
        reason: String,
    },
    /// The disk said no.
    #[error("can't {operation} {}: {cause}", .path.display())]
    Store {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
}

impl Error {
    pub(crate) fn invalid(file: &str, reason: impl ToString) -> Self {
        Self::Invalid {
            file: file.to_owned(),
            reason: reason.to_string(),
        }
    }
}
