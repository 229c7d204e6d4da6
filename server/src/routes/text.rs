//! Makes every error of the API a problem, whoever made it.

use crate::error::{Failure, problem_response};
use axum::{
    body::to_bytes,
    extract::{OriginalUri, Request},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use resplice_api::{PROBLEM_JSON, Problem};

const MAX_TEXT_BYTES: usize = 16 << 10;

pub(super) async fn no_such_operation(method: Method, OriginalUri(uri): OriginalUri) -> Failure {
    Failure::not_found("operation", format!("{method} {}", uri.path()))
}

/// Refuses what no name, word or id has, and PostgreSQL can't compare with one.
pub(super) async fn no_nul(request: Request, next: Next) -> Result<Response, Failure> {
    let uri = request.uri();
    let has_nul = |text: &str| text.contains("%00");
    if has_nul(uri.path()) || uri.query().is_some_and(has_nul) {
        return Err(Failure::invalid("the address has a NUL in it (%00)"));
    }
    Ok(next.run(request).await)
}

/// Turns errors that axum and its layers wrote as text into problems.
pub(super) async fn problems_only(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || content_type.is_some_and(|value| value == PROBLEM_JSON) {
        return response;
    }
    let body = to_bytes(response.into_body(), MAX_TEXT_BYTES).await;
    let text = String::from_utf8_lossy(&body.unwrap_or_default())
        .trim()
        .to_owned();
    let title = status.canonical_reason().unwrap_or("Error");
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "too-large",
        StatusCode::METHOD_NOT_ALLOWED => "method-not-allowed",
        _ => "bad-request",
    };
    let detail = if text.is_empty() {
        title.to_owned()
    } else {
        text
    };
    problem_response(&Problem::new(status.as_u16(), code, title, detail))
}
