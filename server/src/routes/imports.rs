//! Kernels that are fetched in the background.

use super::body::json;
use crate::{App, archive::SERIES, auth::Caller, catalogue, db::imports, error::Failure};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use resplice_api::{Imports, NewImport};
use resplice_target::{Flavour, TargetId};

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Failure> {
    let new: NewImport = json(&body)?;
    let parsed = new.target.parse().ok();
    let of_an_archive = parsed.filter(|id: &TargetId| id.flavour() != Flavour::Own);
    let target = of_an_archive.ok_or_else(|| {
        Failure::invalid(format!(
            "{:?} is no kernel target: name one as debian:6.1.0-50-cloud-amd64",
            new.target
        ))
    })?;
    if !SERIES.contains(&target.series()) {
        return Err(Failure::invalid(format!(
            "updates are made for kernels of the series {}, and {target} is of {}",
            SERIES.join(" and "),
            target.series()
        )));
    }
    let target = target.to_string();
    if catalogue::list(&app)
        .await?
        .iter()
        .any(|known| known.id == target)
    {
        return Err(Failure::conflict(
            "imported",
            format!("the target {target} is here already"),
        ));
    }
    let Some(import) = imports::create(&app.db, &target, &caller.name).await? else {
        return Err(Failure::conflict(
            "importing",
            format!("the target {target} is being imported already"),
        ));
    };
    tracing::info!(target, by = caller.name, "an import was asked for");
    Ok((StatusCode::CREATED, Json(import)).into_response())
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<Imports>, Failure> {
    let imports = imports::list(&app.db).await?;
    Ok(Json(Imports { imports }))
}
