//! What people have done with jobs: list, put first, cancel, run again.

use super::{
    Db, Error, begin, commit, execute, jobs, now, parse, row, rows, time, unsigned, updates,
};
use resplice_api::{Attempt, Job, JobId, JobStatus, JobSummary};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// Why a job was not run again, or cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// There is no such job.
    Missing,
    /// It stands in a way that does not allow it.
    Stands(JobStatus),
    /// Its update is released: hosts have what was approved.
    Released,
    /// Another update takes the place of its update, and names what it had built.
    Superseded,
}

#[derive(FromQueryResult)]
struct SummaryRow {
    id: String,
    update_id: String,
    update_name: String,
    target: String,
    status: String,
    attempt: i64,
    worker: Option<String>,
    team: String,
    priority: i64,
    cancelled_by: Option<String>,
    created_at: i64,
    finished_at: Option<i64>,
    reason: Option<String>,
}

impl SummaryRow {
    fn read(self) -> Result<JobSummary, Error> {
        let operation = "read a job";
        let finished = self.finished_at.map(|at| time(operation, at));
        Ok(JobSummary {
            id: parse(operation, &self.id)?,
            update_id: parse(operation, &self.update_id)?,
            update_name: self.update_name,
            target: self.target,
            status: parse(operation, &self.status)?,
            attempt: u32::try_from(self.attempt).unwrap_or_default(),
            worker: self.worker,
            team: self.team,
            priority: self.priority,
            cancelled_by: self.cancelled_by,
            created_at: time(operation, self.created_at)?,
            finished_at: finished.transpose()?,
            reason: self.reason,
        })
    }
}

/// A page of jobs, newest first.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    limit: u64,
    before: Option<JobId>,
    status: Option<JobStatus>,
) -> Result<Vec<JobSummary>, Error> {
    // Ids sort by time; 'g' is behind all of them.
    let before = before.map_or_else(|| "g".to_owned(), |id| id.to_string());
    let mut values = vec![
        before.into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    let mut wanted = "";
    if let Some(status) = status {
        wanted = " AND j.status = $3";
        values.push(status.as_str().into());
    }
    let sql = format!(
        "SELECT j.id, j.update_id, u.name AS update_name, j.target, j.status, j.attempt, j.worker,
             j.team, j.priority, j.cancelled_by, j.created_at, j.finished_at, j.reason
         FROM jobs j JOIN updates u ON u.id = j.update_id
         WHERE j.id < $1{wanted} ORDER BY j.id DESC LIMIT $2"
    );
    let found: Vec<SummaryRow> = rows(db, "list the jobs", &sql, values).await?;
    found.into_iter().map(SummaryRow::read).collect()
}

#[derive(FromQueryResult)]
struct AttemptRow {
    attempt: i64,
    worker: String,
    started_at: i64,
    finished_at: Option<i64>,
    outcome: Option<String>,
    reason: Option<String>,
}

/// The attempts at a job, oldest first.
///
/// # Errors
/// The database's.
pub async fn attempts<C: ConnectionTrait>(db: &C, id: JobId) -> Result<Vec<Attempt>, Error> {
    let operation = "list the attempts";
    let sql = "SELECT attempt, worker, started_at, finished_at, outcome, reason
               FROM attempts WHERE job_id = $1 ORDER BY attempt";
    let found: Vec<AttemptRow> = rows(db, operation, sql, vec![id.to_string().into()]).await?;
    let read = |row: AttemptRow| {
        let finished = row.finished_at.map(|at| time(operation, at));
        Ok(Attempt {
            attempt: u32::try_from(unsigned(row.attempt)).unwrap_or_default(),
            worker: row.worker,
            started_at: time(operation, row.started_at)?,
            finished_at: finished.transpose()?,
            outcome: row.outcome,
            reason: row.reason,
        })
    };
    found.into_iter().map(read).collect()
}

/// Puts a job before those with a lower priority, behind those with a higher one.
///
/// # Errors
/// The database's.
pub async fn prioritise<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    priority: i64,
) -> Result<bool, Error> {
    let sql = "UPDATE jobs SET priority = $2 WHERE id = $1";
    let values = vec![id.to_string().into(), priority.into()];
    Ok(execute(db, "set a priority", sql, values).await? == 1)
}

