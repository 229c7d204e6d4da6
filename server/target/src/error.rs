//! What can go wrong with a target. Each message names the operation, the object and the remedy.

use std::io;
use std::path::PathBuf;

/// Why a target could not be named, found, imported or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no target name.
    #[error(
        "`{given}` is not a kernel target: give debian:RELEASE as `uname -r` prints it (debian:6.1.0-50-cloud-amd64), or debian:latest-cloud, debian:oldest-cloud, debian:latest-amd64, debian:oldest-amd64"
    )]
    InvalidName {
        /// What was given.
        given: String,
    },
    /// The archive does not hold a package of the target.
    #[error(
        "{target}: the archive holds no {package}; run `apt-get update`, or choose one of `resplice-server target list`"
    )]
    NotInArchive {
        /// The target asked for.
        target: String,
        /// The package that is missing.
        package: String,
    },
    /// The target was never imported into this cache.
    #[error(
        "{target} is not in the cache {cache}; import it with `resplice-server target import {target}`"
    )]
    NotImported {
        /// The target asked for.
        target: String,
        /// The cache looked into.
        cache: PathBuf,
    },
    /// A kernel of one's own that was never built in this cache: no archive has it.
    #[error(
        "{target} is in no archive and not in the cache {cache}; build it there from its configuration"
    )]
    NotBuilt {
        /// The target asked for.
        target: String,
        /// The cache looked into.
        cache: PathBuf,
    },
    /// Two values that must be equal are not.
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
    /// A kernel image could not be understood.
    #[error("cannot read the kernel image {path}: {reason}")]
    Image {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file holds something else than expected.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something from outside is larger than allowed.
    #[error("{what} has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The cache's disk is full.
    #[error(
        "{path} has {available} MiB free, importing needs {needed} MiB; free some space or set RESPLICE_CACHE"
    )]
    DiskSpace {
        /// The directory.
        path: PathBuf,
        /// What is free, in MiB.
        available: u64,
        /// What is needed, in MiB.
        needed: u64,
    },
    /// A program that is needed is not installed.
    #[error(
        "`{program}` is not installed; run `make setup`, or install the Debian package {package}"
    )]
    MissingProgram {
        /// The program.
        program: String,
        /// The package that holds it.
        package: &'static str,
    },
    /// A program ended with an error.
    #[error("{operation} failed ({status}): {output}")]
    Command {
        /// What was attempted.
        operation: String,
        /// Exit status.
        status: String,
        /// The last lines it printed.
        output: String,
    },
    /// A file operation failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Two values that must be equal and are not.
#[derive(Debug, thiserror::Error)]
#[error("{what} disagree: {left_name} says `{left}`, {right_name} says `{right}`; {remedy}")]
pub struct Mismatch {
    /// What is compared.
    pub what: &'static str,
    /// Where the first value comes from.
    pub left_name: String,
    /// The first value.
    pub left: String,
    /// Where the second value comes from.
    pub right_name: String,
    /// The second value.
    pub right: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(Box::new(mismatch))
    }
}

/// Names the operation and the file in an I/O error.
pub(crate) trait Context<T> {
    /// Turns an [`io::Error`] into [`Error::Io`].
    fn context(self, operation: &'static str, path: impl Into<PathBuf>) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: impl Into<PathBuf>) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            operation,
            path: path.into(),
            source,
        })
    }
}
