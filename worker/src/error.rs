//! How a build can end other than with a package.

use crate::{patch::PatchError, sandbox::SandboxError};
use resplice_api::FinishStatus;
use std::{io, path::Path};

/// Why a build has no package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The patch is malformed, or reaches what can't be updated.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A command of the build said no; its words are in the log.
    #[error("{step} failed with exit code {exit_code}: {reason}")]
    Command {
        /// The step.
        step: String,
        /// The command's exit code.
        exit_code: i32,
        /// What that means, in a sentence.
        reason: String,
    },
    /// The patch changes no object code.
    #[error("nothing: {0}")]
    Nothing(String),
    /// The patch asks for something that a live update can't do.
    #[error("refused: {0}")]
    Refused(String),
    /// A person has to write a hook first.
    #[error("needs code: {0}")]
    NeedsCode(String),
    /// The reference objects are not what runs.
    #[error("{0}")]
    Mismatch(String),
    /// The update did not pass in the virtual machine.
    #[error("verification failed: {0}")]
    Verification(String),
    /// The sandbox stopped a step.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Somebody does not want the build any more.
    #[error("cancelled by {0}")]
    Cancelled(String),
    /// Something in the worker or on its machine.
    #[error("{operation}: {reason}")]
    Internal {
        /// What was tried, with its object.
        operation: String,
        /// What went wrong.
        reason: String,
    },
}

impl Error {
    /// A failure of the worker's own: what was tried, and why it did not work.
    pub(crate) fn internal(operation: impl Into<String>, reason: impl ToString) -> Self {
        Self::Internal {
            operation: operation.into(),
            reason: reason.to_string(),
        }
    }

    /// As [`Self::internal`], for what is done to a file.
    pub(crate) fn file(operation: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let operation = format!("{operation} {}", path.display());
        move |error| Self::internal(operation, error)
    }

    /// How the job ends.
    #[must_use]
    pub fn status(&self) -> FinishStatus {
        match self {
            Self::Patch(error) if error.is_refusal() => FinishStatus::Refused,
            Self::Refused(_) => FinishStatus::Refused,
            Self::Nothing(_) => FinishStatus::Nothing,
            Self::NeedsCode(_) => FinishStatus::NeedsCode,
            Self::Patch(_)
            | Self::Command { .. }
            | Self::Mismatch(_)
            | Self::Verification(_)
            | Self::Sandbox(_)
            | Self::Cancelled(_)
            | Self::Internal { .. } => FinishStatus::Failed,
        }
    }

    /// The exit code of the command that decided, if one did.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Command { exit_code, .. } => Some(*exit_code),
            _ => None,
        }
    }
}
