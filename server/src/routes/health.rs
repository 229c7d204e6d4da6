//! How the server is: for what restarts it, what sends it requests, and what
//! draws curves.

use crate::{App, db, error::Failure, metrics};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use std::time::Duration;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// 200 if requests may be sent here, else 503 with the reason.
pub(super) async fn ready(State(app): State<App>) -> Response {
    match unready(&app).await {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// Whoever asks may be anybody: the log has the rest.
async fn unready(app: &App) -> Option<&'static str> {
    if app.shutdown.is_cancelled() {
        return Some("the server stops");
    }
    let counts = tokio::time::timeout(PATIENCE, db::metrics::is_there(&app.db)).await;
    match counts {
        Err(_) => return Some("the database does not answer"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            return Some("the database fails");
        }
        Ok(Ok(())) => {}
    }
    let sound = app.transparency.is_sound();
    (!sound).then_some("the transparency log is not as it was signed")
}

pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Failure> {
    let gauges = db::metrics::gauges(&app.db).await?;
    let text = app.metrics.text(&gauges);
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
