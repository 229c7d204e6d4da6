//! Errors on the wire (RFC 9457).

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// What kind of problem, for programs: `urn:resplice:problem:` and a [`Problem::code`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened in this case and what can be done, for people.
    pub detail: String,
    /// With a log append that does not fit: the offset that the next byte must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_offset: Option<u64>,
    /// With a refused patch: the line of the patch, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

impl Problem {
    const PREFIX: &'static str = "urn:resplice:problem:";

    /// A problem of the kind `code`.
    #[must_use]
    pub fn new(status: u16, code: &str, title: &str, detail: String) -> Self {
        Self {
            kind: format!("{}{code}", Self::PREFIX),
            title: title.to_owned(),
            status,
            detail,
            expected_offset: None,
            line: None,
        }
    }

    /// The last word of the type, for example `stale-attempt`; empty if the
    /// problem does not come from a Resplice server.
    #[must_use]
    pub fn code(&self) -> &str {
        self.kind.strip_prefix(Self::PREFIX).unwrap_or_default()
    }

    /// Whether an attempt was refused because the job is not its any more:
    /// whoever gets this must stop working on the job.
    #[must_use]
    pub fn is_stale_attempt(&self) -> bool {
        self.code() == "stale-attempt"
    }
}
