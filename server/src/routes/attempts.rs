//! What a worker does with a job. Everything but the lease is fenced by the
//! attempt: if another one holds the job, the answer is 409 and nothing happens.

use super::{
    body::{check_count, check_steps, check_text, check_word, json, json_or_default},
    jobs::load,
};
use crate::{App, auth::Caller, db, error::Failure, job_key, queue};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use resplice_api::{
    Finish, FinishStatus, Heartbeat, HeartbeatAnswer, Job, JobId, JobStatus, Lease, LeaseRequest,
    LeasedUpdate, PackageInfo, limits,
};
use resplice_package::{Package, PublicKey};
use serde::Deserialize;

pub(super) async fn lease(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Failure> {
    let request: LeaseRequest = json(&body)?;
    check_word("worker's name", &request.worker)?;
    check_count("targets", request.targets.len(), limits::MAX_LIST)?;
    queue::sweep(&app).await?;
    let claim = db::leases::Claim {
        worker: &request.worker,
        actor: &caller.name,
        token: &caller.token,
        targets: &request.targets,
        lease: app.config.lease,
        team_limit: app.config.team_limit,
    };
    // Of a caller that hangs up the claim is finished all the same; the lease
    // then runs out.
    let Some(job) = db::leases::claim(&app.db, &claim).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    app.logs.tell(&app.db, job.id).await;
    tracing::info!(job = %job.id, attempt = job.attempt, worker = request.worker, "leased");
    let update = leased_update(&app, &job).await?;
    let supersedes = db::supersedes::in_kernel(&app.db, job.update_id, &job.target).await?;
    let mut lease = Lease {
        job: job.id,
        attempt: job.attempt,
        update,
        target: job.target,
        supersedes,
        lease_seconds: app.config.lease.as_secs(),
        // By the clock that all servers have in common: workers refuse what is old.
        issued_at: job
            .started_at
            .ok_or("it has no start")
            .map_err(Failure::internal("sign a job"))?,
        signature: String::new(),
    };
    job_key::sign(&app.job_key, &mut lease, &request.worker);
    Ok(Json(lease).into_response())
}

async fn leased_update(app: &App, job: &Job) -> Result<LeasedUpdate, Failure> {
    let row = db::updates::find_row(&app.db, job.update_id).await?;
    let row = row.ok_or_else(|| Failure::not_found("update", job.update_id))?;
    let check = match &row.check_sha256 {
        Some(sha256) => {
            let bytes = app.read("read a check", sha256).await?;
            let check =
                serde_json::from_slice(&bytes).map_err(Failure::internal("read a check"))?;
            Some(check)
        }
        None => None,
    };
    let update = row.read()?;
    let bytes = app.read("read a patch", &update.patch_sha256).await?;
    Ok(LeasedUpdate {
        id: update.id,
        name: update.name,
        cves: update.cves,
        patch: String::from_utf8(bytes).map_err(Failure::internal("read a patch"))?,
        patch_sha256: update.patch_sha256,
        check,
    })
}

pub(super) async fn heartbeat(
    State(app): State<App>,
    Path((id, attempt)): Path<(JobId, u32)>,
    body: Bytes,
) -> Result<Json<HeartbeatAnswer>, Failure> {
    let heartbeat: Heartbeat = json_or_default(&body)?;
    check_steps(heartbeat.steps.as_deref().unwrap_or_default())?;
    let steps = heartbeat.steps.as_deref();
    let lease = app.config.lease;
    let Some(heard) = db::leases::heartbeat(&app.db, id, attempt, lease, steps).await? else {
        return Err(stale(&app, id, attempt).await);
    };
    Ok(Json(HeartbeatAnswer {
        lease_seconds: lease.as_secs(),
        cancelled: heard.cancelled,
    }))
}

/// Query of `POST …/log`.
#[derive(Deserialize)]
pub(super) struct At {
    offset: u64,
}

pub(super) async fn append_log(
    State(app): State<App>,
    Path((id, attempt)): Path<(JobId, u32)>,
    Query(at): Query<At>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    // A write must not be cut in the middle when the worker hangs up.
    let appended = tokio::spawn(async move {
        let logs = &app.logs;
        logs.append(&app.db, id, attempt, at.offset, &body).await
    });
    appended
        .await
        .map_err(Failure::internal("append to a log"))??;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn put_package(
    State(app): State<App>,
    Path((id, attempt)): Path<(JobId, u32)>,
    body: Bytes,
) -> Result<Json<PackageInfo>, Failure> {
    let job = held(&app, id, attempt).await?;
    let package = match verify(&app, &job, body.clone()).await? {
        Ok(package) => package,
        Err(reason) => {
            let reason = format!("the package was refused: {reason}");
            tracing::warn!(job = %id, attempt, reason, "package refused");
            db::results::fail(&app.db, &job, attempt, &reason).await?;
            app.logs.tell(&app.db, id).await;
            return Err(Failure::invalid(reason));
        }
    };
    app.put("keep a package", body).await?;
    if !db::results::set_package(&app.db, id, attempt, &package).await? {
        return Err(Failure::stale_attempt(attempt));
    }
    Ok(Json(package))
}

/// Checks a package against the key of the worker that has the job, and against
/// the job itself. The inner error is what is wrong with the package.
async fn verify(
    app: &App,
    job: &Job,
    bytes: Bytes,
) -> Result<Result<PackageInfo, String>, Failure> {
    let key = match worker_key(app, job).await? {
        Ok(key) => key,
        Err(reason) => return Ok(Err(reason)),
    };
    let (update, target) = (job.update_id.to_string(), job.target.clone());
    let supersedes = db::supersedes::in_kernel(&app.db, job.update_id, &target).await?;
    let checked = tokio::task::spawn_blocking(move || {
        let package = Package::open(&bytes, &[key]).map_err(|error| error.to_string())?;
        let manifest = package.manifest();
        if manifest.update_id != update {
            return Err(format!(
                "it is for the update {}, not {update}",
                manifest.update_id
            ));
        }
        if manifest.supersedes != supersedes {
            return Err(format!(
                "it takes the place of {:?} in the kernel, not of {supersedes:?}; build it again",
                manifest.supersedes
            ));
        }
        if manifest.target.id != target {
            return Err(format!(
                "it is for the target {}, not {target}",
                manifest.target.id
            ));
        }
        Ok(PackageInfo {
            sha256: package.digest().to_owned(),
            bytes: bytes.len() as u64,
            kernel_id: manifest.id.clone(),
            signer: package.signer().to_string(),
            provenance: None,
        })
    });
    checked.await.map_err(Failure::internal("verify a package"))
}

/// The key of the worker that has the job; the inner error says that it has none.
pub(super) async fn worker_key(app: &App, job: &Job) -> Result<Result<PublicKey, String>, Failure> {
    let name = job.worker.clone().unwrap_or_default();
    let Some(worker) = db::workers::find(&app.db, &name).await? else {
        return Ok(Err(format!(
            "the worker {name} has registered no key; it does so with `POST /workers`"
        )));
    };
    let key = worker.public_key.parse();
    key.map(Ok)
        .map_err(Failure::internal("read a worker's key"))
}

pub(super) async fn finish(
    State(app): State<App>,
    Path((id, attempt)): Path<(JobId, u32)>,
    body: Bytes,
) -> Result<Json<Job>, Failure> {
    let end: Finish = json(&body)?;
    check_finish(&end)?;
    let job = db::jobs::find(&app.db, id).await?;
    let job = job.ok_or_else(|| Failure::not_found("job", id))?;
    let same_end = job.attempt == attempt
        && (job.status == JobStatus::from(end.status) || job.status == JobStatus::Cancelled);
    if job.status.is_final() && same_end {
        // The answer to an earlier call was lost.
        return Ok(Json(load(&app, id).await?));
    }
    let holds = job.status == JobStatus::Running && job.attempt == attempt;
    if holds && end.status == FinishStatus::Built && job.package.is_none() {
        return Err(Failure::conflict(
            "no-package",
            "a job is built only once its package is stored; store it first",
        ));
    }
    let untold = job.package.is_some_and(|p| p.provenance.is_none());
    if holds && end.status == FinishStatus::Built && untold {
        return Err(Failure::conflict(
            "no-provenance",
            "a job is built only once the provenance of its package is stored; store it first",
        ));
    }
    if !db::results::finish(&app.db, id, attempt, &end).await? {
        return Err(Failure::stale_attempt(attempt));
    }
    app.metrics.built(&end.steps);
    app.logs.tell(&app.db, id).await;
    let job = load(&app, id).await?;
    tracing::info!(job = %id, attempt, status = %job.status, "finished");
    Ok(Json(job))
}

fn check_finish(end: &Finish) -> Result<(), Failure> {
    check_steps(&end.steps)?;
    let reason = end.reason.as_deref().unwrap_or_default();
    check_text("reason", reason)?;
    if end.status != FinishStatus::Built && reason.trim().is_empty() {
        return Err(Failure::invalid(
            "an attempt that ends without a package needs a reason",
        ));
    }
    let report = end
        .report
        .as_ref()
        .map_or(0, |report| report.to_string().len());
    if report > limits::MAX_BUILD_REPORT_BYTES {
        let limit = limits::MAX_BUILD_REPORT_BYTES;
        return Err(Failure::invalid(format!(
            "the report has more than {limit} bytes"
        )));
    }
    Ok(())
}

/// The job, if the attempt holds it.
pub(super) async fn held(app: &App, id: JobId, attempt: u32) -> Result<Job, Failure> {
    let job = db::jobs::find(&app.db, id).await?;
    let job = job.ok_or_else(|| Failure::not_found("job", id))?;
    if job.status == JobStatus::Running && job.attempt == attempt {
        return Ok(job);
    }
    Err(Failure::stale_attempt(attempt))
}

/// Why a fenced write changed nothing.
async fn stale(app: &App, id: JobId, attempt: u32) -> Failure {
    match held(app, id, attempt).await {
        Err(failure) => failure,
        Ok(_) => Failure::stale_attempt(attempt),
    }
}
