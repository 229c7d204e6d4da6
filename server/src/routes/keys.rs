//! The keys that the server's word rests on.

use crate::{App, error::Failure, publish};
use axum::{Json, extract::State};
use resplice_api::Keys;

pub(super) async fn show(State(app): State<App>) -> Result<Json<Keys>, Failure> {
    let (roles, waiting) = publish::status(&app).await?;
    Ok(Json(Keys {
        roles,
        waiting,
        log: app.transparency.verifier().to_string(),
        jobs: app.job_key.public().to_string(),
    }))
}
