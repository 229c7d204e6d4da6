//! Where packages come from.

use super::{
    attempts::{held, worker_key},
    packages::may_have,
};
use crate::{
    App,
    auth::Caller,
    db::{self, plans},
    error::Failure,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use resplice_api::{Job, JobId, PackageInfo};
use resplice_package::{Package, Provenance};

/// The media type of a signed envelope (DSSE).
pub(super) const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

pub(super) async fn store(
    State(app): State<App>,
    Path((id, attempt)): Path<(JobId, u32)>,
    body: Bytes,
) -> Result<Json<PackageInfo>, Failure> {
    let job = held(&app, id, attempt).await?;
    let Some(mut package) = job.package.clone() else {
        return Err(Failure::conflict(
            "no-package",
            "a provenance is about the package that the attempt has stored; store that first",
        ));
    };
    if let Err(reason) = verify(&app, &job, package.sha256.clone(), body.clone()).await? {
        tracing::warn!(job = %id, attempt, reason, "provenance refused");
        db::results::fail(&app.db, &job, attempt, &reason).await?;
        app.logs.tell(&app.db, id).await;
        return Err(Failure::invalid(reason));
    }
    let name = app.put("keep a provenance", body).await?;
    if !db::results::set_provenance(&app.db, id, attempt, &package.sha256, &name).await? {
        return Err(Failure::stale_attempt(attempt));
    }
    package.provenance = Some(name);
    Ok(Json(package))
}

/// Holds a provenance against the package that is here, and against the key of
/// the worker that has the job. The inner error is what is wrong with it.
async fn verify(
    app: &App,
    job: &Job,
    package: String,
    bytes: Bytes,
) -> Result<Result<(), String>, Failure> {
    let key = match worker_key(app, job).await? {
        Ok(key) => key,
        Err(reason) => return Ok(Err(reason)),
    };
    let package = app.read("read a package", &package).await?;
    let checked = tokio::task::spawn_blocking(move || {
        let package = Package::open(&package, &[key])?;
        Provenance::open(&bytes, &[key])?.vouches_for(&package)
    });
    let checked: Result<(), resplice_package::Error> = checked
        .await
        .map_err(Failure::internal("verify a provenance"))?;
    Ok(checked.map_err(|error| error.to_string()))
}

/// Sends the provenance of a package to whoever may have that package.
pub(super) async fn find(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(sha256): Path<String>,
) -> Result<Response, Failure> {
    may_have(&app, &caller, &sha256).await?;
    let name = plans::provenance(&app.db, &sha256).await?;
    let name = name.ok_or_else(|| Failure::not_found("provenance of the package", &sha256))?;
    let bytes = app.read("read a provenance", &name).await?;
    Ok(([(header::CONTENT_TYPE, ENVELOPE)], bytes).into_response())
}
