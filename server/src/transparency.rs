//! The transparency log: what the audit log and the releases say is appended to
//! a Merkle tree within a second, and the tree is signed. Whoever rewrites a row,
//! drops the last ones or exchanges the key is found out by [`verify`], and by
//! anybody who has seen an earlier checkpoint.
//!
//! The tables are the truth until then; before anything is signed, the tree so
//! far is held against the checkpoint, so that nothing that was tampered with is
//! signed over.

mod verify;

pub use verify::{Finding, Report, verify};

use crate::{
    App,
    db::{self, Db, log, log_tiles},
    error::Failure,
    secret_file,
};
use anyhow::Context;
use resplice_api::LogEntry;
use resplice_tlog::{Checkpoint, Signer, Verifier, note, tile, tree};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// How often it looks for what is to be appended.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows of each kind that are appended at a time.
const BATCH: u32 = 500;

/// The key, and the copy of the newest checkpoint outside of the database.
#[derive(Debug)]
pub struct Transparency {
    signer: Signer,
    checkpoint: PathBuf,
    is_sound: AtomicBool,
}

/// Why the log can't go on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// What is there is not what was signed.
    #[error("the transparency log was tampered with: {0}; run `resplice-server audit verify`")]
    Tampered(String),
    /// An entry can't be written.
    #[error("can't write an entry of the transparency log: {0}")]
    Entry(String),
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Failure::internal("use the transparency log")(error)
    }
}

impl Transparency {
    /// Opens the log's key, or makes one if the log is empty.
    ///
    /// # Errors
    /// If the key is missing for a log that has entries, or can't be read or written.
    pub async fn open(db: &Db, data: &Path) -> anyhow::Result<Self> {
        let directory = data.join("log");
        crate::app::create_private_directory(&directory)?;
        let file = directory.join("key");
        if !file.exists() {
            let head = log::head(db).await?;
            anyhow::ensure!(
                head.size == 0,
                "the key of the transparency log, {}, is missing: bring it back from a backup",
                file.display()
            );
            make_key(&file)?;
        }
        Ok(Self {
            signer: read_key(&file)?,
            checkpoint: directory.join("checkpoint"),
            is_sound: AtomicBool::new(true),
        })
    }

