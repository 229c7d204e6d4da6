//! Who calls: roles and bearer tokens.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a token's holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Uploads patches.
    Team,
    /// Releases updates.
    Engineer,
    /// Reads what is released.
    Vendor,
    /// Looks after people, tokens and workers, and reads everything.
    Admin,
    /// Builds.
    Worker,
    /// Lets hosts enrol; good for nothing else.
    Enrol,
    /// An enrolled host.
    Host,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::Team,
        Self::Engineer,
        Self::Vendor,
        Self::Admin,
        Self::Worker,
        Self::Enrol,
        Self::Host,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Engineer => "engineer",
            Self::Vendor => "vendor",
            Self::Admin => "admin",
            Self::Worker => "worker",
            Self::Enrol => "enrol",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// Answer of `GET /whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Whoami {
    /// The first of the roles.
    pub role: Role,
    /// All roles: a token has one, a person may have several.
    pub roles: Vec<Role>,
    /// The name that appears in releases and in the audit log.
    pub name: String,
    /// Whether nothing else is allowed until the password was changed.
    #[serde(default)]
    pub must_change_password: bool,
}

/// A bearer token. It is a secret: it has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Token(String);

/// A token that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token's file can't be read.
    #[error("can't read the token file {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Others can read the token's file.
    #[error("the token file {path} has mode {mode:04o}: others can read it; run `chmod 600` on it")]
    Mode {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Not what a token looks like.
    #[error("the token is not 16 to 200 printable ASCII characters on one line")]
    Malformed,
}

impl Token {
    /// A token from its text.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] if it is not 16 to 200 printable ASCII characters.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let good = (16..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(TokenError::Malformed)
        }
    }

    /// Reads a token from a file that only its owner may read.
    ///
    /// # Errors
    /// [`TokenError`] if it can't be read, is readable by others, or holds no token.
    pub fn from_file(path: &std::path::Path) -> Result<Self, TokenError> {
        use std::io::Read;
        use std::os::unix::fs::PermissionsExt;
        let read = |source| TokenError::Read {
            path: path.display().to_string(),
            source,
        };
        let file = std::fs::File::open(path).map_err(read)?;
        let mode = file.metadata().map_err(read)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Mode {
                path: path.display().to_string(),
                mode,
            });
        }
        let mut text = String::new();
        file.take(4096).read_to_string(&mut text).map_err(read)?;
        Self::new(text.trim())
    }

    /// The secret itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        let token = Token::new("0123456789abcdef-secret").unwrap();
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn a_token_file_that_others_can_read_is_refused() {
        let path = std::env::temp_dir().join(format!("resplice-token-{}", uuid::Uuid::now_v7()));
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            Token::from_file(&path),
            Err(TokenError::Mode { mode: 0o640, .. })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(
            Token::from_file(&path).unwrap().secret(),
            "0123456789abcdef"
        );
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_token_can_not_break_out_of_its_header() {
        for bad in [
            "",
            "short",
            "0123456789abcdef\r\nx-evil: 1",
            "0123456789 abcdef",
        ] {
            assert!(Token::new(bad).is_err(), "{bad:?}");
        }
    }
}
