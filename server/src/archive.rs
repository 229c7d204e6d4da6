//! Looks at what kernels the distribution has, so that new ones are noticed.
//!
//! It asks the machine's apt, whose lists are as fresh as the machine's own updates
//! (`apt-get update`) make them. Of several servers, one looks.

use crate::{App, db, error::Failure};
use std::time::Duration;

/// The series that updates can be made for; the archive has backports of others too.
pub(crate) const SERIES: [&str; 2] = ["6.1", "6.12"];

/// How old a look may get.
const FRESH: Duration = Duration::from_secs(3600);
/// How often that is looked up; the first time when a server has settled.
const PAUSE: Duration = Duration::from_secs(60);

/// Looks, and notes what it saw. That the archive can't be read is noted too, and
/// is no failure of the look.
///
/// # Errors
/// The database's.
pub async fn look(app: &App) -> Result<(), Failure> {
    let asked = tokio::task::spawn_blocking({
        let catalogue = std::sync::Arc::clone(&app.catalogue);
        move || catalogue.available()
    });
    match asked
        .await
        .map_err(Failure::internal("look at the archive"))?
    {
        Ok(available) => {
            let found = |kernel: resplice_target::Available| db::archive::Found {
                target: kernel.id.to_string(),
                package_version: kernel.package_version,
                missing: kernel.missing,
            };
            let served = |kernel: &resplice_target::Available| SERIES.contains(&kernel.id.series());
            let found: Vec<_> = available.into_iter().filter(served).map(found).collect();
            for target in db::archive::note(&app.db, &found).await? {
                tracing::info!(target, "the archive has a new kernel");
            }
        }
        Err(error) => {
            tracing::warn!(%error, "can't look at the archive");
            db::archive::note_problem(&app.db, &error.to_string()).await?;
        }
    }
    Ok(())
}

async fn look_if_due(app: &App) -> Result<(), Failure> {
    let fresh = i64::try_from(FRESH.as_micros()).unwrap_or(i64::MAX);
    let looked_at = db::archive::looked_at(&app.db).await?;
    if looked_at.is_some_and(|at| at > db::now().saturating_sub(fresh)) {
        return Ok(());
    }
    look(app).await
}

/// Looks again and again until the server stops.
pub async fn run(app: App) {
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        if let Err(error) = look_if_due(&app).await {
            tracing::error!(%error, "can't look at the archive");
        }
    }
}
