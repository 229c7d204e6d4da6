//! Where a server keeps what it has.

use crate::{
    db::Place,
    settings::Settings,
    store::{Credentials, Home},
};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

/// Where a server keeps what it has.
#[derive(Args)]
pub(super) struct ServerPlace {
    /// File with settings; `resplice-server config` prints one
    #[arg(long, env = "RESPLICE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of everything that the server keeps; one server at a time
    #[arg(long, env = "RESPLICE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Database instead of the file in that directory: postgres://USER@HOST:PORT/NAME, or
    /// postgres:///NAME?host=/DIRECTORY for a socket; without a password. The variable
    /// RESPLICE_DATABASE may have one
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// File with the database's URL, its password too; mode 0600
    #[arg(
        long,
        env = "RESPLICE_DATABASE_FILE",
        value_name = "FILE",
        conflicts_with = "database"
    )]
    database_file: Option<PathBuf>,
    /// Where patches and packages lie: `directory` (in that directory), `s3://BUCKET/PREFIX`,
    /// or `memory`, for trials [default: directory]
    #[arg(long, env = "RESPLICE_STORE", value_name = "PLACE")]
    store: Option<String>,
    /// URL of the S3 server, if it is not AWS's
    #[arg(long, env = "RESPLICE_STORE_ENDPOINT", value_name = "URL")]
    store_endpoint: Option<String>,
    /// Region of the bucket [default: us-east-1]
    #[arg(long, env = "RESPLICE_STORE_REGION", value_name = "NAME")]
    store_region: Option<String>,
    /// File with access_key_id and secret_access_key as TOML, mode 0600; without it the
    /// variables of AWS's programs count
    #[arg(long, env = "RESPLICE_STORE_CREDENTIALS_FILE", value_name = "FILE")]
    store_credentials_file: Option<PathBuf>,
}

impl ServerPlace {
    /// What is set in the file, if one is named.
    pub(super) fn file(&self) -> anyhow::Result<Settings> {
        let Some(path) = &self.config else {
            return Ok(Settings::default());
        };
        Ok(Settings::read(path)?)
    }

    pub(super) fn data(&self) -> anyhow::Result<PathBuf> {
        let set = match &self.data {
            Some(data) => Some(data.clone()),
            None => self.file()?.data,
        };
        Ok(set.unwrap_or_else(default_data))
    }

    /// Where patches and packages lie.
    pub(super) fn store(&self) -> anyhow::Result<Home> {
        let given = Settings {
            store: self.store.clone(),
            store_endpoint: self.store_endpoint.clone(),
            store_region: self.store_region.clone(),
            store_credentials_file: self.store_credentials_file.clone(),
            ..Settings::default()
        };
        let all = given.or(self.file()?);
        let mut home = Home::parse(all.store.as_deref().unwrap_or("directory"))?;
        if let Home::Bucket(bucket) = &mut home {
            bucket.endpoint = all.store_endpoint;
            bucket.region = all.store_region;
            let file = all.store_credentials_file.as_deref();
            bucket.credentials = file.map(Credentials::from_file).transpose()?;
        }
        Ok(home)
    }

    /// The database; none is the file in the data directory.
    pub(super) fn database(&self) -> anyhow::Result<Option<Place>> {
        let variable = std::env::var("RESPLICE_DATABASE").ok();
        let variable = variable.filter(|url| !url.is_empty());
        Ok(match (&self.database, &self.database_file, variable) {
            (Some(url), _, _) => Some(Place::from_argument(url)?),
            (None, Some(file), _) => Some(Place::from_file(file)?),
            (None, None, Some(url)) => Some(Place::postgres(&url)?),
            (None, None, None) => database_of(&self.file()?)?,
        })
    }
}

/// The database that a file of settings names. Others may read that file, so there
/// is no password in it.
fn database_of(file: &Settings) -> anyhow::Result<Option<Place>> {
    let named = || "can't use the database in the file of settings";
    Ok(match (&file.database, &file.database_file) {
        (Some(url), _) => Some(Place::from_argument(url).with_context(named)?),
        (None, Some(file)) => Some(Place::from_file(file).with_context(named)?),
        (None, None) => None,
    })
}

/// `$XDG_DATA_HOME/resplice`, else `~/.local/share/resplice`.
pub(super) fn default_data() -> PathBuf {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("resplice")
}
