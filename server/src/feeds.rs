//! Who publishes the feeds, and the key that signs their advisories.

use crate::{App, app::create_private_directory, secret_file};
use anyhow::Context;
use jiff::Timestamp;
use resplice_api::Token;
use resplice_feeds::{Publisher, openpgp::SecretKey};
use std::path::{Path, PathBuf};

/// The publisher, if no other one is named.
pub const PUBLISHER: &str = "Resplice";

/// How the feeds are published.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whether anyone may read them.
    pub public: bool,
    /// The server's address as others see it, without a slash at the end; where it
    /// listens, if none is given.
    pub address: Option<String>,
    /// The publisher's name.
    pub publisher: Option<String>,
    /// How the publisher is reached.
    pub contact: Option<String>,
}

/// An address as it stands before a path.
///
/// # Errors
/// If it is not one of http or https, or has more than a host, a port and a path.
pub fn address(text: &str) -> anyhow::Result<String> {
    let error = || format!("can't use the address {text}");
    let url = reqwest::Url::parse(text).with_context(error)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain && url.host_str().is_some() {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    Err(anyhow::anyhow!("it must be https://HOST[:PORT][/PATH]")).with_context(error)
}

impl App {
    /// Who publishes the feeds.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        let settings = &self.config.feeds;
        let address = settings.address.clone();
        let name = settings.publisher.as_deref().unwrap_or(PUBLISHER);
        Publisher {
            name: name.to_owned(),
            contact: settings.contact.clone(),
            address: address.unwrap_or_else(|| format!("http://{}", self.config.listen)),
            public: settings.public,
        }
    }
}

/// Where the key lies.
#[must_use]
pub fn key_file(data: &Path) -> PathBuf {
    data.join("feeds").join("openpgp.key")
}

/// Reads the key that signs advisories.
///
/// # Errors
/// If it is missing, or no key, or others can read it.
pub fn read_key(file: &Path) -> anyhow::Result<SecretKey> {
    let error = || format!("can't read the key of the feeds {}", file.display());
    let text = Token::from_file(file).with_context(error)?;
    SecretKey::read(text.secret()).with_context(error)
}

/// Opens the key, or makes one.
///
/// # Errors
/// As [`read_key`], or if it can't be written.
pub(crate) fn open_key(data: &Path) -> anyhow::Result<SecretKey> {
    let file = key_file(data);
    if file.exists() {
        return read_key(&file);
    }
    create_private_directory(&data.join("feeds"))?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow::anyhow!("the system's random generator failed: {error}"))?;
    let key = SecretKey::new(&seed, Timestamp::now());
    if secret_file::create(&file, &key.text())? {
        tracing::info!(file = %file.display(), "made the key that signs advisories");
    }
    read_key(&file)
}
