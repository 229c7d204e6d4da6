//! What is signed beside a package's length and digest: the `custom` member of its
//! TUF target (specification, section 4.5).

use crate::Wave;
use jiff::Timestamp;
use resplice_api::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The terms on which hosts may take a package. A server without the targets keys
/// can keep a package from hosts, and can't give it to more of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The channel that the update has got to.
    pub channel: Channel,
    /// When it got there; deferral counts from then.
    pub since: Timestamp,
    /// The schedule by which hosts get it; all at once, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<Wave>,
    /// That it was taken back: no host takes it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// An update that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// Whether hosts undo it; where it runs it stays, if not.
    pub undo: bool,
    /// Why, for people.
    pub reason: String,
}

/// Terms that can't be understood; the package is not taken then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the repository's terms for it can't be understood: {0}")]
pub struct TermsError(String);

impl Terms {
    /// Reads a target's `custom` member.
    ///
    /// # Errors
    /// [`TermsError`] if there is none, or it has members that are not known: what
    /// they ask for would not be heeded.
    pub fn read(custom: Option<&Value>) -> Result<Self, TermsError> {
        let custom = custom.ok_or_else(|| TermsError("there are none".to_owned()))?;
        Self::deserialize(custom).map_err(|error| TermsError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn terms_are_read_whole_or_not_at_all() {
        let terms = Terms::read(Some(
            &json!({"channel": "edge", "since": "2026-01-01T00:00:00Z"}),
        ))
        .unwrap();
        assert_eq!(terms.channel, Channel::Edge);
        assert_eq!(terms.revoked, None);
        let taken_back = json!({
            "channel": "edge", "since": "2026-01-01T00:00:00Z",
            "revoked": {"at": "2026-01-02T00:00:00Z", "undo": true, "reason": "it leaks"},
        });
        assert!(
            Terms::read(Some(&taken_back))
                .unwrap()
                .revoked
                .unwrap()
                .undo
        );
        for bad in [
            json!(null),
            json!({}),
            json!({"channel": "beta", "since": "2026-01-01T00:00:00Z"}),
            json!({"channel": "edge"}),
            json!({"channel": "edge", "since": "2026-01-01T00:00:00Z", "only_on": "mondays"}),
            json!({"channel": "edge", "since": "2026-01-01T00:00:00Z", "revoked": {"undo": true}}),
            json!({"channel": "edge", "since": "2026-01-01T00:00:00Z", "revoked": true}),
        ] {
            assert!(Terms::read(Some(&bad)).is_err(), "{bad}");
        }
        assert!(Terms::read(None).is_err());
    }
}
