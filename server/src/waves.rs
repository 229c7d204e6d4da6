//! Looks after the health gates of rollouts.

use crate::{App, db::rollouts};
use std::time::Duration;

/// How often it looks for hosts that have fallen silent. Reports are looked at as
/// they come.
const PAUSE: Duration = Duration::from_secs(10);

/// Pauses rollouts that must stop. What goes wrong is logged, and tried again later.
pub async fn watch(app: &App) {
    match rollouts::watch(&app.db).await {
        Ok(paused) => {
            for (update, reason) in paused {
                tracing::warn!(%update, reason, "a rollout was paused by its gate");
            }
        }
        Err(error) => tracing::error!(%error, "can't watch the rollouts"),
    }
}

/// Watches until the server stops.
pub async fn run(app: App) {
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => watch(&app).await,
        }
    }
}
