//! Packages, whole or in part.

use crate::{
    App,
    auth::Caller,
    db::plans,
    error::Failure,
    store::{self, Store},
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Sends a package's bytes. A host gets those of released updates for its own
/// target; for it there are no others.
pub(super) async fn download(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    may_have(&app, &caller, &sha256).await?;
    let cache = "private, immutable, max-age=31536000";
    send(&app.store, &sha256, cache, &headers).await
}

/// Makes sure that there is such a package for the caller.
pub(super) async fn may_have(app: &App, caller: &Caller, sha256: &str) -> Result<(), Failure> {
    let allowed = match &caller.host {
        Some(of) => plans::host_may_have(&app.db, of.host.id, sha256).await?,
        None => plans::has_package(&app.db, sha256).await?,
    };
    if allowed {
        return Ok(());
    }
    Err(Failure::not_found("package", sha256))
}

/// Sends a file of the store, or the part of it that was asked for.
pub(super) async fn send(
    store: &Store,
    sha256: &str,
    cache: &'static str,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let failed = || Failure::internal("read a package");
    let size = store.size(sha256).await.map_err(failed())?;
    let etag = format!("\"{sha256}\"");
    let common = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, etag.clone()),
    ];
    let range = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let same = headers
        .get(header::IF_RANGE)
        .is_none_or(|value| value == etag.as_str());
    let (status, start, end) = match range.filter(|_| same).map(|text| parse(text, size)) {
        None | Some(Range::Ignored) => (StatusCode::OK, 0, size),
        Some(Range::Part { start, end }) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(Range::Unsatisfiable) => {
            let total = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, total).into_response());
        }
    };
    let part = store.part(sha256, start..end).await.map_err(failed())?;
    let body = Body::from_stream(store::stream(part));
    let length = [(header::CONTENT_LENGTH, (end - start).to_string())];
    let mut response = (status, common, length, body).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {start}-{}/{size}", end - 1);
        let value = text.parse().map_err(Failure::internal("name a range"))?;
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From `start` up to and without `end`; not empty.
    Part { start: u64, end: u64 },
    /// Nothing of the file.
    Unsatisfiable,
    /// Not one range of bytes: RFC 9110 lets a server send all.
    Ignored,
}

/// Reads a Range header (RFC 9110, section 14.2) with a single range.
fn parse(text: &str, size: u64) -> Range {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return Range::Ignored;
    };
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok())?
    };
    let part = match (number(first), number(last), first, last) {
        (Some(start), Some(last), _, _) if start <= last => {
            (start, size.min(last.saturating_add(1)))
        }
        (Some(start), None, _, "") => (start, size),
        (None, Some(count), "", _) => (size.saturating_sub(count), size),
        _ => return Range::Ignored,
    };
    match part {
        (start, end) if start < end => Range::Part { start, end },
        _ => Range::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_standard_says() {
        let part = |start, end| Range::Part { start, end };
        for (text, range) in [
            ("bytes=0-", part(0, 10)),
            ("bytes=3-", part(3, 10)),
            ("bytes=3-5", part(3, 6)),
            ("bytes=3-99", part(3, 10)),
            ("bytes=-4", part(6, 10)),
            ("bytes=-40", part(0, 10)),
            ("bytes=10-", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=5-3", Range::Ignored),
            ("bytes=-", Range::Ignored),
            ("bytes=0-1,4-5", Range::Ignored),
            ("bytes=+1-2", Range::Ignored),
            ("lines=1-2", Range::Ignored),
        ] {
            assert_eq!(parse(text, 10), range, "{text}");
        }
    }
}
