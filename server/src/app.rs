//! What every handler can reach.

use crate::{
    auth::{SignIns, TokenFiles},
    catalogue::Catalogue,
    config::Config,
    db::{self, Db},
    error::Failure,
    feeds,
    fleet::Counted,
    logs::{self, Logs},
    metrics::Metrics,
    oidc::Provider,
    password::Passwords,
    polls::Polls,
    repository::{Ceremony, Repository},
    requests::Requests,
    store::Store,
    transparency::Transparency,
    webhooks,
};
use anyhow::Context;
use resplice_feeds::openpgp::SecretKey;
use std::sync::Arc;
use tokio_util::{bytes::Bytes, sync::CancellationToken};

/// What every handler can reach. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// How the server is set up.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// Content-addressed files.
    pub store: Store,
    /// Works out password hashes.
    pub passwords: Passwords,
    /// The identity provider, if there is one.
    pub oidc: Option<Provider>,
    /// How often people may try to sign in.
    pub sign_ins: SignIns,
    /// How often somebody may ask for anything.
    pub requests: Requests,
    /// Build logs.
    pub logs: Logs,
    /// What is said of the whole fleet.
    pub fleet: Counted,
    /// What the process counts.
    pub metrics: Metrics,
    /// Hosts that ask.
    pub polls: Polls,
    /// The transparency log.
    pub transparency: Transparency,
    /// The TUF repository.
    pub repository: Arc<Repository>,
    /// The key that signs jobs.
    pub job_key: resplice_package::SecretKey,
    /// The key that signs advisories.
    pub feed_key: SecretKey,
    /// The key that the secrets of webhooks follow from.
    pub webhook_key: webhooks::sign::MasterKey,
    /// Sends webhooks.
    pub sender: webhooks::Sender,
    /// Kernel targets.
    pub catalogue: Arc<dyn Catalogue>,
    /// Cancelled when the server is to stop.
    pub shutdown: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Opens or creates everything in the data directory, and the tokens.
    ///
    /// # Errors
    /// If a part can't be opened, with its name.
    pub async fn open(
        config: Config,
        catalogue: Arc<dyn Catalogue>,
    ) -> anyhow::Result<(Self, TokenFiles)> {
        create_private_directory(&config.data)?;
        let db = db::open(&config.database()).await?;
        let store = Store::open(&config.store, &config.data)?;
        store.check().await?;
        logs::import(&db, &config.data).await?;
        let transparency = Transparency::open(&db, &config.data).await?;
        let repository = open_repository(&config.data)?;
        let job_key = crate::job_key::open(&config.data)?;
        let feed_key = feeds::open_key(&config.data)?;
        let webhook_key = webhooks::open_key(&config.data)?;
        let sender = webhooks::Sender::new(&config.webhooks)?;
        let oidc = config.oidc.clone().map(Provider::new).transpose()?;
        let passwords = Passwords::default();
        let mut tokens = crate::auth::ensure_tokens(&db, &config.tokens()).await?;
        tokens.admin_password =
            crate::auth::ensure_admin(&db, &passwords, &config.tokens()).await?;
        let requests = Requests::new(config.requests_per_second);
        let app = Self(Arc::new(Parts {
            polls: Polls::new(&db),
            config,
            db,
            store,
            logs: Logs::default(),
            passwords,
            oidc,
            sign_ins: SignIns::default(),
            requests,
            fleet: Counted::default(),
            metrics: Metrics::default(),
            transparency,
            repository: Arc::new(repository),
            job_key,
            feed_key,
            webhook_key,
            sender,
            catalogue,
            shutdown: CancellationToken::new(),
        }));
        Ok((app, tokens))
    }

    /// Puts bytes into the store and returns their digest.
    ///
    /// # Errors
    /// The store's, as a failure of `operation`.
    pub async fn put(
        &self,
        operation: &'static str,
        bytes: impl Into<Bytes>,
    ) -> Result<String, Failure> {
        let put = self.store.put(bytes).await;
        put.map_err(Failure::internal(operation))
    }

    /// Reads what a digest names.
    ///
    /// # Errors
    /// The store's, as a failure of `operation`.
    pub async fn read(&self, operation: &'static str, sha256: &str) -> Result<Vec<u8>, Failure> {
        let read = self.store.read(sha256).await;
        read.map_err(Failure::internal(operation))
    }
}

/// Opens the repository, or makes one with all of its keys beside it.
fn open_repository(data: &std::path::Path) -> anyhow::Result<Repository> {
    if let Some(repository) = Repository::open(data)? {
        return Ok(repository);
    }
    let ceremony = Ceremony::all_online(data);
    let repository = ceremony.init(data, jiff::Timestamp::now())?;
    tracing::warn!(
        keys = %ceremony.online.display(),
        "made a repository with ALL of its keys on this server, root and targets too: whoever takes the server \
         can sign software; for a fleet, run `resplice-server keys init --keys DIR` before the first start"
    );
    Ok(repository)
}

/// Creates a directory that only its owner may enter.
pub(crate) fn create_private_directory(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let error = || format!("can't create the directory {}", path.display());
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(error)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).with_context(error)
}
