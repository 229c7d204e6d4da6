//! Leases: who works at which job, and for how long without a word. A claim is one
//! statement.

use super::{
    Db, Error, audit, begin, commit, dialect, execute,
    jobs::{COLUMNS, JobRow},
    now,
    results::{Ended, end_attempt},
    row, rows, to_json,
};
use resplice_api::{Job, JobId, Step};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use std::time::Duration;

/// Who claims a job.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The worker's name.
    pub worker: &'a str,
    /// Name of its token.
    pub actor: &'a str,
    /// Public part of its token.
    pub token: &'a str,
    /// Targets that it has; none means any.
    pub targets: &'a [String],
    /// How long it has the job without a heartbeat.
    pub lease: Duration,
    /// Most jobs of one team that run at the same time.
    pub team_limit: Option<u32>,
}

/// Gives a worker the queued job whose turn it is, as a new attempt: the highest
/// priority first, of these the oldest, without those that wait for another try
/// and those of teams that have as many as they may.
///
/// # Errors
/// The database's.
pub async fn claim(db: &Db, claim: &Claim<'_>) -> Result<Option<Job>, Error> {
    let started = clock(db).await?;
    let mut values: Vec<Value> = vec![
        claim.worker.into(),
        started.into(),
        started.saturating_add(micros(claim.lease)).into(),
    ];
    let mut wanted = String::new();
    if !claim.targets.is_empty() {
        let places: Vec<String> = (0..claim.targets.len())
            .map(|i| format!("${}", i + 4))
            .collect();
        wanted = format!(" AND q.target IN ({})", places.join(", "));
        values.extend(claim.targets.iter().map(|target| target.as_str().into()));
    }
    let dialect = dialect::of(db.get_database_backend());
    let free = dialect.locked_and_free();
    let mut within = String::new();
    if let Some(limit) = claim.team_limit {
        within = format!(
            " AND (SELECT COUNT(*) FROM jobs r WHERE r.status = 'running' AND r.team = q.team) < {limit}"
        );
    }
    let sql = format!(
        "UPDATE jobs SET status = 'running', attempt = attempt + 1, worker = $1, started_at = $2,
             lease_expires_at = $3, steps = '[]', listing_sha256 = NULL
         WHERE status = 'queued' AND id =
             (SELECT id FROM jobs q WHERE q.status = 'queued' AND q.not_before <= $2{wanted}{within}
              ORDER BY q.priority DESC, q.created_at, q.id LIMIT 1{free})
         RETURNING {COLUMNS}"
    );
    let transaction = begin(db).await?;
    if let (Some(_), Some(alone)) = (claim.team_limit, dialect.one_claim_at_a_time()) {
        execute(&transaction, "claim a job", alone, Vec::new()).await?;
    }
    let claimed: Option<JobRow> = row(&transaction, "claim a job", &sql, values).await?;
    let Some(job) = claimed.map(JobRow::read).transpose()? else {
        return Ok(None);
    };
    execute(
        &transaction,
        "record an attempt",
        "INSERT INTO attempts (job_id, attempt, worker, token_id, started_at)
         VALUES ($1, $2, $3, $4, $5)",
        vec![
            job.id.to_string().into(),
            i64::from(job.attempt).into(),
            claim.worker.into(),
            claim.token.into(),
            started.into(),
        ],
    )
    .await?;
    let entry = audit::Entry {
        actor: claim.actor,
        role: "worker",
        action: "job.lease",
        object: &format!("{}/attempts/{}", job.id, job.attempt),
    };
    audit::within(&transaction, &entry).await?;
    commit(transaction).await?;
    Ok(Some(job))
}

/// Whether the attempt holds the job.
///
/// # Errors
/// The database's.
pub async fn holds<C: ConnectionTrait>(db: &C, id: JobId, attempt: u32) -> Result<bool, Error> {
    #[derive(FromQueryResult)]
    struct Holder {
        attempt: i64,
    }
    let holder: Option<Holder> = row(
        db,
        "look up a job",
        "SELECT attempt FROM jobs WHERE id = $1 AND status = 'running'",
        vec![id.to_string().into()],
    )
    .await?;
    Ok(holder.is_some_and(|holder| holder.attempt == i64::from(attempt)))
}

