//! The instructions of replaced functions, as a worker lists them.

use super::{attempts::held, body::json, jobs::load};
use crate::{App, db, error::Failure};
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use resplice_api::{JobId, Listing};

pub(super) async fn store(
    State(app): State<App>,
    Path((id, attempt)): Path<(JobId, u32)>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    held(&app, id, attempt).await?;
    let _: Listing = json(&body)?;
    let name = app.put("keep a listing", body).await?;
    if !db::results::set_listing(&app.db, id, attempt, &name).await? {
        return Err(Failure::stale_attempt(attempt));
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn find(
    State(app): State<App>,
    Path(id): Path<JobId>,
) -> Result<Response, Failure> {
    let name = load(&app, id).await?.listing;
    let name = name.ok_or_else(|| Failure::not_found("listing of the job", id))?;
    let bytes = app.read("read a listing", &name).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}
