//! The kernels that the distribution has.

use crate::{App, archive, db, error::Failure};
use axum::{Json, extract::State};
use resplice_api::Archive;

pub(super) async fn show(State(app): State<App>) -> Result<Json<Archive>, Failure> {
    Ok(Json(db::archive::find(&app.db).await?))
}

pub(super) async fn look(State(app): State<App>) -> Result<Json<Archive>, Failure> {
    archive::look(&app).await?;
    show(State(app)).await
}
