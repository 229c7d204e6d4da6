//! People: accounts, passwords, sessions.

use crate::Role;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A password. It is a secret: it has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// A password from its text; the server says whether it is good enough.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// Body of `POST /sessions`. The answer is a [`crate::Whoami`], and a cookie for a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The account's name.
    pub name: String,
    /// Its password.
    pub password: Password,
}

/// Answer of `GET /sign-in`: the ways in beside name and password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaysIn {
    /// The identity provider, if the server has one: `GET /sessions/oidc` leads there.
    pub oidc: Option<IdentityProvider>,
}

/// An identity provider (OpenID Connect).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IdentityProvider {
    /// What people call it.
    pub name: String,
}

/// Body of `PUT /account/password`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password so far.
    pub old: Password,
    /// The one from now on: 12 to 256 bytes.
    pub new: Password,
}

/// Body of `POST /users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The account's name, which stands in releases and in the audit log; it
    /// never becomes another person's. As a token's name.
    pub name: String,
    /// What the person may do: `team`, `engineer`, `vendor`, `admin`, at least one.
    pub roles: Vec<Role>,
}

/// Answer of `POST /users` and `POST /users/{name}/password`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OneTimePassword {
    /// The account.
    pub user: User,
    /// It has to be changed at the first sign-in, and is shown this once.
    pub password: Password,
}

/// Body of `PATCH /users/{name}`: what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// What the person may do from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// Whether the account is closed: its sessions end, and all tokens that an
    /// admin made in its name are revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Its name.
    pub name: String,
    /// What the person may do.
    pub roles: Vec<Role>,
    /// Name of who made it; none if the server did at its first start.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether its password was given by an admin and has to be changed.
    pub must_change_password: bool,
    /// When it was closed.
    pub disabled_at: Option<Timestamp>,
    /// When the person last signed in.
    pub last_sign_in_at: Option<Timestamp>,
    /// Who else vouches for the person, the first one first.
    #[serde(default)]
    pub identities: Vec<LinkedIdentity>,
}

/// A person of an identity provider who signs in to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkedIdentity {
    /// URL of the provider.
    pub issuer: String,
    /// The person's name there, which need not be one for people.
    pub subject: String,
    /// Since when.
    pub linked_at: Timestamp,
}

/// Answer of `GET /users?limit=N&after=NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Users {
    /// One page, by name.
    pub users: Vec<User>,
    /// Give this as `after` to get the next page.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_show_in_debug_output() {
        let sign_in = SignIn {
            name: "alice".to_owned(),
            password: Password::new("correct horse"),
        };
        assert!(!format!("{sign_in:?}").contains("horse"));
    }
}