/// What an attempt that holds its job hears.
#[derive(FromQueryResult)]
pub struct Heard {
    /// Who has cancelled the job, and why: `alice: not needed any more`.
    pub cancelled: Option<String>,
}

/// Extends the lease and records the steps so far; none if the attempt does not
/// hold the job.
///
/// # Errors
/// The database's.
pub async fn heartbeat<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    attempt: u32,
    lease: Duration,
    steps: Option<&[Step]>,
) -> Result<Option<Heard>, Error> {
    let steps = steps.map(|steps| to_json(&steps)).transpose()?;
    let expiry = clock(db).await?.saturating_add(micros(lease));
    row(
        db,
        "keep a lease",
        "UPDATE jobs SET lease_expires_at = $3, steps = COALESCE($4, steps)
         WHERE id = $1 AND attempt = $2 AND status = 'running'
         RETURNING cancelled_by || cancel_reason AS cancelled",
        vec![
            id.to_string().into(),
            i64::from(attempt).into(),
            expiry.into(),
            steps.into(),
        ],
    )
    .await
}

/// Takes jobs back whose leases ran out. They are queued again, after a pause that
/// doubles with each loss and begins with `pause`; once they have been lost
/// `max_losses` times since somebody had them run, they are set aside as poison: as
/// failed. What was cancelled is cancelled. Returns them as they stand then.
///
/// # Errors
/// The database's.
pub async fn expire(db: &Db, max_losses: u32, pause: Duration) -> Result<Vec<Job>, Error> {
    let moment = clock(db).await?;
    // Most of the time nothing has expired: look before taking the write lock.
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE status = 'running' AND lease_expires_at < $1 LIMIT 1"
    );
    let found: Option<JobRow> = row(db, "look for lost jobs", &sql, vec![moment.into()]).await?;
    if found.is_none() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "UPDATE jobs SET lease_expires_at = NULL, package_sha256 = NULL, package_bytes = NULL,
             losses = losses + 1,
             not_before = $1 + $3 * (CAST(1 AS BIGINT) << CAST(losses AS INTEGER)),
             status = CASE WHEN cancelled_by IS NOT NULL THEN 'cancelled'
                 WHEN losses + 1 >= $2 THEN 'failed' ELSE 'queued' END,
             finished_at = CASE WHEN cancelled_by IS NOT NULL OR losses + 1 >= $2 THEN $1 END,
             reason = CASE WHEN cancelled_by IS NOT NULL
                     THEN 'cancelled by ' || cancelled_by || cancel_reason
                 WHEN losses + 1 >= $2
                     THEN 'poison: ' || (losses + 1) || ' attempts ended without a word, the last on '
                         || worker || '; look at that worker, then run the job again' END
         WHERE status = 'running' AND lease_expires_at < $1
         RETURNING {COLUMNS}"
    );
    let transaction = begin(db).await?;
    let values = vec![
        moment.into(),
        i64::from(max_losses).into(),
        micros(pause).into(),
    ];
    let lost: Vec<JobRow> = rows(&transaction, "take lost jobs back", &sql, values).await?;
    let mut jobs = Vec::new();
    for lost in lost {
        let job = lost.read()?;
        let id = job.id.to_string();
        let ended = Ended {
            status: "lost".to_owned(),
            reason: job.reason.clone(),
        };
        end_attempt(&transaction, &id, job.attempt, &ended, moment).await?;
        let entry = audit::Entry {
            actor: "server",
            role: "server",
            action: "job.lost",
            object: &format!("{id}/attempts/{}", job.attempt),
        };
        audit::within(&transaction, &entry).await?;
        jobs.push(job);
    }
    commit(transaction).await?;
    Ok(jobs)
}

/// Now, for leases: servers whose clocks differ must not take jobs from each other.
async fn clock<C: ConnectionTrait>(db: &C) -> Result<i64, Error> {
    #[derive(FromQueryResult)]
    struct Clock {
        now: i64,
    }
    let Some(sql) = dialect::of(db.get_database_backend()).clock() else {
        return Ok(now());
    };
    let read: Option<Clock> = row(db, "read the database's clock", sql, Vec::new()).await?;
    Ok(read.map_or_else(now, |clock| clock.now))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
