//! Where the store's files lie.

use super::StoreError;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, Checksum},
    local::LocalFileSystem,
    memory::InMemory,
    path::Path as Key,
    prefix::PrefixStore,
};
use serde::Deserialize;
use std::{fmt, path::Path, sync::Arc, time::Duration};

/// How long one request to a bucket may take: the largest package on a slow line.
const REQUEST: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(5);
/// How long and how often a request that fails is tried again.
const RETRY: Duration = Duration::from_secs(15);
const RETRIES: usize = 4;

/// Where the store's files lie.
#[derive(Debug, Clone, Default)]
pub enum Home {
    /// `blobs/` of the data directory.
    #[default]
    Directory,
    /// This process's memory, for trials: gone when it ends, and nobody else's.
    Memory,
    /// A bucket of an S3 server.
    Bucket(Bucket),
}

/// A bucket of an S3 server.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    name: String,
    prefix: String,
    /// The server's URL; none is AWS's of the region.
    pub endpoint: Option<String>,
    /// The region; none is `us-east-1`.
    pub region: Option<String>,
    /// Whoever may use it; none is what the environment says, as with AWS's programs.
    pub credentials: Option<Credentials>,
}

/// Who may use a bucket, as in a TOML file of mode 0600.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credentials({}, …)", self.access_key_id)
    }
}

impl Credentials {
    /// Those in a file that only its owner may read.
    ///
    /// # Errors
    /// [`StoreError::SetUp`], without anything of the file.
    pub fn from_file(path: &Path) -> Result<Self, StoreError> {
        let refused = |reason: &str| {
            StoreError::SetUp(format!(
                "the credentials in {} can't be read: {reason}",
                path.display()
            ))
        };
        let text = crate::secret_file::read(path).map_err(|error| refused(&error.to_string()))?;
        toml::from_str(&text).map_err(|_| {
            refused("it must set access_key_id and secret_access_key, and may set session_token")
        })
    }
}

impl Home {
    /// Reads `directory`, `memory`, `s3://BUCKET` or `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// [`StoreError::SetUp`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "directory" => return Ok(Self::Directory),
            "memory" => return Ok(Self::Memory),
            _ => {}
        }
        let refused = || {
            StoreError::SetUp(format!(
                "{text:?} is neither `directory` nor `memory` nor s3://BUCKET/PREFIX"
            ))
        };
        let place = text.strip_prefix("s3://").ok_or_else(refused)?;
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        let good = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b))
        };
        if name.is_empty() || !good(name) || !good(prefix) {
            return Err(refused());
        }
        Ok(Self::Bucket(Bucket {
            name: name.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            ..Bucket::default()
        }))
    }

    /// Whether it is the directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self, Self::Directory)
    }

    pub(super) fn open(
        &self,
        directory: Option<&Path>,
    ) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let failed = |error: object_store::Error| StoreError::SetUp(error.to_string());
        Ok(match (self, directory) {
            (Self::Bucket(bucket), _) => bucket.open().map_err(failed)?,
            (Self::Directory, Some(directory)) => Arc::new(
                LocalFileSystem::new_with_prefix(directory)
                    .map_err(failed)?
                    .with_fsync(true),
            ),
            _ => Arc::new(InMemory::new()),
        })
    }
}

impl Bucket {
    fn open(&self) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = match &self.credentials {
            None => AmazonS3Builder::from_env(),
            Some(own) => {
                let builder = AmazonS3Builder::new()
                    .with_access_key_id(&own.access_key_id)
                    .with_secret_access_key(&own.secret_access_key);
                match &own.session_token {
                    Some(token) => builder.with_token(token),
                    None => builder,
                }
            }
        };
        let mut http = false;
        if let Some(endpoint) = &self.endpoint {
            http = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        let client = ClientOptions::new()
            .with_allow_http(http)
            .with_connect_timeout(CONNECT)
            .with_timeout(REQUEST);
        let bucket = builder
            .with_bucket_name(&self.name)
            .with_client_options(client)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: RETRIES,
                retry_timeout: RETRY,
            })
            .build()?;
        Ok(if self.prefix.is_empty() {
            Arc::new(bucket)
        } else {
            Arc::new(PrefixStore::new(bucket, Key::from(self.prefix.as_str())))
        })
    }
}

impl fmt::Display for Home {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => formatter.write_str("directory"),
            Self::Memory => formatter.write_str("memory"),
            Self::Bucket(bucket) if bucket.prefix.is_empty() => {
                write!(formatter, "s3://{}", bucket.name)
            }
            Self::Bucket(bucket) => write!(formatter, "s3://{}/{}", bucket.name, bucket.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_home_is_read_and_said_in_the_same_words() {
        for text in ["directory", "memory", "s3://updates", "s3://updates/a/b"] {
            assert_eq!(Home::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "s3", "s3://", "s3:///x", "s3://a b", "gs://x", "/var/x"] {
            let error = Home::parse(bad).unwrap_err().to_string();
            assert!(error.contains("neither"), "{bad}: {error}");
        }
    }

    #[test]
    fn credentials_are_neither_readable_by_others_nor_in_what_is_said_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s3.toml");
        let mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Credentials::from_file(&path)
        };
        std::fs::write(
            &path,
            "access_key_id = \"AK\"\nsecret_access_key = \"hush\"\n",
        )
        .unwrap();
        assert!(mode(0o644).is_err());
        assert!(!format!("{:?}", mode(0o600).unwrap()).contains("hush"));
        std::fs::write(&path, "secret_access_key = \"hush\"\n").unwrap();
        let error = mode(0o600).unwrap_err().to_string();
        assert!(error.contains("access_key_id") && !error.contains("hush"));
    }
}