/// Cancels a job: one that waits at once; of one that runs the worker hears at its
/// next heartbeat. Asking twice is as good as once.
///
/// # Errors
/// The database's.
pub async fn cancel<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    person: &str,
    reason: &str,
) -> Result<Outcome, Error> {
    let changed = execute(
        db,
        "cancel a job",
        "UPDATE jobs SET cancelled_by = $2, cancel_reason = $3,
             status = CASE WHEN status = 'queued' THEN 'cancelled' ELSE status END,
             finished_at = CASE WHEN status = 'queued' THEN $4 END,
             reason = CASE WHEN status = 'queued' THEN 'cancelled by ' || $2 || $3 END
         WHERE id = $1 AND status IN ('queued', 'running') AND cancelled_by IS NULL",
        vec![
            id.to_string().into(),
            person.into(),
            behind(reason).into(),
            now().into(),
        ],
    )
    .await?;
    if changed == 1 {
        return Ok(Outcome::Done);
    }
    Ok(match jobs::find(db, id).await? {
        None => Outcome::Missing,
        Some(job) if job.cancelled_by.is_some() => Outcome::Done,
        Some(job) => Outcome::Stands(job.status),
    })
}

/// A reason as it stands behind who has cancelled.
fn behind(reason: &str) -> String {
    match reason.trim() {
        "" => String::new(),
        reason => format!(": {reason}"),
    }
}

/// Queues a job that has ended, for an attempt more. What the earlier ones left,
/// their logs and outcomes, stays beside it; the package does not.
///
/// # Errors
/// The database's.
pub async fn retry(db: &Db, id: JobId) -> Result<Outcome, Error> {
    let Some(job) = jobs::find(db, id).await? else {
        return Ok(Outcome::Missing);
    };
    let transaction = begin(db).await?;
    // Nobody releases the update between the look and the change.
    updates::lock(&transaction, job.update_id).await?;
    let changed = execute(
        &transaction,
        "run a job again",
        "UPDATE jobs SET status = 'queued', not_before = 0, losses = 0, finished_at = NULL,
             exit_code = NULL, reason = NULL, report = NULL, steps = '[]',
             package_sha256 = NULL, package_bytes = NULL, kernel_id = NULL, signer = NULL,
             cancelled_by = NULL, cancel_reason = NULL
         WHERE id = $1 AND status NOT IN ('queued', 'running')
           AND NOT EXISTS (SELECT 1 FROM updates u
               WHERE u.id = jobs.update_id AND u.released_at IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM supersedes s WHERE s.older_id = jobs.update_id)",
        vec![id.to_string().into()],
    )
    .await?;
    if changed == 1 {
        commit(transaction).await?;
        return Ok(Outcome::Done);
    }
    why_not(&transaction, &job).await
}

async fn why_not<C: ConnectionTrait>(db: &C, job: &Job) -> Result<Outcome, Error> {
    #[derive(FromQueryResult)]
    struct Standing {
        status: String,
        released_at: Option<i64>,
    }
    let operation = "look up a job";
    let standing: Option<Standing> = row(
        db,
        operation,
        "SELECT j.status, u.released_at FROM jobs j JOIN updates u ON u.id = j.update_id
         WHERE j.id = $1",
        vec![job.id.to_string().into()],
    )
    .await?;
    let Some(standing) = standing else {
        return Ok(Outcome::Missing);
    };
    let status: JobStatus = parse(operation, &standing.status)?;
    Ok(match status.is_final() {
        false => Outcome::Stands(status),
        true if standing.released_at.is_some() => Outcome::Released,
        true => Outcome::Superseded,
    })
}
