//! Jobs and their logs, for readers.

use super::body::{check_text, json, json_or_default, page_limit};
use crate::{
    App,
    auth::Caller,
    db::{
        self, attempt_log,
        orders::{self, Outcome},
    },
    error::Failure,
    logs::MAX_READ_BYTES,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use resplice_api::{
    Attempts, Cancel, Job, JobId, JobStatus, Jobs, LOG_ATTEMPT_HEADER, LOG_COMPLETE_HEADER,
    Priority, limits,
};
use serde::Deserialize;
use std::time::Duration;

pub(super) async fn find(
    State(app): State<App>,
    Path(id): Path<JobId>,
) -> Result<Json<Job>, Failure> {
    Ok(Json(load(&app, id).await?))
}

/// Query of `GET /jobs`.
#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u64>,
    before: Option<JobId>,
    status: Option<JobStatus>,
}

pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Json<Jobs>, Failure> {
    let limit = page_limit(page.limit)?;
    let mut jobs = orders::list(&app.db, limit + 1, page.before, page.status).await?;
    let more = jobs.len() as u64 > limit;
    jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = jobs.last().filter(|_| more).map(|job| job.id);
    Ok(Json(Jobs { jobs, next }))
}

pub(super) async fn attempts(
    State(app): State<App>,
    Path(id): Path<JobId>,
) -> Result<Json<Attempts>, Failure> {
    load(&app, id).await?;
    let attempts = orders::attempts(&app.db, id).await?;
    Ok(Json(Attempts { attempts }))
}

pub(super) async fn cancel(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<JobId>,
    body: Bytes,
) -> Result<Json<Job>, Failure> {
    let cancel: Cancel = json_or_default(&body)?;
    check_text("reason", &cancel.reason)?;
    let outcome = orders::cancel(&app.db, id, &caller.name, &cancel.reason).await?;
    done(id, outcome, "cancelled")?;
    tracing::info!(job = %id, by = caller.name, "cancelled");
    app.logs.tell(&app.db, id).await;
    Ok(Json(load(&app, id).await?))
}

pub(super) async fn retry(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<JobId>,
) -> Result<Json<Job>, Failure> {
    done(id, orders::retry(&app.db, id).await?, "run again")?;
    tracing::info!(job = %id, by = caller.name, "queued again");
    app.logs.tell(&app.db, id).await;
    Ok(Json(load(&app, id).await?))
}

pub(super) async fn prioritise(
    State(app): State<App>,
    Path(id): Path<JobId>,
    body: Bytes,
) -> Result<Json<Job>, Failure> {
    let Priority { priority } = json(&body)?;
    if !(-100..=100).contains(&priority) {
        return Err(Failure::invalid("a priority goes from -100 to 100"));
    }
    if !orders::prioritise(&app.db, id, priority).await? {
        return Err(Failure::not_found("job", id));
    }
    Ok(Json(load(&app, id).await?))
}

fn done(id: JobId, outcome: Outcome, what: &str) -> Result<(), Failure> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Missing => Err(Failure::not_found("job", id)),
        Outcome::Stands(status) => Err(Failure::conflict(
            "wrong-status",
            format!("the job is {status}: it can't be {what}"),
        )),
        Outcome::Released => Err(Failure::conflict(
            "already-released",
            "its update is released: what hosts get was approved as it is; upload the patch as a \
             new update that supersedes this one",
        )),
        Outcome::Superseded => Err(Failure::conflict(
            "superseded",
            "another update takes the place of this one, and was made for the packages that it \
             has; run the jobs of that one again",
        )),
    }
}

/// A job that must be there.
pub(super) async fn load(app: &App, id: JobId) -> Result<Job, Failure> {
    let found = db::jobs::find(&app.db, id).await?;
    found.ok_or_else(|| Failure::not_found("job", id))
}

/// Query of `GET /jobs/{id}/log`.
#[derive(Deserialize)]
pub(super) struct From {
    #[serde(default)]
    offset: u64,
    attempt: Option<u32>,
    #[serde(default)]
    follow: u8,
}

/// A piece of an attempt's log, from `offset`. With `follow=1` it waits for bytes,
/// for the end of the attempt, or for the attempt to begin.
pub(super) async fn log(
    State(app): State<App>,
    Path(id): Path<JobId>,
    Query(from): Query<From>,
) -> Result<Response, Failure> {
    let channel = app.logs.channel(id);
    let wait = Duration::from_secs(limits::FOLLOW_SECONDS);
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let changed = channel.notified();
        tokio::pin!(changed);
        // Listen first, look then: a change in between is not missed.
        changed.as_mut().enable();
        let piece = read(&app, id, &from).await?;
        let waits = from.follow == 1 && piece.bytes.is_empty() && !piece.complete;
        if !waits || tokio::time::Instant::now() >= deadline {
            return Ok(piece.into_response());
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = app.shutdown.cancelled() => return Ok(piece.into_response()),
        }
    }
}

struct Piece {
    attempt: u32,
    bytes: Vec<u8>,
    complete: bool,
}

async fn read(app: &App, id: JobId, from: &From) -> Result<Piece, Failure> {
    let found = db::jobs::find(&app.db, id).await?;
    let job = found.ok_or_else(|| Failure::not_found("job", id))?;
    let attempt = from.attempt.unwrap_or(job.attempt);
    // The state is read before the bytes: what is over then grows no more.
    let over = job.status.is_final()
        || attempt < job.attempt
        || (attempt == job.attempt && job.attempt > 0 && job.status != JobStatus::Running);
    let size = attempt_log::size(&app.db, id, attempt).await?;
    if from.offset > size {
        return Err(Failure::wrong_offset(from.offset, size));
    }
    let limit = MAX_READ_BYTES.min(size - from.offset);
    let bytes = attempt_log::read(&app.db, id, attempt, from.offset, limit).await?;
    let complete = over && from.offset + bytes.len() as u64 >= size;
    Ok(Piece {
        attempt,
        bytes,
        complete,
    })
}

impl IntoResponse for Piece {
    fn into_response(self) -> Response {
        let headers = [
            (
                header::CONTENT_TYPE.as_str(),
                "text/plain; charset=utf-8".to_owned(),
            ),
            (header::CACHE_CONTROL.as_str(), "no-store".to_owned()),
            (LOG_COMPLETE_HEADER, self.complete.to_string()),
            (LOG_ATTEMPT_HEADER, self.attempt.to_string()),
        ];
        (headers, self.bytes).into_response()
    }
}
