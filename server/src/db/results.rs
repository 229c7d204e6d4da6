//! What workers say of their jobs: every write names its attempt, and changes nothing
//! if another one holds the job.

use super::{Db, Error, begin, commit, execute, now, row, to_json};
use resplice_api::{Finish, Job, JobId, JobStatus, PackageInfo};
use sea_orm::{ConnectionTrait, FromQueryResult};

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
pub(super) struct Ended {
    pub(super) status: String,
    pub(super) reason: Option<String>,
}

pub(super) async fn end_attempt<C: ConnectionTrait>(
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
