//! Files of a repository on a web server.

use crate::{Fetch, FetchError};
use reqwest::{StatusCode, Url};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Longest that a metadata file may take.
const METADATA_TIME: Duration = Duration::from_secs(60);
/// Bytes a second that a target must come with, at least, after the first minute.
const SLOWEST: u64 = 16 << 10;
const USER_AGENT: &str = concat!("resplice/", env!("CARGO_PKG_VERSION"));

/// A repository on a web server. It shows no token: the files are public, and
/// trusted for their signatures alone.
pub struct Http {
    runtime: Runtime,
    client: reqwest::Client,
    metadata: Url,
    targets: Url,
}

impl Http {
    /// A repository whose metadata and targets lie below these addresses.
    ///
    /// # Errors
    /// If an address can't be used, or the system gives no resources.
    pub fn new(metadata: &str, targets: &str) -> Result<Self, FetchError> {
        let metadata = address(metadata)?;
        let targets = address(targets)?;
        // Fails only when the program has installed a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none());
        if metadata.scheme() == "http" && targets.scheme() == "http" {
            // A host without any CA certificates must still reach its server.
            builder = builder.tls_certs_only(std::iter::empty());
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| FetchError::Transport(error.to_string()))?;
        Ok(Self {
            runtime,
            client: builder.build().map_err(transport)?,
            metadata,
            targets,
        })
    }

    fn get(&self, url: Url, limit: u64, time: Duration) -> Result<Vec<u8>, FetchError> {
        let request = self.client.get(url).timeout(time);
        self.runtime.block_on(async {
            let mut response = request.send().await.map_err(transport)?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => return Err(FetchError::Missing),
                status => {
                    return Err(FetchError::Transport(format!(
                        "the server answers {status}"
                    )));
                }
            }
            if response
                .content_length()
                .is_some_and(|length| length > limit)
            {
                return Err(FetchError::TooLarge { limit });
            }
            let mut bytes = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(transport)? {
                if (bytes.len() + piece.len()) as u64 > limit {
                    return Err(FetchError::TooLarge { limit });
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        })
    }
}

impl Fetch for Http {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.get(below(&self.metadata, name)?, limit, METADATA_TIME)
    }

    fn target(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let time = METADATA_TIME + Duration::from_secs(limit / SLOWEST);
        self.get(below(&self.targets, path)?, limit, time)
    }
}

fn address(text: &str) -> Result<Url, FetchError> {
    let refused = |reason: &dyn ToString| {
        FetchError::Transport(format!("{text:?} is no address: {}", reason.to_string()))
    };
    let mut text = text.to_owned();
    if !text.ends_with('/') {
        text.push('/');
    }
    let url = Url::parse(&text).map_err(|error| refused(&error))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(refused(&"it must begin with http:// or https://")),
    }
}

/// Names are escaped already, and must stay below the address.
fn below(base: &Url, path: &str) -> Result<Url, FetchError> {
    let refused = || FetchError::Transport(format!("{path:?} is no file of a repository"));
    let url = Url::parse(&format!("{base}{path}")).map_err(|_| refused())?;
    match url.as_str().strip_prefix(base.as_str()) {
        Some(rest) if rest == path => Ok(url),
        _ => Err(refused()),
    }
}

/// An error with its causes, which the address is no part of.
fn transport(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    FetchError::Transport(text)
}
