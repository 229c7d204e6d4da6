//! Kernel targets.

use crate::{App, catalogue, error::Failure};
use axum::{Json, extract::State};
use resplice_api::Targets;

pub(super) async fn list(State(app): State<App>) -> Result<Json<Targets>, Failure> {
    let targets = catalogue::list(&app.catalogue).await?;
    Ok(Json(Targets { targets }))
}
