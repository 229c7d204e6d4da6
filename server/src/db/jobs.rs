//! Jobs: what they are, and the queue that they wait in.

use super::{Error, execute, json, now, parse, row, rows, time, unsigned};
use resplice_api::{Job, JobId, PackageInfo, UpdateId};
use sea_orm::{ConnectionTrait, FromQueryResult};

pub(super) const COLUMNS: &str =
    "id, update_id, target, status, attempt, worker, created_at, started_at,
    finished_at, exit_code, reason, report, steps, package_sha256, package_bytes, kernel_id, signer,
    provenance_sha256, listing_sha256, team, priority, not_before, cancelled_by,
    COALESCE((SELECT a.log_bytes FROM attempts a
        WHERE a.job_id = jobs.id AND a.attempt = jobs.attempt), 0) AS log_bytes";

#[derive(FromQueryResult)]
pub(super) struct JobRow {
    id: String,
    update_id: String,
    target: String,
    status: String,
    attempt: i64,
    worker: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    exit_code: Option<i64>,
    reason: Option<String>,
    report: Option<String>,
    steps: String,
    package_sha256: Option<String>,
    package_bytes: Option<i64>,
    kernel_id: Option<String>,
    signer: Option<String>,
    provenance_sha256: Option<String>,
    listing_sha256: Option<String>,
    team: String,
    priority: i64,
    not_before: i64,
    cancelled_by: Option<String>,
    log_bytes: i64,
}

impl JobRow {
    pub(super) fn read(self) -> Result<Job, Error> {
        let operation = "read a job";
        let when = |micros: Option<i64>| micros.map(|m| time(operation, m)).transpose();
        let package = match (self.package_sha256, self.package_bytes) {
            (Some(sha256), Some(bytes)) => Some(PackageInfo {
                sha256,
                bytes: unsigned(bytes),
                kernel_id: self.kernel_id.unwrap_or_default(),
                signer: self.signer.unwrap_or_default(),
                provenance: self.provenance_sha256,
            }),
            _ => None,
        };
        Ok(Job {
            id: parse(operation, &self.id)?,
            update_id: parse(operation, &self.update_id)?,
            target: self.target,
            status: parse(operation, &self.status)?,
            attempt: u32::try_from(self.attempt).unwrap_or_default(),
            worker: self.worker,
            created_at: time(operation, self.created_at)?,
            started_at: when(self.started_at)?,
            finished_at: when(self.finished_at)?,
            exit_code: self.exit_code.and_then(|code| i32::try_from(code).ok()),
            reason: self.reason,
            report: self.report.map(|text| json(operation, &text)).transpose()?,
            steps: json(operation, &self.steps)?,
            package,
            listing: self.listing_sha256,
            log_bytes: unsigned(self.log_bytes),
            team: self.team,
            priority: self.priority,
            not_before: when(Some(self.not_before).filter(|at| *at > 0))?,
            cancelled_by: self.cancelled_by,
        })
    }
}

/// Queues a job for each target.
///
/// # Errors
/// The database's.
pub async fn queue<C: ConnectionTrait>(
    db: &C,
    update: UpdateId,
    targets: &[String],
    team: &str,
) -> Result<(), Error> {
    for target in targets {
        execute(
            db,
            "queue a job",
            "INSERT INTO jobs (id, update_id, target, status, attempt, created_at, steps, team)
             VALUES ($1, $2, $3, 'queued', 0, $4, '[]', $5)",
            vec![
                JobId::new().to_string().into(),
                update.to_string().into(),
                target.as_str().into(),
                now().into(),
                team.into(),
            ],
        )
        .await?;
    }
    Ok(())
}

/// Finds a job.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, id: JobId) -> Result<Option<Job>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
    let found: Option<JobRow> = row(db, "look up a job", &sql, vec![id.to_string().into()]).await?;
    found.map(JobRow::read).transpose()
}

/// The jobs of an update, by target.
///
/// # Errors
/// The database's.
pub async fn of_update<C: ConnectionTrait>(db: &C, update: UpdateId) -> Result<Vec<Job>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE update_id = $1 ORDER BY target");
    let values = vec![update.to_string().into()];
    let found: Vec<JobRow> = rows(db, "list the jobs", &sql, values).await?;
    found.into_iter().map(JobRow::read).collect()
}
