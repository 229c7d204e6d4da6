//! Where a server keeps what it has.

use crate::db::Place;
use clap::Args;
use std::path::PathBuf;

/// Where a server keeps what it has.
#[derive(Args)]
pub(super) struct ServerPlace {
    /// Directory of everything that the server keeps; one server at a time
    #[arg(long, env = "RESPLICE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Database instead of the file in that directory: postgres://USER@HOST:PORT/NAME, or
    /// postgres:///NAME?host=/DIRECTORY for a socket; without a password. The variable
    /// RESPLICE_DATABASE may have one
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// File with the database's URL, its password too; mode 0600
    #[arg(
        long,
        env = "RESPLICE_DATABASE_FILE",
        value_name = "FILE",
        conflicts_with = "database"
    )]
    database_file: Option<PathBuf>,
}

impl ServerPlace {
    pub(super) fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(default_data)
    }

    /// The database; none is the file in the data directory.
    pub(super) fn database(&self) -> anyhow::Result<Option<Place>> {
        let variable = std::env::var("RESPLICE_DATABASE").ok();
        let variable = variable.filter(|url| !url.is_empty());
        Ok(match (&self.database, &self.database_file, variable) {
            (Some(url), _, _) => Some(Place::from_argument(url)?),
            (None, Some(file), _) => Some(Place::from_file(file)?),
            (None, None, Some(url)) => Some(Place::postgres(&url)?),
            (None, None, None) => None,
        })
    }
}

/// `$XDG_DATA_HOME/resplice`, else `~/.local/share/resplice`.
pub(super) fn default_data() -> PathBuf {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("resplice")
}
