//! How the server is set up.

use crate::{db::Place, feeds, oidc, store::Home, webhooks};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of everything that the server keeps.
    pub data: PathBuf,
    /// The database; none is a file in that directory.
    pub database: Option<Place>,
    /// Where patches, checks and packages lie.
    pub store: Home,
    /// Where it listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How long a worker has a job without a heartbeat.
    pub lease: Duration,
    /// How often a job's worker may vanish until the job is set aside.
    pub max_losses: u32,
    /// How long a job waits after its worker has vanished; doubles each time.
    pub pause: Duration,
    /// Most jobs that run at the same time for one who uploads.
    pub team_limit: Option<u32>,
    /// How often one token or session may ask for something; none is as often as it likes.
    pub requests_per_second: Option<u32>,
    /// How the feeds are published.
    pub feeds: feeds::Settings,
    /// The identity provider that people may sign in with.
    pub oidc: Option<oidc::Settings>,
    /// How webhooks are sent.
    pub webhooks: webhooks::Settings,
}

impl Config {
    /// How often a job's worker may vanish until the job is set aside, by default.
    pub const MAX_LOSSES: u32 = 3;

    pub(crate) fn database(&self) -> Place {
        let file = || Place::Sqlite(self.data.join("resplice.db"));
        self.database.clone().unwrap_or_else(file)
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.data.join("tokens")
    }
}
