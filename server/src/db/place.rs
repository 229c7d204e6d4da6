//! Where the database is.

use sea_orm::sqlx::postgres::PgConnectOptions;
use std::{
    fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Where the database is. Neither form shows a password.
#[derive(Clone)]
pub enum Place {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server, 15 or newer.
    Postgres(Box<PgConnectOptions>),
}

/// Why a database can't be named so.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// No URL of a PostgreSQL database. The URL itself may hold a password.
    #[error(
        "the database is not named as it must be, postgres://USER@HOST:PORT/NAME or \
         postgres:///NAME?host=/DIRECTORY: {0}"
    )]
    Url(String),
    /// A password where others can read it.
    #[error(
        "a command line is seen by everybody on this machine: leave the password out of --database, and put \
         the URL with it into a file of mode 0600 (--database-file), or into ~/.pgpass"
    )]
    Password,
    /// The file with the URL can't be read.
    #[error("can't read the database's URL from {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// Others than its owner may read the file with the URL.
    #[error("others may read {0}, which holds the database's password: chmod 600 it")]
    Exposed(PathBuf),
}

impl Place {
    /// A PostgreSQL database, from its URL. What the URL leaves out comes from
    /// `PGHOST`, `PGUSER`, `PGPASSWORD` and so on, and from `~/.pgpass`.
    ///
    /// # Errors
    /// [`PlaceError::Url`].
    pub fn postgres(url: &str) -> Result<Self, PlaceError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(PlaceError::Url("it has another beginning".to_owned()));
        }
        let options: PgConnectOptions = url
            .parse()
            .map_err(|error: sea_orm::sqlx::Error| PlaceError::Url(error.to_string()))?;
        Ok(Self::Postgres(Box::new(options)))
    }

    /// The same from a command line, where no password may be.
    ///
    /// # Errors
    /// [`PlaceError::Url`], [`PlaceError::Password`].
    pub fn from_argument(url: &str) -> Result<Self, PlaceError> {
        let (authority, query) = parts(url);
        let in_authority = authority
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'));
        if in_authority || query.contains("password=") {
            return Err(PlaceError::Password);
        }
        Self::postgres(url)
    }

    /// The same from a file that nobody but its owner can read.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn from_file(path: &Path) -> Result<Self, PlaceError> {
        let failed = |cause| PlaceError::File {
            path: path.to_owned(),
            cause,
        };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(PlaceError::Exposed(path.to_owned()));
        }
        Self::postgres(fs::read_to_string(path).map_err(failed)?.trim())
    }
}

/// What is before the path of a URL, and what is behind its question mark.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    (authority, query)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(options) => {
                let host = match options.get_socket() {
                    Some(directory) => directory.display().to_string(),
                    None => options.get_host().to_owned(),
                };
                let name = options.get_database().unwrap_or(options.get_username());
                write!(f, "{name} on {host} port {}", options.get_port())
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_password_is_neither_taken_from_a_command_line_nor_shown() {
        for url in [
            "postgres://u:secret@db/resplice",
            "postgres://u:@db/resplice",
            "postgres:///resplice?host=/run/postgresql&password=secret",
        ] {
            let error = Place::from_argument(url).unwrap_err();
            assert!(matches!(error, PlaceError::Password), "{url}: {error}");
            let place = Place::postgres(url).unwrap();
            let shown = format!("{place} {place:?}");
            assert!(!shown.contains("secret"), "{shown}");
        }
        Place::from_argument("postgres://u@db:5433/resplice").unwrap();
        let place = Place::from_argument("postgres:///resplice?host=/run/postgresql").unwrap();
        assert_eq!(
            place.to_string(),
            "resplice on /run/postgresql port 5432",
            "as without PGPORT"
        );
    }

    #[test]
    fn what_is_no_url_of_postgresql_is_refused_without_being_repeated() {
        for url in [
            "",
            "mysql://u:secret@h/x",
            "secret",
            "postgres://u:secret@h:x/y",
        ] {
            let error = Place::postgres(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_file_with_a_password_must_be_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url");
        fs::write(&path, "postgres://u:secret@db/resplice\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Place::from_file(&path).unwrap_err();
        assert!(matches!(error, PlaceError::Exposed(_)), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let shown = Place::from_file(&path).unwrap().to_string();
        assert_eq!(shown, "resplice on db port 5432", "as without PGPORT");
        let error = Place::from_file(&dir.path().join("none")).unwrap_err();
        assert!(matches!(error, PlaceError::File { .. }), "{error}");
    }
}
