//! Keeps the repository in line with what is released, and renews what expires.

use crate::{
    App, db,
    error::Failure,
    repository::{RepositoryError, Synced},
};
use jiff::{SignedDuration, Timestamp};
use resplice_api::RoleKeys;
use std::time::Duration;

/// How often it looks whether something must be signed anew, or has been signed
/// elsewhere.
const PAUSE: Duration = Duration::from_secs(10);
/// From when on the log asks for a new root.
const ROOT_WARNING: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Publishes what is released. What goes wrong is logged, and tried again later;
/// what was public stays public.
pub async fn now(app: &App) {
    match sync(app).await {
        Ok(Synced::Published) => tracing::info!("the repository was signed"),
        Ok(Synced::Waiting) => {
            tracing::warn!("releases wait for `resplice-server keys sign` with the targets key");
        }
        Ok(Synced::Unchanged) => {}
        Err(error) => tracing::error!(%error, "can't publish what is released"),
    }
}

/// Publishes until the server stops.
pub async fn run(app: App) {
    let mut waiting = false;
    let mut warned = false;
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        match sync(&app).await {
            Ok(Synced::Published) => {
                waiting = false;
                tracing::info!("the repository was signed");
            }
            Ok(Synced::Waiting) if !waiting => {
                waiting = true;
                tracing::warn!(
                    "releases wait for `resplice-server keys sign` with the targets key"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "can't publish what is released"),
        }
        if !warned && let Ok(expires) = root_expiry(&app).await {
            warned = expires.duration_since(Timestamp::now()) < ROOT_WARNING;
            if warned {
                tracing::warn!(%expires, "the root expires: renew it with `resplice-server keys sign --root`");
            }
        }
    }
}

/// The newest root, for a host that enrols.
///
/// # Errors
/// The repository's.
pub async fn root(app: &App) -> Result<String, Failure> {
    const OPERATION: &str = "read the root";
    let bytes = blocking(app, OPERATION, |repository| repository.root()).await?;
    String::from_utf8(bytes).map_err(Failure::internal(OPERATION))
}

/// The roles of the repository with their keys and expiries, and whether releases
/// wait for a signature.
///
/// # Errors
/// The repository's.
pub async fn status(app: &App) -> Result<(Vec<RoleKeys>, bool), Failure> {
    blocking(app, "look at the keys", |repository| repository.status()).await
}

async fn root_expiry(app: &App) -> Result<Timestamp, Failure> {
    let file = blocking(app, "read the root", |repository| repository.root_file()).await?;
    Ok(file.signed.expires)
}

async fn sync(app: &App) -> Result<Synced, Failure> {
    let wanted = db::plans::released(&app.db).await?;
    blocking(app, "sign the repository", move |repository| {
        repository.sync(&wanted, Timestamp::now())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    app: &App,
    operation: &'static str,
    call: impl FnOnce(&crate::repository::Repository) -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, Failure> {
    let repository = app.repository.clone();
    tokio::task::spawn_blocking(move || call(&repository))
        .await
        .map_err(Failure::internal(operation))?
        .map_err(Failure::internal(operation))
}
