//! Jobs and their logs, for readers.

use crate::{App, db, error::Failure};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use resplice_api::{Job, JobId, LOG_ATTEMPT_HEADER, LOG_COMPLETE_HEADER, limits};
use serde::Deserialize;
use std::time::Duration;

pub(super) async fn find(
    State(app): State<App>,
    Path(id): Path<JobId>,
) -> Result<Json<Job>, Failure> {
    Ok(Json(load(&app, id).await?))
}

/// A job with the size of its log.
pub(super) async fn load(app: &App, id: JobId) -> Result<Job, Failure> {
    let found = db::jobs::find(&app.db, id).await?;
    let mut job = found.ok_or_else(|| Failure::not_found("job", id))?;
    job.log_bytes = app.logs.size(id, job.attempt).await?;
    Ok(job)
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
        let changed = channel.changed.notified();
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
        || (attempt == job.attempt
            && job.attempt > 0
            && job.status != resplice_api::JobStatus::Running);
    let size = app.logs.size(id, attempt).await?;
    if from.offset > size {
        return Err(Failure::wrong_offset(from.offset, size));
    }
    let bytes = app.logs.read(id, attempt, from.offset).await?;
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
