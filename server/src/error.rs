//! Why a request fails, and how that looks on the wire.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use resplice_api::{PROBLEM_JSON, Problem};
use std::time::Duration;

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The caller's fault; said to the caller in full.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// Too often; said to the caller with how long to wait.
    #[error("{}", .problem.detail)]
    TooMany {
        /// What is said.
        problem: Box<Problem>,
        /// How long to wait.
        pause: Duration,
    },
    /// The server's fault; the log has the cause, the caller hears what failed.
    #[error("can't {operation}: {cause}")]
    Internal {
        /// What was being done.
        operation: &'static str,
        /// What went wrong.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Failure {
    fn problem(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Self {
        let problem = Problem::new(status.as_u16(), code, title, detail.into());
        Self::Problem(Box::new(problem))
    }

    /// 401: no token, or one that is not known.
    #[must_use]
    pub fn unauthenticated(detail: &str) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        Self::problem(status, "unauthenticated", "Not authenticated", detail)
    }

    /// 403: the token may not do this.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::problem(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 403: the password has to be changed first.
    #[must_use]
    pub fn password_change_required() -> Self {
        let detail = "change the password first: PUT /account/password";
        let (status, title) = (StatusCode::FORBIDDEN, "Password change required");
        Self::problem(status, "password-change-required", title, detail)
    }

    /// 404: there is no such `what`.
    #[must_use]
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        let detail = format!("there is no {what} {id}");
        Self::problem(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 409: not in this state.
    #[must_use]
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        let status = StatusCode::CONFLICT;
        Self::problem(status, code, "Conflicts with the present state", detail)
    }

    /// 409: the attempt does not hold the job any more.
    #[must_use]
    pub fn stale_attempt(attempt: u32) -> Self {
        let detail =
            format!("attempt {attempt} does not hold this job any more; stop working on it");
        Self::conflict("stale-attempt", detail)
    }

    /// 409: bytes were sent for `offset`, but the log ends at `expected`.
    #[must_use]
    pub fn wrong_offset(offset: u64, expected: u64) -> Self {
        let detail = format!("the log ends at byte {expected}, these are for byte {offset}");
        let status = StatusCode::CONFLICT.as_u16();
        let mut problem = Problem::new(status, "wrong-offset", "Wrong offset", detail);
        problem.expected_offset = Some(expected);
        Self::Problem(Box::new(problem))
    }

    /// 413: more than the server takes.
    #[must_use]
    pub fn too_large(detail: impl Into<String>) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::problem(status, "too-large", "Too large", detail)
    }

    /// 429: too often.
    #[must_use]
    pub fn too_many(pause: Duration, detail: impl Into<String>) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS.as_u16();
        let problem = Problem::new(status, "too-many", "Too many requests", detail.into());
        Self::TooMany {
            problem: Box::new(problem),
            pause,
        }
    }

    /// 422: understood, and wrong.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::problem(status, "invalid", "Not valid", detail)
    }

    /// 422: the idempotency key was named with another request.
    #[must_use]
    pub fn reused_key() -> Self {
        let detail = "this idempotency key was named with another request; take a new one";
        let (status, code) = (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");
        Self::problem(status, code, "Key used before", detail)
    }

    /// 422 for a patch, with its line.
    #[must_use]
    pub fn bad_patch(error: &crate::patch::PatchError) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY.as_u16();
        let mut problem = Problem::new(status, "bad-patch", "Patch refused", error.to_string());
        problem.line = Some(error.line);
        Self::Problem(Box::new(problem))
    }

    /// 500, made to fit `map_err`.
    pub fn internal<E>(operation: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |error| Self::Internal {
            operation,
            cause: error.into(),
        }
    }
}

impl From<crate::db::Error> for Failure {
    fn from(error: crate::db::Error) -> Self {
        Self::Internal {
            operation: error.operation,
            cause: error.cause.into(),
        }
    }
}

/// Of a query that several have waited for.
impl From<std::sync::Arc<crate::db::Error>> for Failure {
    fn from(error: std::sync::Arc<crate::db::Error>) -> Self {
        Self::Internal {
            operation: error.operation,
            cause: error.cause.to_string().into(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem_response(&problem),
            Self::TooMany { problem, pause } => {
                let seconds = pause.as_secs_f64().ceil().max(1.0) as u64;
                let retry = [(header::RETRY_AFTER, seconds.to_string())];
                (retry, problem_response(&problem)).into_response()
            }
            Self::Internal { operation, cause } => {
                tracing::error!(operation, %cause, "request failed");
                let detail = format!("the server can't {operation}; its log says why");
                let status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
                problem_response(&Problem::new(status, "internal", "Server error", detail))
            }
        }
    }
}

/// A problem as a response.
pub fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
}
