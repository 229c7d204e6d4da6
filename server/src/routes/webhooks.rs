//! Subscriptions that vendors make, and what became of what they were told.

use super::body::json;
use crate::{
    App,
    auth::Caller,
    db::{deliveries, webhooks},
    error::Failure,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use resplice_api::{
    BASE_PATH, Deliveries, Delivery, NewWebhook, Webhook, WebhookEvent, WebhookSecrets, Webhooks,
};

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Failure> {
    let mut new: NewWebhook = json(&body)?;
    let url = app.sender.policy().url(&new.url);
    let url = url.map_err(|error| Failure::invalid(error.to_string()))?;
    new.url = url.to_string();
    if new.events.is_empty() {
        new.events = WebhookEvent::ALL.to_vec();
    }
    new.events.sort_by_key(|event| event.as_str());
    new.events.dedup();
    let Some(webhook) = webhooks::create(&app.db, &caller.name, &new).await? else {
        let limit = webhooks::MAX_OF_OWNER;
        return Err(Failure::conflict(
            "too-many-webhooks",
            format!("there are {limit} webhooks already, the most that may be; remove one"),
        ));
    };
    tracing::info!(webhook = webhook.id, by = caller.name, "made a webhook");
    let location = format!("{BASE_PATH}/webhooks/{}", webhook.id);
    let location = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, location, secrets(&app, webhook, 0)).into_response())
}

/// The answer that shows secrets; nothing on the way may keep it.
fn secrets(app: &App, webhook: Webhook, rotations: i64) -> Response {
    let secrets = app.webhook_key.secrets(&webhook.id, rotations);
    let answer = WebhookSecrets {
        secret: secrets.shared(),
        public_key: secrets.public(),
        webhook,
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Webhooks>, Failure> {
    let webhooks = webhooks::list(&app.db, &caller.name).await?;
    Ok(Json(Webhooks { webhooks }))
}

/// A subscription of the caller; to others it is not there.
async fn own(app: &App, caller: &Caller, id: &str) -> Result<Webhook, Failure> {
    let found = webhooks::find(&app.db, &caller.name, id).await?;
    found.map(|(webhook, _)| webhook).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Failure {
    Failure::not_found("webhook", id)
}

pub(super) async fn find(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Webhook>, Failure> {
    own(&app, &caller, &id).await.map(Json)
}

pub(super) async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    if !webhooks::remove(&app.db, &caller.name, &id).await? {
        return Err(missing(&id));
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn rotate(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let rotated = webhooks::rotate(&app.db, &caller.name, &id).await?;
    let (webhook, rotations) = rotated.ok_or_else(|| missing(&id))?;
    Ok(secrets(&app, webhook, rotations))
}

pub(super) async fn enable(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Webhook>, Failure> {
    let enabled = webhooks::enable(&app.db, &caller.name, &id).await?;
    enabled.map(Json).ok_or_else(|| missing(&id))
}

pub(super) async fn deliveries(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Deliveries>, Failure> {
    own(&app, &caller, &id).await?;
    let deliveries = deliveries::of_webhook(&app.db, &id).await?;
    Ok(Json(Deliveries { deliveries }))
}

pub(super) async fn redeliver(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Json<Delivery>, Failure> {
    let webhook = own(&app, &caller, &id).await?;
    if webhook.disabled.is_some() {
        return Err(Failure::conflict(
            "disabled",
            "the webhook is disabled; enable it first",
        ));
    }
    let again = deliveries::again(&app.db, &id, &delivery).await?;
    again
        .map(Json)
        .ok_or_else(|| Failure::not_found("delivery of this webhook that has ended", delivery))
}
