//! Webhooks: what a vendor's server is told about updates, in the form of Standard
//! Webhooks 1.0.

use crate::{Channel, UpdateId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WebhookEvent {
    /// An update was released.
    #[serde(rename = "update.released")]
    Released,
    /// An update got to another channel.
    #[serde(rename = "update.promoted")]
    Promoted,
    /// An update was taken back.
    #[serde(rename = "update.revoked")]
    Revoked,
}

impl WebhookEvent {
    /// Every event.
    pub const ALL: [Self; 3] = [Self::Released, Self::Promoted, Self::Revoked];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "update.released",
            Self::Promoted => "update.promoted",
            Self::Revoked => "update.revoked",
        }
    }
}

impl fmt::Display for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no event: update.released, update.promoted or update.revoked")]
pub struct UnknownEvent(String);

impl FromStr for WebhookEvent {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|event| event.as_str() == text)
            .ok_or_else(|| UnknownEvent(text.to_owned()))
    }
}

/// Body of `POST /webhooks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where it is told: `https://…`, at most 2,000 bytes.
    pub url: String,
    /// What is told; everything, if it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<WebhookEvent>,
    /// Only what concerns this channel or those further on; `edge` concerns all.
    #[serde(default = "edge")]
    pub channel: Channel,
}

fn edge() -> Channel {
    Channel::Edge
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where it is told.
    pub url: String,
    /// What is told.
    pub events: Vec<WebhookEvent>,
    /// Only what concerns this channel or those further on.
    pub channel: Channel,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when the secrets before the last rotation sign as well.
    pub old_secrets_until: Option<Timestamp>,
    /// That nothing is sent there any more.
    pub disabled: Option<Disabled>,
}

/// That nothing is sent to a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Answer of `POST /webhooks` and of `POST /webhooks/{id}/rotate`: the secrets are
/// shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookSecrets {
    /// The subscription.
    pub webhook: Webhook,
    /// Checks signatures `v1` (HMAC-SHA256): `whsec_…`. A secret.
    pub secret: String,
    /// Checks signatures `v1a` (ed25519): `whpk_…`.
    pub public_key: String,
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSecrets({}, hidden)", self.webhook.id)
    }
}

/// Answer of `GET /webhooks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Webhooks {
    /// Those of the caller, oldest first.
    pub webhooks: Vec<Webhook>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits for its next attempt, or is under way.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for DeliveryState {
    type Err = UnknownDeliveryState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Waiting, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownDeliveryState(text.to_owned()))
    }
}

/// A word that is no state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a delivery")]
pub struct UnknownDeliveryState(String);

/// An event on its way to a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// Its id, which is the header `webhook-id` of every attempt.
    pub id: String,
    /// What it tells.
    pub event: WebhookEvent,
    /// About which update.
    pub update_id: UpdateId,
    /// When that happened.
    pub created_at: Timestamp,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, if it waits.
    pub next_at: Option<Timestamp>,
    /// The status of the last answer.
    pub last_status: Option<u16>,
    /// What went wrong at last.
    pub last_error: Option<String>,
}

/// Answer of `GET /webhooks/{id}/deliveries`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deliveries {
    /// The latest ones, newest first.
    pub deliveries: Vec<Delivery>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_event_has_one_word_in_json_and_text() {
        for event in WebhookEvent::ALL {
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(json, format!("\"{event}\""));
            assert_eq!(event.as_str().parse::<WebhookEvent>().unwrap(), event);
        }
        assert!("update.made".parse::<WebhookEvent>().is_err());
    }
}
