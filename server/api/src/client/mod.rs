//! A typed client for the whole API.
//!
//! Every method names the request that it makes. Errors carry the server's own
//! words ([`Problem::detail`]). Nothing is retried here, except that
//! [`Client::append_log`], [`Client::download_package`] and [`Client::follow_log`]
//! go on where they were.

mod account;
mod download;
mod error;
mod host;
mod jobs;
mod log;
mod rollout;
mod target;
mod team;
mod webhook;
mod worker;

pub use error::Error;
pub use host::PlanAnswer;
pub use log::LogPiece;

use crate::{BASE_PATH, Problem, Token};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest JSON answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Largest problem that is read, in bytes.
const MAX_PROBLEM_BYTES: usize = 64 << 10;

/// A connection to a server, with at most one token. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<Token>,
}

impl Client {
    /// A client for the server at `server`, for example `http://127.0.0.1:8440`.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Address`] if that is no http or https address, [`Error::SetUp`] if
    /// TLS can't be set up.
    pub fn new(server: &str, token: Option<Token>) -> Result<Self, Error> {
        let url = reqwest::Url::parse(server).map_err(|error| Error::Address {
            address: server.to_owned(),
            reason: error.to_string(),
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(Error::Address {
                address: server.to_owned(),
                reason: "it must begin with http:// or https:// and a host".to_owned(),
            });
        }
        // Fails only when the program has installed a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("resplice/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none());
        if url.scheme() == "http" {
            // A host without any CA certificates must still reach its server.
            builder = builder.tls_certs_only(std::iter::empty());
        }
        Ok(Self {
            http: builder.build().map_err(Error::SetUp)?,
            server: server.trim_end_matches('/').to_owned(),
            token,
        })
    }

    /// The same connection with another token.
    #[must_use]
    pub fn with_token(&self, token: Token) -> Self {
        Self {
            token: Some(token),
            ..self.clone()
        }
    }

    /// The server's address, without a slash at the end.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}{BASE_PATH}{path}", self.server));
        match &self.token {
            Some(token) => request.bearer_auth(token.secret()),
            None => request,
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }
}

/// Sends a request; anything but success becomes an error with the server's words.
async fn send(operation: &'static str, request: RequestBuilder) -> Result<Response, Error> {
    let response = request
        .send()
        .await
        .map_err(|cause| Error::Send { operation, cause })?;
    if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
        return Ok(response);
    }
    Err(Error::Problem {
        operation,
        problem: Box::new(problem(response).await),
    })
}

/// Sends a request and reads its JSON answer.
async fn send_json<T: DeserializeOwned>(
    operation: &'static str,
    request: RequestBuilder,
) -> Result<T, Error> {
    let response = send(operation, request).await?;
    read_json(operation, response).await
}

async fn read_json<T: DeserializeOwned>(
    operation: &'static str,
    response: Response,
) -> Result<T, Error> {
    let body = read(operation, response, MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&body).map_err(|error| Error::Answer {
        operation,
        reason: error.to_string(),
    })
}

/// Reads at most `limit` bytes of an answer.
async fn read(
    operation: &'static str,
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|cause| Error::Send { operation, cause })?
    {
        if body.len() + chunk.len() > limit {
            return Err(Error::Answer {
                operation,
                reason: format!("it has more than {limit} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn problem(response: Response) -> Problem {
    let status = response.status();
    let title = status.canonical_reason().unwrap_or("error");
    let body = read("problem", response, MAX_PROBLEM_BYTES)
        .await
        .unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
        kind: "about:blank".to_owned(),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: format!("the server answered {status} without saying why"),
        expected_offset: None,
        line: None,
    })
}

/// Reads a header as text.
fn header_text<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// The address of an update in the web interface.
#[must_use]
pub fn update_page(server: &str, update: crate::UpdateId) -> String {
    format!("{}/updates/{update}", server.trim_end_matches('/'))
}

const BYTES: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/octet-stream");
