//! What is counted in the database.

use super::{Error, now, row, rows, unsigned};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// How things stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gauges {
    /// Number of jobs by status.
    pub jobs: Vec<(String, u64)>,
    /// How long the oldest queued job has waited; 0 if there is none.
    pub queue_age_seconds: f64,
    /// How long the oldest running attempt has run; 0 if there is none.
    pub lease_age_seconds: f64,
    /// Number of enrolled hosts.
    pub hosts: u64,
    /// Number of entries in the transparency log.
    pub log_entries: u64,
}

/// Whether the database answers.
///
/// # Errors
/// Its own, if it does not.
pub async fn is_there<C: ConnectionTrait>(db: &C) -> Result<(), Error> {
    super::log::head(db).await.map(drop)
}

/// Counts.
///
/// # Errors
/// The database's.
pub async fn gauges<C: ConnectionTrait>(db: &C) -> Result<Gauges, Error> {
    #[derive(FromQueryResult)]
    struct Status {
        status: String,
        n: i64,
    }
    #[derive(FromQueryResult)]
    struct Rest {
        queued_at: Option<i64>,
        started_at: Option<i64>,
        hosts: i64,
        log_entries: i64,
    }
    let operation = "count";
    let sql = "SELECT status, COUNT(*) AS n FROM jobs GROUP BY status ORDER BY status";
    let jobs: Vec<Status> = rows(db, operation, sql, Vec::new()).await?;
    let sql = "SELECT
        (SELECT MIN(created_at) FROM jobs WHERE status = 'queued') AS queued_at,
        (SELECT MIN(started_at) FROM jobs WHERE status = 'running') AS started_at,
        (SELECT COUNT(*) FROM hosts) AS hosts,
        (SELECT size FROM log_head WHERE id = 1) AS log_entries";
    let rest: Option<Rest> = row(db, operation, sql, Vec::new()).await?;
    let moment = now();
    let age = |at: Option<i64>| at.map_or(0.0, |at| (moment - at).max(0) as f64 / 1e6);
    let mut gauges = Gauges {
        jobs: jobs
            .into_iter()
            .map(|row| (row.status, unsigned(row.n)))
            .collect(),
        ..Gauges::default()
    };
    if let Some(rest) = rest {
        gauges.queue_age_seconds = age(rest.queued_at);
        gauges.lease_age_seconds = age(rest.started_at);
        gauges.hosts = unsigned(rest.hosts);
        gauges.log_entries = unsigned(rest.log_entries);
    }
    Ok(gauges)
}
