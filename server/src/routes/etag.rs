//! Answers that are named by their digest: whoever has one is told so instead of
//! getting it again (RFC 9110, sections 8.8.3 and 13.1.2).

use crate::store::sha256_hex;
use axum::{
    body::{Body, HttpBody, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Most bytes of an answer that gets a name.
const MAX_BYTES: usize = 4 << 20;

/// Names JSON that was read, unless it has a name.
pub(super) async fn name(request: Request, next: Next) -> Response {
    let reads = request.method() == Method::GET;
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if !reads || !is_nameable(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Its size is known and bounded: this reads all of it.
    let Ok(bytes) = to_bytes(body, MAX_BYTES).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let etag = format!("\"{}\"", sha256_hex(&bytes));
    let unchanged = known.is_some_and(|known| matches(&known, &etag));
    set(&mut parts.headers, &etag);
    if unchanged {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn is_nameable(response: &Response) -> bool {
    let headers = response.headers();
    let json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes() == b"application/json");
    let small = response.body().size_hint().upper();
    response.status() == StatusCode::OK
        && json
        && small.is_some_and(|bytes| bytes <= MAX_BYTES as u64)
        && !headers.contains_key(header::ETAG)
}

fn set(headers: &mut HeaderMap, etag: &str) {
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, value);
    }
    // It is the caller's own, and may be another one next time.
    let cache = HeaderValue::from_static("private, no-cache");
    headers.entry(header::CACHE_CONTROL).or_insert(cache);
}

/// Whether `If-None-Match` names this one; weakly, as the header is compared.
fn matches(known: &HeaderValue, etag: &str) -> bool {
    let Ok(known) = known.to_str() else {
        return false;
    };
    let plain = |name: &str| name.trim().trim_start_matches("W/") == etag;
    known.trim() == "*" || known.split(',').any(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_searched() {
        let all = |text: &'static str| matches(&HeaderValue::from_static(text), "\"a\"");
        for text in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*", " \"a\" "] {
            assert!(all(text), "{text}");
        }
        for text in ["\"b\"", "a", "", "\"a", "\"b\",\"c\""] {
            assert!(!all(text), "{text}");
        }
    }
}
