//! Kernel targets.

use super::body::{check_text, json_or_default};
use crate::{App, auth::Caller, catalogue, db::retired, error::Failure};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use resplice_api::{NewRetirement, Target, Targets};

pub(super) async fn list(State(app): State<App>) -> Result<Json<Targets>, Failure> {
    let targets = catalogue::list(&app).await?;
    Ok(Json(Targets { targets }))
}

pub(super) async fn retire(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Target>, Failure> {
    let new: NewRetirement = json_or_default(&body)?;
    check_text("reason", &new.reason)?;
    find(&app, &id).await?;
    retired::retire(&app.db, &id, &caller.name, &new.reason).await?;
    tracing::info!(target = id, by = caller.name, "retired a target");
    find(&app, &id).await.map(Json)
}

pub(super) async fn restore(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Target>, Failure> {
    let target = find(&app, &id).await?;
    if !retired::restore(&app.db, &id).await? {
        return Err(Failure::conflict(
            "not-retired",
            format!("the target {} is not retired", target.id),
        ));
    }
    find(&app, &id).await.map(Json)
}

async fn find(app: &App, id: &str) -> Result<Target, Failure> {
    let targets = catalogue::list(app).await?;
    let found = targets.into_iter().find(|target| target.id == id);
    found.ok_or_else(|| Failure::not_found("target", id))
}
