//! How a job stands.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Done: there is a package.
    Built,
    /// The build or its verification failed.
    Failed,
    /// The patch asks for something that a live update can't do.
    Refused,
    /// The patch changes no object code of this target.
    Nothing,
    /// A person has to write a hook first; the reason says which.
    NeedsCode,
    /// Somebody has cancelled it.
    Cancelled,
}

impl JobStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Built,
        Self::Failed,
        Self::Refused,
        Self::Nothing,
        Self::NeedsCode,
        Self::Cancelled,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Built => "built",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Nothing => "nothing",
            Self::NeedsCode => "needs_code",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will happen to the job any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a job status")]
pub struct UnknownStatus(String);

impl FromStr for JobStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// How a worker ends an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FinishStatus {
    /// Done; the package was stored before.
    Built,
    /// The build or its verification failed.
    Failed,
    /// The patch asks for something that a live update can't do.
    Refused,
    /// The patch changes no object code of this target.
    Nothing,
    /// A person has to write a hook first; the reason says which.
    NeedsCode,
}

impl From<FinishStatus> for JobStatus {
    fn from(status: FinishStatus) -> Self {
        match status {
            FinishStatus::Built => Self::Built,
            FinishStatus::Failed => Self::Failed,
            FinishStatus::Refused => Self::Refused,
            FinishStatus::Nothing => Self::Nothing,
            FinishStatus::NeedsCode => Self::NeedsCode,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_status_has_one_word_in_json_text_and_database() {
        for status in JobStatus::ALL {
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(json, format!("\"{status}\""));
            assert_eq!(status.as_str().parse::<JobStatus>().unwrap(), status);
        }
        assert!("Built".parse::<JobStatus>().is_err());
    }
}
