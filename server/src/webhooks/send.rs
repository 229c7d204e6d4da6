//! One attempt at a delivery.

use super::{
    Settings,
    address::{Policy, Resolver},
    sign::{self, MasterKey},
};
use crate::db::deliveries::Claim;
use jiff::Timestamp;
use reqwest::{StatusCode, header, redirect};
use std::{sync::Arc, time::Duration};

/// Longest that a connection takes to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest that an attempt takes.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long an attempt is its server's; then another one may try.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// Most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// Sends webhooks.
#[derive(Debug, Clone)]
pub struct Sender {
    policy: Arc<Policy>,
    http: reqwest::Client,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was taken, with this status.
    Taken(StatusCode),
    /// The receiver wants no more.
    Gone,
    /// It was not taken.
    Failed {
        /// The answer's status, if there was an answer.
        status: Option<StatusCode>,
        /// Why, for people.
        error: String,
    },
}

impl Outcome {
    pub(super) fn said(&self) -> (Option<u16>, Option<String>) {
        match self {
            Self::Taken(status) => (Some(status.as_u16()), None),
            Self::Gone => (Some(StatusCode::GONE.as_u16()), Some("gone".to_owned())),
            Self::Failed { status, error } => {
                (status.map(|status| status.as_u16()), Some(error.clone()))
            }
        }
    }
}

impl Sender {
    /// A sender that is set up like this.
    ///
    /// # Errors
    /// If TLS can't be set up.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let policy = Arc::new(Policy::new(settings));
        // Fails only when the program has installed a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("resplice-server/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Resolver(Arc::clone(&policy)))
                // A proxy would look names up by itself.
                .no_proxy()
                .redirect(redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
                .pool_max_idle_per_host(0)
        };
        let http = match client().build() {
            Ok(http) => http,
            Err(error) => {
                tracing::warn!(
                    error = cause(&error),
                    "no webhook can go over https: there are no CA certificates"
                );
                client().tls_certs_only(std::iter::empty()).build()?
            }
        };
        Ok(Self { policy, http })
    }

    /// Which addresses it reaches.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) async fn send(&self, key: &MasterKey, claim: &Claim) -> Outcome {
        let failed = |status, error: String| Outcome::Failed { status, error };
        // How the server is set up may have changed since the subscription.
        let url = match self.policy.url(&claim.url) {
            Ok(url) => url,
            Err(error) => return failed(None, error.to_string()),
        };
        let mut secrets = vec![key.secrets(&claim.webhook_id, claim.rotations)];
        if claim.old_secrets {
            secrets.push(key.secrets(&claim.webhook_id, claim.rotations - 1));
        }
        let seconds = Timestamp::now().as_second();
        let request = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &claim.id)
            .header("webhook-timestamp", seconds.to_string())
            .header(
                "webhook-signature",
                sign::header(&secrets, &claim.id, seconds, &claim.payload),
            )
            .body(claim.payload.clone());
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return failed(None, cause(&error)),
        };
        let status = answer.status();
        // Some receivers take it ill if nobody reads their answer.
        let mut read = 0;
        while let Ok(Some(piece)) = answer.chunk().await {
            read += piece.len();
            if read > MAX_ANSWER_BYTES {
                break;
            }
        }
        match status {
            status if status.is_success() => Outcome::Taken(status),
            StatusCode::GONE => Outcome::Gone,
            status => failed(Some(status), format!("it answered {status}")),
        }
    }
}

/// What lies at the bottom of an error, without the address.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.is_timeout() {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    cause.to_string()
}
