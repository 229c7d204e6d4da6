//! Jobs: the queue. A claim is one statement; every later write of a worker
//! names its attempt and changes nothing if another one holds the job.

use super::{
    Db, Error, audit, begin, commit, dialect, execute, json, now, parse, row, rows, time, to_json,
    unsigned,
};
use resplice_api::{Finish, Job, JobId, JobStatus, PackageInfo, Step, UpdateId};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use std::time::Duration;

const COLUMNS: &str = "id, update_id, target, status, attempt, worker, created_at, started_at,
    finished_at, exit_code, reason, report, steps, package_sha256, package_bytes, kernel_id, signer,
    provenance_sha256, listing_sha256, team, priority, not_before, cancelled_by,
    COALESCE((SELECT a.log_bytes FROM attempts a
        WHERE a.job_id = jobs.id AND a.attempt = jobs.attempt), 0) AS log_bytes";

#[derive(FromQueryResult)]
struct JobRow {
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
    fn read(self) -> Result<Job, Error> {
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
    let started = now();
    let mut values: Vec<Value> = vec![
        claim.worker.into(),
        started.into(),
        expiry(claim.lease).into(),
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
    row(
        db,
        "keep a lease",
        "UPDATE jobs SET lease_expires_at = $3, steps = COALESCE($4, steps)
         WHERE id = $1 AND attempt = $2 AND status = 'running'
         RETURNING cancelled_by || cancel_reason AS cancelled",
        vec![
            id.to_string().into(),
            i64::from(attempt).into(),
            expiry(lease).into(),
            steps.into(),
        ],
    )
    .await
}

/// Names the package that the attempt built; false if it does not hold the job.
///
/// # Errors
/// The database's.
pub async fn set_package<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    attempt: u32,
    package: &PackageInfo,
) -> Result<bool, Error> {
    let bytes = i64::try_from(package.bytes).unwrap_or(i64::MAX);
    let changed = execute(
        db,
        "record a package",
        "UPDATE jobs SET package_sha256 = $3, package_bytes = $4, kernel_id = $5, signer = $6,
             provenance_sha256 = CASE WHEN package_sha256 = $3 THEN provenance_sha256 END
         WHERE id = $1 AND attempt = $2 AND status = 'running'",
        vec![
            id.to_string().into(),
            i64::from(attempt).into(),
            package.sha256.as_str().into(),
            bytes.into(),
            package.kernel_id.as_str().into(),
            package.signer.as_str().into(),
        ],
    )
    .await?;
    Ok(changed == 1)
}

/// Names the provenance of the package that the attempt has stored; false if it does
/// not hold the job, or has stored another package since.
///
/// # Errors
/// The database's.
pub async fn set_provenance<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    attempt: u32,
    package: &str,
    provenance: &str,
) -> Result<bool, Error> {
    let changed = execute(
        db,
        "record a provenance",
        "UPDATE jobs SET provenance_sha256 = $4
         WHERE id = $1 AND attempt = $2 AND status = 'running' AND package_sha256 = $3",
        vec![
            id.to_string().into(),
            i64::from(attempt).into(),
            package.into(),
            provenance.into(),
        ],
    )
    .await?;
    Ok(changed == 1)
}

/// Names the listing that the attempt has stored; false if it does not hold the job.
///
/// # Errors
/// The database's.
pub async fn set_listing<C: ConnectionTrait>(
    db: &C,
    id: JobId,
    attempt: u32,
    listing: &str,
) -> Result<bool, Error> {
    let changed = execute(
        db,
        "record a listing",
        "UPDATE jobs SET listing_sha256 = $3
         WHERE id = $1 AND attempt = $2 AND status = 'running'",
        vec![
            id.to_string().into(),
            i64::from(attempt).into(),
            listing.into(),
        ],
    )
    .await?;
    Ok(changed == 1)
}

/// Ends the attempt and its job; false if it does not hold the job. A package
/// stays only with a job that is built. A job that was cancelled ends so, whatever
/// the worker says.
///
/// # Errors
/// The database's.
pub async fn finish(db: &Db, id: JobId, attempt: u32, finish: &Finish) -> Result<bool, Error> {
    let status = JobStatus::from(finish.status);
    let report = finish.report.as_ref().map(to_json).transpose()?;
    let finished = now();
    let transaction = begin(db).await?;
    let ended: Option<Ended> = row(
        &transaction,
        "finish a job",
        "UPDATE jobs SET finished_at = $4, exit_code = $5, report = $7, steps = $8,
             lease_expires_at = NULL,
             status = CASE WHEN cancelled_by IS NULL THEN $3 ELSE 'cancelled' END,
             reason = COALESCE('cancelled by ' || cancelled_by || cancel_reason, $6),
             package_sha256 = CASE WHEN $3 = 'built' AND cancelled_by IS NULL THEN package_sha256 END,
             package_bytes = CASE WHEN $3 = 'built' AND cancelled_by IS NULL THEN package_bytes END
         WHERE id = $1 AND attempt = $2 AND status = 'running'
         RETURNING status, reason",
        vec![
            id.to_string().into(),
            i64::from(attempt).into(),
            status.as_str().into(),
            finished.into(),
            finish.exit_code.map(i64::from).into(),
            finish.reason.clone().into(),
            report.into(),
            to_json(&finish.steps)?.into(),
        ],
    )
    .await?;
    let Some(ended) = ended else {
        return Ok(false);
    };
    end_attempt(&transaction, &id.to_string(), attempt, &ended, finished).await?;
    commit(transaction).await?;
    Ok(true)
}

/// Fails the attempt's job for a reason that the server found itself.
///
/// # Errors
/// The database's.
pub async fn fail(db: &Db, job: &Job, attempt: u32, reason: &str) -> Result<bool, Error> {
    let end = Finish {
        status: resplice_api::FinishStatus::Failed,
        exit_code: None,
        reason: Some(reason.to_owned()),
        report: job.report.clone(),
        steps: job.steps.clone(),
    };
    finish(db, job.id, attempt, &end).await
}

/// How an attempt has ended.
#[derive(FromQueryResult)]
struct Ended {
    status: String,
    reason: Option<String>,
}

async fn end_attempt<C: ConnectionTrait>(
    db: &C,
    id: &str,
    attempt: u32,
    ended: &Ended,
    finished: i64,
) -> Result<(), Error> {
    execute(
        db,
        "end an attempt",
        "UPDATE attempts SET finished_at = $3, outcome = $4, reason = $5
         WHERE job_id = $1 AND attempt = $2",
        vec![
            id.into(),
            i64::from(attempt).into(),
            finished.into(),
            ended.status.as_str().into(),
            ended.reason.clone().into(),
        ],
    )
    .await
    .map(drop)
}

/// Takes jobs back whose leases ran out. They are queued again, after a pause that
/// doubles with each loss and begins with `pause`; once they have been lost
/// `max_losses` times since somebody had them run, they are set aside as poison: as
/// failed. What was cancelled is cancelled. Returns them as they stand then.
///
/// # Errors
/// The database's.
pub async fn expire(db: &Db, max_losses: u32, pause: Duration) -> Result<Vec<Job>, Error> {
    let moment = now();
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

fn expiry(lease: Duration) -> i64 {
    now().saturating_add(micros(lease))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
