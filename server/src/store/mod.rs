//! Content-addressed files: `ab/abcdef…`, named by the sha256 of their bytes, in a
//! directory, in an S3 bucket, or in memory. A file appears whole or not at all,
//! and is never changed.

mod home;
mod partial;

pub use home::{Bucket, Credentials, Home};

use futures_util::{StreamExt, TryStreamExt};
use object_store::{
    GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
    path::Path as Key,
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};
use tokio_util::bytes::Bytes;

/// Held by whoever relies on no file of the store going away.
pub(crate) const LOCK: &str = "blobs.lock";

/// Why a file can't be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store said no.
    #[error("can't {operation} {place}: {cause}")]
    Object {
        /// What was tried.
        operation: &'static str,
        /// The file, as people would name it.
        place: String,
        /// The store's answer.
        cause: object_store::Error,
    },
    /// The system said no.
    #[error("can't {operation} {path}: {cause}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// The file's bytes are not those that were stored.
    #[error("the file {place} is damaged: its sha256 is {found}; restore it from a backup")]
    Damaged {
        /// The file.
        place: String,
        /// What its bytes have.
        found: String,
    },
    /// Not a sha256 in lower-case hex.
    #[error("{0:?} is no sha256 in lower-case hex")]
    Name(String),
    /// The store can't be used as it is set up.
    #[error("the store can't be used: {0}")]
    SetUp(String),
}

/// The store. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// What the names of files follow, when people are told of them.
    place: String,
    /// The directory, if it is one.
    directory: Option<PathBuf>,
    lock: PathBuf,
}

/// A file of the store.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Where it is, for people.
    pub place: String,
    /// Its digest; none if its upload was cut off.
    pub digest: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    stored_at: SystemTime,
}

impl Store {
    /// The store of a server whose data directory this is.
    ///
    /// # Errors
    /// [`StoreError`]; whether a bucket is there says [`Store::check`].
    pub fn open(home: &Home, data: &Path) -> Result<Self, StoreError> {
        let directory = home.is_directory().then(|| data.join("blobs"));
        if let Some(directory) = &directory {
            fs::create_dir_all(directory).map_err(at("create", directory))?;
        }
        Ok(Self {
            objects: home.open(directory.as_deref())?,
            place: directory
                .as_ref()
                .map_or_else(|| home.to_string(), |path| path.display().to_string()),
            directory,
            lock: data.join(LOCK),
        })
    }

