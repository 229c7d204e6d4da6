//! What other servers on the same database say.

use super::Db;
use resplice_api::JobId;
use sea_orm::{
    DbBackend,
    sqlx::{self, postgres::PgListener},
};

/// The channel on which servers tell of jobs that have changed.
pub(super) const JOBS: &str = "resplice_jobs";

/// Hears of jobs that have changed, here or at another server.
pub struct Ear(Option<PgListener>);

impl Ear {
    /// Begins to listen. A file is for one server: there is nothing to be heard.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(db: &Db) -> Result<Self, sqlx::Error> {
        if db.get_database_backend() != DbBackend::Postgres {
            return Ok(Self(None));
        }
        let mut listener = PgListener::connect_with(db.get_postgres_connection_pool()).await?;
        listener.listen(JOBS).await?;
        Ok(Self(Some(listener)))
    }

    /// The next job that has changed; none if some may have been missed, since the
    /// connection was lost.
    ///
    /// # Errors
    /// The database's, if it can't be reached again.
    pub async fn next(&mut self) -> Result<Option<JobId>, sqlx::Error> {
        let Some(listener) = &mut self.0 else {
            return std::future::pending().await;
        };
        let heard = listener.try_recv().await?;
        Ok(heard.and_then(|heard| heard.payload().parse().ok()))
    }
}
