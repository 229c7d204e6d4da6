//! Tokens as an admin sees them: never their secrets.

use crate::{Role, Token};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Body of `POST /tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What its holder may do; any but `host`, whose tokens come with enrolment.
    pub role: Role,
    /// Whose it is: it stands in releases and in the audit log, and tokens of one
    /// name count as one person. Lower-case letters, digits, `.`, `_`, `-`, `@`,
    /// beginning with a letter or digit, at most 64 bytes.
    pub name: String,
    /// When it ends; without, it holds until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How many hosts may enrol with it; only for the role `enrol`. Without, any
    /// number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

/// Answer of `POST /tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewTokenAnswer {
    /// What the server keeps of it.
    pub info: TokenInfo,
    /// The token; it is shown this once.
    pub token: Token,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenInfo {
    /// Its public part.
    pub id: String,
    /// What its holder may do.
    pub role: Role,
    /// Whose it is.
    pub name: String,
    /// Name of who made it; none if the server did at its start.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// How many more hosts may enrol with it, if that is limited.
    #[serde(default)]
    pub uses_left: Option<u32>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Answer of `GET /tokens?limit=N&after=ID`: all but those of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tokens {
    /// One page, by id.
    pub tokens: Vec<TokenInfo>,
    /// Give this as `after` to get the next page.
    pub next: Option<String>,
}
