//! Why a call failed.

use crate::Problem;

/// Why a call to the server failed. The texts hold all causes: none of them has a
/// source of its own, so whoever prints the chain prints nothing twice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's address can't be used.
    #[error("{address:?} is no server address: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client can't be set up.
    #[error("can't set up TLS: {}", chain(.0))]
    SetUp(reqwest::Error),
    /// The server could not be reached, or the connection broke.
    #[error("can't {operation}: {}", chain(.cause))]
    Send {
        /// What was tried.
        operation: &'static str,
        /// What went wrong.
        cause: reqwest::Error,
    },
    /// The server refused.
    #[error("can't {operation}: {} ({})", .problem.detail, .problem.status)]
    Problem {
        /// What was tried.
        operation: &'static str,
        /// The server's answer.
        problem: Box<Problem>,
    },
    /// The server's answer is not what it must be.
    #[error("can't {operation}: the server's answer can't be used: {reason}")]
    Answer {
        /// What was tried.
        operation: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A package is larger than allowed.
    #[error("the package {sha256} has more than the {limit} bytes that it may have")]
    TooLarge {
        /// The package.
        sha256: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A package does not have its digest: throw away what was written.
    #[error("the package {expected} arrived with the sha256 {found}; download it again")]
    Digest {
        /// What was asked for.
        expected: String,
        /// What arrived.
        found: String,
    },
    /// The local copy of a package can't be read or written.
    #[error("can't keep the downloaded package: {0}")]
    Keep(std::io::Error),
}

impl Error {
    /// The server's problem, if it answered with one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Whether the same call may succeed later: no connection, an overloaded
    /// or a failing server.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Send { .. } => true,
            Self::Problem { problem, .. } => problem.status == 429 || problem.status >= 500,
            _ => false,
        }
    }

    /// Whether the job has gone to another attempt: stop working on it.
    #[must_use]
    pub fn is_stale_attempt(&self) -> bool {
        self.problem().is_some_and(Problem::is_stale_attempt)
    }
}

/// An error with all its causes; reqwest's own text leaves them out.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
