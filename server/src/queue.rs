//! Takes jobs back from workers that were not heard of for a lease.

use crate::{App, db, error::Failure};
use resplice_api::JobStatus;
use std::time::Duration;

/// Takes back every job whose lease has run out.
///
/// # Errors
/// The database's.
pub async fn sweep(app: &App) -> Result<(), Failure> {
    for job in db::leases::expire(&app.db, app.config.max_losses, app.config.pause).await? {
        let again = job.status == JobStatus::Queued;
        tracing::warn!(job = %job.id, attempt = job.attempt, worker = job.worker, again, "lease ran out");
        app.logs.tell(&app.db, job.id).await;
    }
    Ok(())
}

/// Sweeps until the server stops.
pub async fn run(app: App) {
    let pause = (app.config.lease / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if let Err(error) = sweep(&app).await {
            tracing::error!(%error, "can't take lost jobs back");
        }
    }
}
