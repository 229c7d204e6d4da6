//! Content-addressed files: `blobs/ab/abcdef…`, named by the sha256 of their
//! bytes. A file appears whole or not at all, and is never changed.

use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Why a file can't be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
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
    #[error("the file {path} is damaged: its sha256 is {found}; restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What its bytes have.
        found: String,
    },
    /// Not a sha256 in lower-case hex.
    #[error("{0:?} is no sha256 in lower-case hex")]
    Name(String),
}

/// The store. Its calls block; give them to a blocking thread.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store in `data`, which is created if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let root = data.join("blobs");
        fs::create_dir_all(&root).map_err(at("create", &root))?;
        Ok(Self { root })
    }

    /// Stores bytes durably and returns their sha256 in hex. If they are there they
    /// count as stored now: until somebody refers to them, [`crate::collect`] leaves
    /// them alone.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn put(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let name = sha256_hex(bytes);
        let path = self.path(&name)?;
        let _lock = self.lock()?;
        if path.exists() {
            File::options()
                .append(true)
                .open(&path)
                .and_then(|file| file.set_modified(SystemTime::now()))
                .map_err(at("touch", &path))?;
            return Ok(name);
        }
        let directory = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory).map_err(at("create", directory))?;
        let partial = directory.join(format!(".{name}.{}", uuid::Uuid::now_v7()));
        let written = write_durably(&partial, bytes)
            .and_then(|()| fs::rename(&partial, &path).map_err(at("rename", &partial)));
        if let Err(error) = written {
            let _ = fs::remove_file(&partial);
            return Err(error);
        }
        // The name is durable only once its directory is, and that one's.
        for directory in [directory, &self.root] {
            sync_directory(directory)?;
        }
        Ok(name)
    }

    /// Held while something is stored: whoever takes files away waits.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.root.with_extension("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(at("open", &path))?;
        file.lock_shared().map_err(at("lock", &path))?;
        Ok(file)
    }

    /// The files that were last stored before a time, with what an upload has left
    /// that was cut off.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn older_than(&self, before: SystemTime) -> Result<Vec<Kept>, StoreError> {
        let mut found = Vec::new();
        for directory in list(&self.root)? {
            for path in list(&directory)? {
                found.extend(Kept::look(path).filter(|kept| kept.stored_at < before));
            }
        }
        Ok(found)
    }

    /// Reads bytes and checks that they are those that were stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path(name)?;
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(at("read", &path))?;
        let found = sha256_hex(&bytes);
        if found == name {
            return Ok(bytes);
        }
        Err(StoreError::Damaged { path, found })
    }

    /// The file of a digest, which need not exist. Whoever streams it leaves the
    /// check of its digest to the receiver.
    ///
    /// # Errors
    /// [`StoreError::Name`] if that is no digest.
    pub fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        let good = name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if good {
            Ok(self.root.join(&name[..2]).join(name))
        } else {
            Err(StoreError::Name(name.to_owned()))
        }
    }
}

/// A file of the store.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// Its digest; none if its upload was cut off.
    pub digest: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    stored_at: SystemTime,
}

impl Kept {
    /// None if it is gone, or no file.
    fn look(path: PathBuf) -> Option<Self> {
        let metadata = fs::symlink_metadata(&path).ok()?;
        let name = path.file_name()?.to_str()?;
        let digest = (!name.starts_with('.')).then(|| name.to_owned());
        Some(Self {
            digest,
            bytes: metadata.len(),
            stored_at: metadata.is_file().then(|| metadata.modified().ok())??,
            path,
        })
    }

    /// Looks again: whether it is still there, and was not stored again.
    #[must_use]
    pub fn is_older_than(&self, before: SystemTime) -> bool {
        let now = Self::look(self.path.clone());
        now.is_some_and(|now| now.stored_at < before)
    }
}

/// The paths in a directory, sorted.
fn list(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(directory).map_err(at("list", directory))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(at("list", directory))?.path());
    }
    paths.sort();
    Ok(paths)
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = File::create_new(path).map_err(at("create", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(at("write", path))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(at("sync", path))
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn bytes_come_back_under_their_digest() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let name = store.put(b"hello").unwrap();
        assert_eq!(store.put(b"hello").unwrap(), name);
        assert_eq!(store.read(&name).unwrap(), b"hello");
        let files = fs::read_dir(dir.path().join("blobs").join(&name[..2])).unwrap();
        assert_eq!(files.count(), 1);
    }

    #[test]
    fn damaged_bytes_are_not_handed_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let name = store.put(b"hello").unwrap();
        fs::write(store.path(&name).unwrap(), b"hellO").unwrap();
        assert!(matches!(store.read(&name), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_name_can_not_leave_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let upper = "A".repeat(64);
        for bad in ["", "..", "../../etc/passwd", "é", &upper, &"/".repeat(64)] {
            assert!(
                matches!(store.read(bad), Err(StoreError::Name(_))),
                "{bad:?}"
            );
        }
    }
}
