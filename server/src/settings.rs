//! The server's settings: from flags, else from the environment, else from a
//! file, else as they are by default.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fmt::Display,
    fs::File,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// Largest file in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// What can be set. One source of settings names some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Directory of everything that the server keeps.
    pub data: Option<PathBuf>,
    /// URL of a PostgreSQL database, without its password.
    pub database: Option<String>,
    /// File with that URL, with its password.
    pub database_file: Option<PathBuf>,
    /// Where patches and packages lie: `directory`, `s3://BUCKET/PREFIX` or `memory`.
    pub store: Option<String>,
    /// URL of the S3 server.
    pub store_endpoint: Option<String>,
    /// Region of the bucket.
    pub store_region: Option<String>,
    /// File with who may use the bucket.
    pub store_credentials_file: Option<PathBuf>,
    /// Where the server listens.
    pub listen: Option<SocketAddr>,
    /// Cache with the imported targets.
    pub cache: Option<PathBuf>,
    /// How long a worker has a job without a heartbeat, in seconds.
    pub lease_seconds: Option<u64>,
    /// How often a job's worker may vanish until the job is set aside.
    pub max_losses: Option<u32>,
    /// How long a job waits after its worker has vanished, in seconds.
    pub pause_seconds: Option<u64>,
    /// Most jobs that run at the same time for one team.
    pub team_limit: Option<u32>,
    /// How often one token or session may ask for something; 0 is as often as it likes.
    pub requests_per_second: Option<u32>,
    /// What is logged, in the words of `tracing`.
    pub log: Option<String>,
    /// Whether logs are JSON.
    pub json_logs: Option<bool>,
    /// Whether anyone may read the feeds.
    pub public_feeds: Option<bool>,
    /// The server's address as others see it.
    pub public_url: Option<String>,
    /// Who publishes.
    pub publisher: Option<String>,
    /// How the publisher is reached.
    pub publisher_contact: Option<String>,
    /// URL of the identity provider (OpenID Connect) that people may sign in with.
    pub oidc_issuer: Option<String>,
    /// Who the server is to it.
    pub oidc_client_id: Option<String>,
    /// File with the server's secret there.
    pub oidc_client_secret_file: Option<PathBuf>,
    /// What people call it.
    pub oidc_name: Option<String>,
    /// Scopes beside `openid`, `profile` and `email`.
    pub oidc_scopes: Option<Vec<String>>,
    /// The claim that says what people may do.
    pub oidc_role_claim: Option<String>,
    /// What its values mean, each as `VALUE=ROLE`.
    pub oidc_roles: Option<Vec<String>>,
    /// Networks beside the public one that webhooks may go to.
    pub webhook_allow: Option<Vec<IpNet>>,
    /// Whether webhooks may go over plain HTTP.
    pub webhook_http: Option<bool>,
}

/// Why a setting can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read.
    #[error("can't read the settings in {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is no TOML, or sets what can't be set.
    #[error("the settings in {path} can't be used: {reason}")]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A number out of bounds.
    #[error("{name} is {found}: it must be from {from} to {to}")]
    Range {
        /// The setting.
        name: &'static str,
        /// What it was set to.
        found: u64,
        /// The least.
        from: u64,
        /// The most.
        to: u64,
    },
}

