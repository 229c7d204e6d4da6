//! Requests to the identity provider: in the clear on loopback alone, bounded in
//! time and bytes, no redirect.

use anyhow::{Context, ensure};
use openidconnect::{HttpRequest, HttpResponse, http};
use reqwest::{Url, redirect};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The request failed.
    #[error("the request failed")]
    Http(#[from] reqwest::Error),
    /// The answer is no response.
    #[error("the answer can't be read")]
    Response(#[from] http::Error),
    /// Where it goes is no place for it.
    #[error("{0}")]
    Url(String),
    /// The answer is too long.
    #[error("the answer is longer than 1 MiB")]
    Long,
}

pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("resplice-server/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
    };
    // A system without certificates can still reach a provider on loopback.
    let built = builder().build();
    built
        .or_else(|_| builder().tls_certs_only(std::iter::empty()).build())
        .context("can't set up TLS for the identity provider")
}

/// Makes sure that what goes to a URL, and comes from it, is nobody else's.
pub(super) fn check_url(text: &str) -> anyhow::Result<()> {
    let url = Url::parse(text).with_context(|| format!("{text:?} is no URL"))?;
    let host = url.host_str().unwrap_or_default();
    let near = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && near),
        "{text} must begin with https://, or be on loopback"
    );
    Ok(())
}

pub(super) async fn ask(
    client: reqwest::Client,
    request: HttpRequest,
) -> Result<HttpResponse, AskError> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string();
    // The provider names its own endpoints.
    check_url(&url).map_err(|error| AskError::Url(error.to_string()))?;
    let mut answer = client
        .request(parts.method, url)
        .headers(parts.headers)
        .body(body)
        .send()
        .await?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_BYTES {
            return Err(AskError::Long);
        }
    }
    let mut response = http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    Ok(response.body(bytes)?)
}

/// An error with its causes, in a line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
