//! Requests that may be sent twice and are carried out once: whoever names an
//! `Idempotency-Key` gets the answer of the first one, for a day. Keys are the
//! caller's own. What was refused is not remembered; what failed in the server, or
//! died with it, is never tried a second time under the same key.

use crate::{
    App,
    auth::Caller,
    db::idempotency::{self, Answer, Key, Known},
    error::Failure,
    store::sha256_hex,
};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use resplice_api::{IDEMPOTENCY_HEADER, limits};
use std::time::Duration;

/// Most bytes of an answer that is kept.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Says that an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Operations whose answers hold a secret, which is shown once and never kept.
const SECRETS: &[&str] = &[
    "/hosts/enrol",
    "/tokens",
    "/users",
    "/users/{name}/password",
    "/webhooks",
    "/webhooks/{id}/rotate",
];

/// Whether an operation's answer may be kept.
pub(super) fn may_keep(path: &str) -> bool {
    !SECRETS.contains(&path)
}

/// The key of a request, if it names one.
pub(super) fn key(request: &Request) -> Result<Option<String>, Failure> {
    let Some(value) = request.headers().get(IDEMPOTENCY_HEADER) else {
        return Ok(None);
    };
    let good = (1..=limits::MAX_KEY_BYTES).contains(&value.len())
        && value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(text) if good => Ok(Some(text.to_owned())),
        _ => Err(Failure::invalid(format!(
            "an {IDEMPOTENCY_HEADER} must be 1 to {} printable characters of ASCII",
            limits::MAX_KEY_BYTES
        ))),
    }
}

/// Carries a request out, unless that was done before.
pub(super) async fn once(
    app: &App,
    caller: &Caller,
    name: &str,
    (body_bytes, keeps): (usize, bool),
    request: Request,
    run: impl AsyncFnOnce(Request) -> Result<Response, Failure>,
) -> Result<Response, Failure> {
    let host = caller.host.as_ref().map(|of| of.host.id.to_string());
    let key = Key {
        owner: host.as_deref().unwrap_or(&caller.name),
        name,
    };
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, body_bytes)
        .await
        .map_err(|_| Failure::too_large(format!("the body has more than {body_bytes} bytes")))?;
    let mut told = format!("{} {}\n", parts.method, parts.uri).into_bytes();
    told.extend_from_slice(&bytes);
    match idempotency::begin(&app.db, key, &sha256_hex(&told)).await? {
        Known::New => {}
        Known::Other => return Err(Failure::reused_key()),
        Known::Unfinished => {
            return Err(Failure::conflict(
                "idempotency-unfinished",
                "the first request with this key has not ended, or its server died: look whether it was carried out",
            ));
        }
        Known::Answered(answer) => return again(answer),
        Known::TooMany => {
            let pause = Duration::from_secs(3600);
            return Err(Failure::too_many(
                pause,
                "too many idempotency keys in a day",
            ));
        }
    }
    let response = run(Request::from_parts(parts, Body::from(bytes))).await?;
    if response.status().is_server_error() {
        return Ok(response);
    }
    if !response.status().is_success() {
        idempotency::forget(&app.db, key).await?;
        return Ok(response);
    }
    keep(app, key, keeps, response).await
}

/// Keeps an answer while it is handed on.
async fn keep(
    app: &App,
    key: Key<'_>,
    keeps: bool,
    response: Response,
) -> Result<Response, Failure> {
    let (parts, body) = response.into_parts();
    let read = to_bytes(body, MAX_ANSWER_BYTES).await;
    let bytes = read.map_err(Failure::internal("keep an answer"))?;
    let text = |name| {
        let value: &HeaderValue = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let answer = Answer {
        status: parts.status.as_u16(),
        content_type: text(header::CONTENT_TYPE),
        location: text(header::LOCATION),
        body: keeps.then(|| bytes.to_vec()),
    };
    idempotency::end(&app.db, key, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// The answer of an earlier request.
fn again(answer: Answer) -> Result<Response, Failure> {
    let Some(body) = answer.body else {
        let made = answer.location.unwrap_or_default();
        return Err(Failure::conflict(
            "idempotency-secret",
            format!("that was done before, and the secret in its answer is not kept {made}"),
        ));
    };
    const OPERATION: &str = "give an answer again";
    let status = StatusCode::from_u16(answer.status).map_err(Failure::internal(OPERATION))?;
    let mut response = Response::builder()
        .status(status)
        .header(REPLAYED, HeaderValue::from_static("true"));
    let headers = [
        (header::CONTENT_TYPE, answer.content_type),
        (header::LOCATION, answer.location),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            response = response.header(name, value);
        }
    }
    response
        .body(Body::from(body))
        .map_err(Failure::internal(OPERATION))
}