impl Settings {
    /// Those in a file.
    ///
    /// # Errors
    /// [`SettingsError`]; a name that is none is one.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
            .map_err(|source| SettingsError::File {
                path: path.to_owned(),
                source,
            })?;
        let refused = |reason: &dyn Display| SettingsError::Text {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(refused(&"the file is longer than 64 KiB"));
        }
        let settings = Self::parse(&text).map_err(|error| refused(&error))?;
        if settings.database.is_some() && settings.database_file.is_some() {
            return Err(refused(
                &"it names the database twice: by database and by database_file",
            ));
        }
        Ok(settings)
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What holds if nobody says anything else. Where something stays unset, there
    /// is none, or it depends on the machine.
    #[must_use]
    pub fn defaults() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8440))),
            store: Some("directory".to_owned()),
            lease_seconds: Some(30),
            max_losses: Some(crate::Config::MAX_LOSSES),
            pause_seconds: Some(5),
            requests_per_second: Some(100),
            log: Some("info,sqlx=warn,sea_orm_migration=warn".to_owned()),
            json_logs: Some(false),
            public_feeds: Some(false),
            webhook_http: Some(false),
            ..Self::default()
        }
    }

    /// These, and where they say nothing the others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        // The two name one thing.
        let (database, database_file) = match (self.database, self.database_file) {
            (None, None) => (other.database, other.database_file),
            own => own,
        };
        Self {
            data: self.data.or(other.data),
            database,
            database_file,
            store: self.store.or(other.store),
            store_endpoint: self.store_endpoint.or(other.store_endpoint),
            store_region: self.store_region.or(other.store_region),
            store_credentials_file: self.store_credentials_file.or(other.store_credentials_file),
            listen: self.listen.or(other.listen),
            cache: self.cache.or(other.cache),
            lease_seconds: self.lease_seconds.or(other.lease_seconds),
            max_losses: self.max_losses.or(other.max_losses),
            pause_seconds: self.pause_seconds.or(other.pause_seconds),
            team_limit: self.team_limit.or(other.team_limit),
            requests_per_second: self.requests_per_second.or(other.requests_per_second),
            log: self.log.or(other.log),
            json_logs: self.json_logs.or(other.json_logs),
            public_feeds: self.public_feeds.or(other.public_feeds),
            public_url: self.public_url.or(other.public_url),
            publisher: self.publisher.or(other.publisher),
            publisher_contact: self.publisher_contact.or(other.publisher_contact),
            oidc_issuer: self.oidc_issuer.or(other.oidc_issuer),
            oidc_client_id: self.oidc_client_id.or(other.oidc_client_id),
            oidc_client_secret_file: self
                .oidc_client_secret_file
                .or(other.oidc_client_secret_file),
            oidc_name: self.oidc_name.or(other.oidc_name),
            oidc_scopes: self.oidc_scopes.or(other.oidc_scopes),
            oidc_role_claim: self.oidc_role_claim.or(other.oidc_role_claim),
            oidc_roles: self.oidc_roles.or(other.oidc_roles),
            webhook_allow: self.webhook_allow.or(other.webhook_allow),
            webhook_http: self.webhook_http.or(other.webhook_http),
        }
    }

    /// Makes sure that each number is within its bounds.
    ///
    /// # Errors
    /// [`SettingsError::Range`].
    pub fn check(&self) -> Result<(), SettingsError> {
        let all: [(_, Option<u64>, RangeInclusive<u64>); 4] = [
            ("lease_seconds", self.lease_seconds, 2..=3600),
            ("max_losses", self.max_losses.map(u64::from), 1..=20),
            ("pause_seconds", self.pause_seconds, 0..=3600),
            (
                "team_limit",
                self.team_limit.map(u64::from),
                1..=u64::from(u32::MAX),
            ),
        ];
        for (name, found, range) in all {
            if let Some(found) = found.filter(|found| !range.contains(found)) {
                return Err(SettingsError::Range {
                    name,
                    found,
                    from: *range.start(),
                    to: *range.end(),
                });
            }
        }
        Ok(())
    }
}

/// A file of settings in which each one stands as it is by default, commented out.
pub const TEMPLATE: &str = include_str!("settings.toml");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The template with its comments of one kind taken away.
    fn uncommented(kinds: &[&str]) -> Settings {
        let line = |line: &str| {
            let setting = kinds.iter().find_map(|kind| line.strip_prefix(kind));
            let name = setting.and_then(|text| text.split(" = ").next());
            let is_setting = name.is_some_and(|name| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            }) && line.contains(" = ");
            match setting {
                Some(setting) if is_setting => setting.to_owned(),
                _ => line.to_owned(),
            }
        };
        let text: Vec<String> = TEMPLATE.lines().map(line).collect();
        Settings::parse(&text.join("\n")).unwrap()
    }

    #[test]
    fn the_template_sets_nothing_and_shows_the_defaults() {
        assert_eq!(Settings::parse(TEMPLATE).unwrap(), Settings::default());
        assert_eq!(uncommented(&["# "]), Settings::defaults());
    }

    #[test]
    fn the_template_names_every_setting() {
        let all = serde_json::to_value(uncommented(&["# ", "#"])).unwrap();
        for (name, value) in all.as_object().unwrap() {
            assert!(!value.is_null(), "{name} is not in the template");
        }
    }

    #[test]
    fn what_is_no_setting_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.toml");
        for (text, word) in [
            ("lisen = \"127.0.0.1:1\"\n", "lisen"),
            ("[serve]\nlisten = \"127.0.0.1:1\"\n", "serve"),
            ("lease_seconds = \"30\"\n", "lease_seconds"),
            ("lease_seconds = 30\nlease_seconds = 31\n", "lease_seconds"),
            ("database = \"a\"\ndatabase_file = \"b\"\n", "twice"),
            ("listen = ", "line 1"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Settings::read(&path).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(error.contains("server.toml"), "{text}: {error}");
        }
        std::fs::write(&path, vec![b'\n'; 65 << 10]).unwrap();
        assert!(
            Settings::read(&path)
                .unwrap_err()
                .to_string()
                .contains("64 KiB")
        );
        assert!(Settings::read(&dir.path().join("none")).is_err());
    }

    #[test]
    fn numbers_out_of_bounds_are_refused_by_name() {
        Settings::defaults().check().unwrap();
        for (text, word) in [
            (
                "lease_seconds = 1",
                "lease_seconds is 1: it must be from 2 to 3600",
            ),
            ("max_losses = 21", "max_losses"),
            ("pause_seconds = 3601", "pause_seconds"),
            ("team_limit = 0", "team_limit"),
        ] {
            let error = Settings::parse(text).unwrap().check().unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn what_comes_first_counts_and_a_database_is_named_once() {
        let flags = Settings::parse("max_losses = 7\ndatabase_file = \"f\"").unwrap();
        let file = Settings::parse("max_losses = 8\nteam_limit = 2\ndatabase = \"d\"").unwrap();
        let all = flags.or(file).or(Settings::defaults());
        assert_eq!(all.max_losses, Some(7));
        assert_eq!(all.team_limit, Some(2));
        assert_eq!(all.lease_seconds, Some(30));
        assert_eq!((all.database, all.database_file), (None, Some("f".into())));
    }
}
