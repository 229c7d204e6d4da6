//! What a vendor does.

use super::{Client, Error, send, send_json};
use crate::{Deliveries, Delivery, NewWebhook, Webhook, WebhookSecrets, Webhooks};
use reqwest::Method;

impl Client {
    /// `POST /webhooks`: subscribes; the secrets are shown this once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_webhook(&self, new: &NewWebhook) -> Result<WebhookSecrets, Error> {
        send_json("make a webhook", self.post("/webhooks").json(new)).await
    }

    /// `GET /webhooks`: the caller's subscriptions.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn webhooks(&self) -> Result<Webhooks, Error> {
        send_json("list the webhooks", self.get("/webhooks")).await
    }

    /// `DELETE /webhooks/{id}`: unsubscribes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remove_webhook(&self, id: &str) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("/webhooks/{id}"));
        send("remove the webhook", request).await.map(drop)
    }

    /// `POST /webhooks/{id}/rotate`: gives it new secrets.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn rotate_webhook(&self, id: &str) -> Result<WebhookSecrets, Error> {
        let request = self.post(&format!("/webhooks/{id}/rotate"));
        send_json("rotate the webhook's secrets", request).await
    }

    /// `POST /webhooks/{id}/enable`: lets one that was disabled be told again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn enable_webhook(&self, id: &str) -> Result<Webhook, Error> {
        let request = self.post(&format!("/webhooks/{id}/enable"));
        send_json("enable the webhook", request).await
    }

    /// `GET /webhooks/{id}/deliveries`: its latest deliveries.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn deliveries(&self, id: &str) -> Result<Deliveries, Error> {
        let request = self.get(&format!("/webhooks/{id}/deliveries"));
        send_json("list the deliveries", request).await
    }

    /// `POST /webhooks/{id}/deliveries/{delivery}/redeliver`: sends one again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn redeliver(&self, id: &str, delivery: &str) -> Result<Delivery, Error> {
        let request = self.post(&format!("/webhooks/{id}/deliveries/{delivery}/redeliver"));
        send_json("send the delivery again", request).await
    }
}
