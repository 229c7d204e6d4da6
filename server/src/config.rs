//! How the server is set up.

use crate::db::Place;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of everything that the server keeps.
    pub data: PathBuf,
    /// The database; none is a file in that directory.
    pub database: Option<Place>,
    /// Where it listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How long a worker has a job without a heartbeat.
    pub lease: Duration,
    /// Attempts after which a job whose workers vanish has failed.
    pub max_attempts: u32,
}

impl Config {
    /// Attempts after which a job whose workers vanish has failed, by default.
    pub const MAX_ATTEMPTS: u32 = 3;

    pub(crate) fn database(&self) -> Place {
        let file = || Place::Sqlite(self.data.join("resplice.db"));
        self.database.clone().unwrap_or_else(file)
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.data.join("tokens")
    }
}