    /// Makes sure that the store answers.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn check(&self) -> Result<(), StoreError> {
        let first = self.objects.list(None).next().await;
        first
            .transpose()
            .map_err(self.failed("list", None))
            .map(drop)
    }

    /// Stores bytes durably and returns their sha256 in hex. If they are there they
    /// are stored anew and count as stored now: until somebody refers to them,
    /// [`crate::collect`] leaves them alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put(&self, bytes: impl Into<Bytes>) -> Result<String, StoreError> {
        let (bytes, lock) = (bytes.into(), self.lock.clone());
        let hashed = tokio::task::spawn_blocking(move || {
            let name = sha256_hex(&bytes);
            Ok((name, bytes, lock_file(&lock, false)?))
        });
        let (name, bytes, _lock) = hashed.await.map_err(interrupted)??;
        let key = key(&name)?;
        self.objects
            .put(&key, PutPayload::from(bytes))
            .await
            .map_err(self.failed("store", Some(&key)))?;
        Ok(name)
    }

    /// Keeps files from going away (shared), or makes sure that nobody relies on them
    /// (`alone`), as long as the lock is held.
    pub(crate) async fn hold(&self, alone: bool) -> Result<File, StoreError> {
        let lock = self.lock.clone();
        let held = tokio::task::spawn_blocking(move || lock_file(&lock, alone));
        held.await.map_err(interrupted)?
    }

    /// Reads bytes and checks that they are those that were stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let key = key(name)?;
        let failed = || self.failed("read", Some(&key));
        let got = self.objects.get(&key).await.map_err(failed())?;
        let bytes = got.bytes().await.map_err(failed())?;
        let found = sha256_hex(&bytes);
        if found == name {
            return Ok(bytes.into());
        }
        let place = self.place_of(&key);
        Err(StoreError::Damaged { place, found })
    }

    /// How many bytes a file has.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Name`] if that is no digest.
    pub async fn size(&self, name: &str) -> Result<u64, StoreError> {
        let key = key(name)?;
        let head = self.objects.head(&key).await;
        Ok(head.map_err(self.failed("find", Some(&key)))?.size)
    }

    /// A part of a file, to be streamed: the check of its digest is left to whoever
    /// gets the whole of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn part(&self, name: &str, range: Range<u64>) -> Result<GetResult, StoreError> {
        let key = key(name)?;
        // An empty range can't be said in HTTP.
        let options = GetOptions::new().with_range((!range.is_empty()).then_some(range));
        let got = self.objects.get_opts(&key, options).await;
        got.map_err(self.failed("read", Some(&key)))
    }

    /// All files, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<Kept>, StoreError> {
        let metas: Vec<ObjectMeta> = self
            .objects
            .list(None)
            .try_collect()
            .await
            .map_err(self.failed("list", None))?;
        let kept = |meta| self.kept(meta);
        let mut all: Vec<_> = metas.into_iter().filter_map(kept).collect();
        all.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(all)
    }

    /// The files that were last stored before a time, with what an upload has left
    /// that was cut off.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn older_than(&self, before: SystemTime) -> Result<Vec<Kept>, StoreError> {
        let mut all = self.list().await?;
        if let Some(directory) = &self.directory {
            all.extend(partial::list(directory)?);
        }
        all.retain(|kept| kept.stored_at < before);
        Ok(all)
    }

    /// Looks again: whether it is still there, and was not stored again.
    pub(crate) async fn is_older_than(&self, kept: &Kept, before: SystemTime) -> bool {
        let now = match &kept.digest {
            Some(name) => match key(name) {
                Ok(key) => self
                    .objects
                    .head(&key)
                    .await
                    .ok()
                    .and_then(|m| self.kept(m)),
                Err(_) => None,
            },
            None => partial::look(Path::new(&kept.place)),
        };
        now.is_some_and(|now| now.stored_at < before)
    }

    /// Takes a file away; whoever does holds the lock alone.
    pub(crate) async fn remove(&self, kept: &Kept) -> Result<(), StoreError> {
        let Some(name) = &kept.digest else {
            let path = Path::new(&kept.place);
            return fs::remove_file(path).map_err(at("remove", path));
        };
        let key = key(name)?;
        let removed = self.objects.delete(&key).await;
        removed.map_err(self.failed("remove", Some(&key)))
    }

    /// None for what is not ours.
    fn kept(&self, meta: ObjectMeta) -> Option<Kept> {
        let name = meta.location.filename()?;
        if key(name).ok()? != meta.location {
            return None;
        }
        Some(Kept {
            place: self.place_of(&meta.location),
            digest: Some(name.to_owned()),
            bytes: meta.size,
            stored_at: meta.last_modified.into(),
        })
    }

    fn place_of(&self, key: &Key) -> String {
        format!("{}/{key}", self.place)
    }

    fn failed(
        &self,
        operation: &'static str,
        key: Option<&Key>,
    ) -> impl FnOnce(object_store::Error) -> StoreError {
        let place = key.map_or_else(|| self.place.clone(), |key| self.place_of(key));
        move |cause| StoreError::Object {
            operation,
            place,
            cause,
        }
    }
}

/// What is read of a file, as a stream of bytes.
pub(crate) fn stream(
    got: GetResult,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static {
    use tokio::io::{AsyncReadExt, AsyncSeekExt};
    use tokio_util::io::ReaderStream;
    const PIECE_BYTES: usize = 64 << 10;
    let Range { start, end } = got.range;
    let opened = async move {
        Ok::<_, io::Error>(match got.payload {
            // The crate's own stream of a file comes in smaller pieces.
            GetResultPayload::File(file, _) => {
                let mut file = tokio::fs::File::from_std(file);
                file.seek(io::SeekFrom::Start(start)).await?;
                ReaderStream::with_capacity(file.take(end - start), PIECE_BYTES).boxed()
            }
            GetResultPayload::Stream(stream) => stream.map_err(io::Error::other).boxed(),
        })
    };
    futures_util::stream::once(opened).try_flatten()
}

/// The name of a digest's file.
fn key(name: &str) -> Result<Key, StoreError> {
    let good = name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if good {
        Ok(Key::from(format!("{}/{name}", &name[..2])))
    } else {
        Err(StoreError::Name(name.to_owned()))
    }
}

/// Held shared while something is stored: whoever takes files away waits.
fn lock_file(path: &Path, alone: bool) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(at("open", path))?;
    let locked = if alone {
        file.lock()
    } else {
        file.lock_shared()
    };
    locked.map_err(at("lock", path))?;
    Ok(file)
}

fn interrupted(error: tokio::task::JoinError) -> StoreError {
    StoreError::SetUp(format!("its task was interrupted ({error})"))
}

fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |cause| StoreError::Io {
        operation,
        path,
        cause,
    }
}

/// sha256 in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
