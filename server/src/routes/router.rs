//! The router: what stands around the table of operations, and the addresses beside it.

use super::{etag, feeds, guard, health, operations, repository, text};
use crate::{App, web};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware,
    response::Response,
    routing::get,
};
use resplice_api::{BASE_PATH, limits};
use std::time::Duration;
use tower_http::{limit::RequestBodyLimitLayer, timeout::TimeoutLayer, trace::TraceLayer};

/// Longest that a request may take until its answer begins.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// The whole service.
pub fn router(app: App) -> Router {
    let mut api = Router::new();
    for operation in operations() {
        let rule = guard::Rule {
            access: operation.access,
            audit: operation.audit,
            once: operation.once(),
            body_bytes: operation.body_bytes,
        };
        let guarded = operation
            .handler
            .layer(DefaultBodyLimit::max(operation.body_bytes))
            .route_layer(middleware::from_fn_with_state(
                (app.clone(), rule),
                guard::guard,
            ));
        api = api.route(operation.path, guarded);
    }
    let api = api
        .fallback(text::no_such_operation)
        .layer(middleware::from_fn(etag::name))
        .layer(middleware::from_fn(text::problems_only));
    Router::new()
        .nest(BASE_PATH, api)
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/repo/metadata/{file}", get(repository::metadata))
        .route("/repo/targets/{file}", get(repository::target))
        // Nothing below there is a page of the web interface.
        .route("/repo/{*path}", get(repository::no_such_file))
        .merge(feeds::router(&app))
        .fallback(web::asset)
        .layer(middleware::from_fn(text::no_nul))
        .layer(RequestBodyLimitLayer::new(limits::MAX_PACKAGE_BYTES))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            REQUEST_TIMEOUT,
        ))
        .layer(middleware::map_response(security_headers))
        .layer(TraceLayer::new_for_http())
        .with_state(app)
}

async fn security_headers(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 3] = [
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    let headers = response.headers_mut();
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    }
    response
}