    /// Whose signature the checkpoints have.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        self.signer.verifier()
    }

    /// Whether what is there was what had been signed, when it was last looked at.
    pub fn is_sound(&self) -> bool {
        self.is_sound.load(Ordering::Relaxed)
    }

    /// The copy of the newest checkpoint outside of the database, if it is there.
    ///
    /// # Errors
    /// If it can't be read, or is not this log's.
    pub fn copy(&self) -> anyhow::Result<Option<Checkpoint>> {
        read_checkpoint(&self.checkpoint, &self.verifier())
    }

    /// Appends what is not in the log yet, and returns how far that got.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn follow(&self, db: &Db) -> Result<log::Head, LogError> {
        let result = self.append_all(db).await;
        let sound = !matches!(result, Err(LogError::Tampered(_)));
        self.is_sound.store(sound, Ordering::Relaxed);
        result
    }

    async fn append_all(&self, db: &Db) -> Result<log::Head, LogError> {
        loop {
            let head = log::head(db).await?;
            if head.size > 0 && log::pending(db, 1).await?.is_empty() {
                return Ok(head);
            }
            self.append_some(db).await?;
        }
    }

    async fn append_some(&self, db: &Db) -> Result<(), LogError> {
        let transaction = db::begin(db).await?;
        log::lock(&transaction).await?;
        let head = log::head(&transaction).await?;
        let mut tiles = log_tiles::find(&transaction, &tile::needed(&[], head.size)).await?;
        self.check(&head, &tiles)?;
        let mut entries = Vec::new();
        if head.size == 0 {
            let first = LogEntry::Log {
                at: jiff::Timestamp::now(),
                key: self.verifier().to_string(),
            };
            entries.push((None, first));
        }
        let pending = log::pending(&transaction, BATCH).await?;
        entries.extend(
            pending
                .into_iter()
                .map(|(about, entry)| (Some(about), entry)),
        );
        let mut changed = std::collections::BTreeSet::new();
        let mut size = head.size;
        for (about, entry) in &entries {
            let text = serde_json::to_string(entry).map_err(|e| LogError::Entry(e.to_string()))?;
            if text.len() > tile::MAX_ENTRY_BYTES {
                return Err(LogError::Entry(format!("it has {} bytes", text.len())));
            }
            log::append(&transaction, size, &text, about.as_ref()).await?;
            let places = tiles.push(size, tree::leaf_hash(text.as_bytes()));
            changed.extend(places.map_err(|e| LogError::Tampered(e.to_string()))?);
            size += 1;
        }
        for place in changed {
            let hashes = tiles.get(place).unwrap_or_default();
            log_tiles::set(&transaction, place, hashes).await?;
        }
        let root = tree::root(&tiles, size).map_err(|e| LogError::Tampered(e.to_string()))?;
        let head = log::Head {
            size,
            checkpoint: self.signer.sign(size, root),
        };
        log::set_head(&transaction, &head).await?;
        db::commit(transaction).await?;
        self.keep_copy(&head.checkpoint);
        Ok(())
    }

    /// Checks that what is there is what was signed.
    fn check(&self, head: &log::Head, tiles: &tile::Tiles) -> Result<(), LogError> {
        let tampered = |error: &dyn std::fmt::Display| LogError::Tampered(error.to_string());
        let copy = self
            .copy()
            .map_err(|e| LogError::Tampered(format!("{e:#}")))?;
        if copy.is_some_and(|copy| copy.size > head.size) {
            return Err(tampered(&"its end was cut off"));
        }
        if head.size == 0 {
            return Ok(());
        }
        let signed = self
            .verifier()
            .open(&head.checkpoint)
            .map_err(|e| tampered(&e))?;
        let root = tree::root(tiles, head.size).map_err(|e| tampered(&e))?;
        if signed.size != head.size || signed.root != root {
            return Err(tampered(&"its tree is not the one that was signed"));
        }
        Ok(())
    }

    /// What is lost of it is made anew with the next entry.
    fn keep_copy(&self, checkpoint: &str) {
        if let Err(error) = secret_file::write(&self.checkpoint, checkpoint.trim_end()) {
            tracing::warn!(%error, "can't keep a copy of the log's checkpoint");
        }
    }
}

/// Reads a checkpoint that was kept in a file.
///
/// # Errors
/// If it can't be read, or is not that log's.
pub fn read_checkpoint(path: &Path, verifier: &Verifier) -> anyhow::Result<Option<Checkpoint>> {
    use std::io::Read;
    let error = || format!("can't read the checkpoint {}", path.display());
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(error)?,
    };
    let mut text = String::new();
    file.take(note::MAX_CHECKPOINT_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .with_context(error)?;
    verifier.open(&text).with_context(error).map(Some)
}

/// Makes a key. If two servers of one directory do so at once, one of them wins.
fn make_key(file: &Path) -> anyhow::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow::anyhow!("the system's random generator failed: {error}"))?;
    secret_file::create(file, &hex::encode(seed)).map(drop)
}

/// Reads the key, whose log is named after it.
///
/// # Errors
/// If it is missing, or no key, or others can read it.
pub fn read_key(file: &Path) -> anyhow::Result<Signer> {
    let error = || format!("can't read the log's key {}", file.display());
    let text = resplice_api::Token::from_file(file).with_context(error)?;
    let seed = hex::decode(text.secret()).with_context(error)?;
    let seed = <[u8; 32]>::try_from(seed)
        .map_err(|_| anyhow::anyhow!("it is not 64 hex digits"))
        .with_context(error)?;
    let public = Signer::new("resplice", &seed)?.verifier().to_string();
    let id = public.split('+').nth(1).unwrap_or_default().to_owned();
    Ok(Signer::new(&format!("resplice-log/{id}"), &seed)?)
}

/// Follows the tables until the server stops.
pub async fn run(app: App) {
    let mut said = false;
    loop {
        let stops = tokio::select! {
            () = app.shutdown.cancelled() => true,
            () = tokio::time::sleep(PAUSE) => false,
        };
        match app.transparency.follow(&app.db).await {
            Ok(_) => said = false,
            Err(error) if !said => {
                said = true;
                tracing::error!(%error, "can't append to the transparency log");
            }
            Err(_) => {}
        }
        if stops {
            return;
        }
    }
}
