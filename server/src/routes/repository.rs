//! The TUF repository's files. They are public: hosts trust them for their
//! signatures, and any cache may hand them on.

use super::packages::send;
use crate::{App, error::Failure, store::sha256_hex};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::io::ErrorKind;

/// Versioned files never change.
const FOREVER: &str = "public, immutable, max-age=31536000";
/// The timestamp does, and whether there is a next root.
const BRIEFLY: &str = "public, max-age=10";

pub(super) async fn metadata(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Some(path) = app.repository.metadata(&file) else {
        return Ok(missing());
    };
    let bytes = match tokio::fs::read(&path).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(missing()),
        Err(error) => return Err(Failure::internal("read the repository")(error)),
    };
    let cache = if file == "timestamp.json" {
        BRIEFLY
    } else {
        FOREVER
    };
    let etag = format!("\"{}\"", sha256_hex(&bytes));
    let known = headers.get(header::IF_NONE_MATCH);
    let common = [
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, etag.clone()),
    ];
    if known.is_some_and(|value| value == etag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((common, json, bytes).into_response())
}

/// A target's file: its sha256, a dot, and its name.
pub(super) async fn target(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Some((sha256, name)) = file.split_once('.') else {
        return Ok(missing());
    };
    if !app.repository.lists(name, sha256) {
        return Ok(missing());
    }
    send(&app.store, sha256, FOREVER, &headers).await
}

/// Any other path.
pub(super) async fn no_such_file() -> Response {
    missing()
}

fn missing() -> Response {
    let cache = [(header::CACHE_CONTROL, BRIEFLY)];
    (
        StatusCode::NOT_FOUND,
        cache,
        "the repository has no such file\n",
    )
        .into_response()
}
