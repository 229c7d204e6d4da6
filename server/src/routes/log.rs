//! The audit log, and the transparency log over it.

use super::body::page_limit;
use crate::{
    App,
    db::{self, log, log_tiles},
    error::Failure,
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use resplice_api::{AuditEntries, ConsistencyProof, ReleaseProof, UpdateId};
use resplice_tlog::{Hash, tile, tree};
use serde::Deserialize;

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
/// Full tiles and bundles never change.
const FOREVER: &str = "private, immutable, max-age=31536000";

/// Query of `GET /audit`.
#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u64>,
    before: Option<String>,
    q: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    failed: Option<bool>,
}

pub(super) async fn audit(
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Json<AuditEntries>, Failure> {
    let limit = page_limit(page.limit)?;
    let filter = log::Filter {
        text: page.q,
        actor: page.actor,
        action: page.action,
        failed: page.failed.unwrap_or_default(),
    };
    let mut entries = log::audit(&app.db, &filter, limit + 1, page.before.as_deref()).await?;
    let more = entries.len() as u64 > limit;
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = entries.last().filter(|_| more);
    let next = last.map(|entry| entry.id.clone());
    Ok(Json(AuditEntries { entries, next }))
}

pub(super) async fn key(State(app): State<App>) -> Response {
    let key = format!("{}\n", app.transparency.verifier());
    ([(header::CONTENT_TYPE, TEXT)], key).into_response()
}

pub(super) async fn checkpoint(State(app): State<App>) -> Result<Response, Failure> {
    let head = app.transparency.follow(&app.db).await?;
    let headers = [
        (header::CONTENT_TYPE, TEXT),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, head.checkpoint).into_response())
}

pub(super) async fn tile(
    State(app): State<App>,
    Path((level, number)): Path<(u32, String)>,
) -> Result<Response, Failure> {
    let missing = || Failure::not_found("tile", format!("{level}/{number}"));
    let (index, width) = tile::parse_number(&number).ok_or_else(missing)?;
    let place = tile::Place { level, index };
    let tiles = log_tiles::find(&app.db, &[place].into()).await?;
    let width = width.unwrap_or(tile::WIDTH);
    let wanted = usize::try_from(width).unwrap_or(usize::MAX);
    let hashes = tiles.get(place).and_then(|tile| tile.get(..wanted));
    let bytes = hashes.ok_or_else(missing)?.as_flattened().to_vec();
    Ok(immutable(bytes))
}

pub(super) async fn entries(
    State(app): State<App>,
    Path(number): Path<String>,
) -> Result<Response, Failure> {
    let missing = || Failure::not_found("bundle of entries", &number);
    let (index, width) = tile::parse_number(&number).ok_or_else(missing)?;
    let width = width.unwrap_or(tile::WIDTH);
    let first = index.checked_mul(tile::WIDTH).ok_or_else(missing)?;
    let found = log::entries(&app.db, first, width).await?;
    if found.len() as u64 != width {
        return Err(missing());
    }
    let bundle = tile::bundle(found.iter().map(|(_, entry)| entry.as_bytes()));
    Ok(immutable(bundle.ok_or_else(missing)?))
}

fn immutable(bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, BYTES),
        (header::CACHE_CONTROL, FOREVER),
    ];
    (headers, bytes).into_response()
}

fn encode(proof: &[Hash]) -> Vec<String> {
    proof
        .iter()
        .map(|hash| BASE64_STANDARD.encode(hash))
        .collect()
}

/// Query of `GET /log/consistency`.
#[derive(Deserialize)]
pub(super) struct Since {
    size: u64,
}

pub(super) async fn consistency(
    State(app): State<App>,
    Query(since): Query<Since>,
) -> Result<Json<ConsistencyProof>, Failure> {
    let head = app.transparency.follow(&app.db).await?;
    let size = since.size;
    if size == 0 || size > head.size {
        return Err(Failure::invalid(format!(
            "the size must be 1 to {}, which the log has now",
            head.size
        )));
    }
    let tiles = log_tiles::find(&app.db, &tile::needed(&[size - 1], head.size)).await?;
    let proof = tree::consistency_proof(&tiles, size, head.size);
    Ok(Json(ConsistencyProof {
        proof: encode(&proof.map_err(Failure::internal("prove consistency"))?),
        checkpoint: head.checkpoint,
    }))
}

/// Query of `GET /updates/{id}/proof`.
#[derive(Deserialize)]
pub(super) struct Seen {
    since: Option<u64>,
}

pub(super) async fn release_proof(
    State(app): State<App>,
    Path(id): Path<UpdateId>,
    Query(seen): Query<Seen>,
) -> Result<Json<ReleaseProof>, Failure> {
    let update = db::updates::find_row(&app.db, id).await?;
    let update = update.map(db::updates::UpdateRow::read).transpose()?;
    if update.is_none_or(|update| update.released.is_none()) {
        return Err(Failure::not_found("released update", id));
    }
    let head = app.transparency.follow(&app.db).await?;
    let index = log::of_release(&app.db, id).await?;
    let index = index.ok_or_else(|| Failure::not_found("logged release of update", id))?;
    let entry = log::entries(&app.db, index, 1).await?.pop();
    let (_, entry) = entry.ok_or_else(|| Failure::not_found("entry", index))?;
    let since = seen.since.filter(|size| (1..=head.size).contains(size));
    let mut ways = vec![index];
    ways.extend(since.map(|size| size - 1));
    let tiles = log_tiles::find(&app.db, &tile::needed(&ways, head.size)).await?;
    let consistency = match since {
        Some(size) => tree::consistency_proof(&tiles, size, head.size)
            .map_err(Failure::internal("prove consistency"))?,
        None => Vec::new(),
    };
    let proof = tree::inclusion_proof(&tiles, index, head.size);
    Ok(Json(ReleaseProof {
        entry,
        index,
        proof: encode(&proof.map_err(Failure::internal("prove inclusion"))?),
        consistency: encode(&consistency),
        checkpoint: head.checkpoint,
    }))
}
