//! The repository's files. All writing is durable when it returns.

use super::RepositoryError;
use resplice_tuf::{
    client::read_root,
    json::Json,
    metadata::{File, Role, Root},
    sign,
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File as Handle, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
}

/// Keeps other processes out while it lives.
pub(super) struct Lock(#[allow(dead_code, reason = "closing it releases the lock")] Handle);

/// `timestamp.json`, or a version and a role.
pub(super) fn is_public(name: &str) -> bool {
    if name == "timestamp.json" {
        return true;
    }
    let number = |text: &str| {
        (1..=19).contains(&text.len())
            && !text.starts_with('0')
            && text.bytes().all(|b| b.is_ascii_digit())
    };
    match name.split_once('.') {
        Some((version, "root.json" | "targets.json" | "snapshot.json")) => number(version),
        _ => false,
    }
}

impl Files {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn metadata(&self, name: &str) -> PathBuf {
        self.root.join("metadata").join(name)
    }

    pub(super) fn unsigned(&self) -> PathBuf {
        self.root.join("targets.unsigned")
    }

    pub(super) fn signed(&self) -> PathBuf {
        self.root.join("targets.signed")
    }

    pub(super) fn make(&self) -> Result<(), RepositoryError> {
        let path = self.root.join("metadata");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(failed("make", &path))
    }

    pub(super) fn lock(&self) -> Result<Lock, RepositoryError> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(Lock(file))
    }

    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, RepositoryError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", path)(error)),
        }
    }

    pub(super) fn metadata_file<T: Role>(
        &self,
        name: &str,
    ) -> Result<Option<File<T>>, RepositoryError> {
        match self.read(&self.metadata(name))? {
            Some(bytes) => Ok(Some(File::read(name, &bytes)?)),
            None => Ok(None),
        }
    }

    /// The highest version of a role's files.
    pub(super) fn newest(&self, role: &str) -> Result<Option<u64>, RepositoryError> {
        let path = self.root.join("metadata");
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("list", &path)(error)),
        };
        let mut newest = None;
        for entry in entries {
            let name = entry.map_err(failed("list", &path))?.file_name();
            let version = name
                .to_str()
                .filter(|name| is_public(name))
                .and_then(|name| name.split_once('.'))
                .filter(|(_, rest)| rest.strip_suffix(".json") == Some(role))
                .and_then(|(version, _)| version.parse().ok());
            newest = newest.max(version);
        }
        Ok(newest)
    }

    /// The version of a role's next file. One that a crash left behind, and that
    /// nothing announces, is passed over.
    pub(super) fn next(&self, role: &str) -> Result<u64, RepositoryError> {
        Ok(self.newest(role)?.map_or(1, |version| version + 1))
    }

    /// The newest root, which must be signed by its own keys.
    pub(super) fn newest_root(&self) -> Result<(Vec<u8>, File<Root>), RepositoryError> {
        let none = || RepositoryError::None(self.root.clone());
        let version = self.newest("root")?.ok_or_else(none)?;
        let name = format!("{version}.root.json");
        let bytes = self.read(&self.metadata(&name))?.ok_or_else(none)?;
        read_root(&bytes)?;
        let file = File::read(&name, &bytes)?;
        Ok((bytes, file))
    }

    /// How another file announces this one.
    pub(super) fn announce(&self, name: &str, version: u64) -> Result<Json, RepositoryError> {
        let path = self.metadata(name);
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        let digest = hex::encode(Sha256::digest(&bytes));
        Ok(sign::object([
            ("version", number(version)),
            ("length", number(bytes.len() as u64)),
            ("hashes", sign::object([("sha256", sign::text(&digest))])),
        ]))
    }

    /// Writes a metadata file that is not there yet.
    pub(super) fn create(&self, name: &str, bytes: &[u8]) -> Result<(), RepositoryError> {
        let path = self.metadata(name);
        if path.exists() {
            return Err(failed("create", &path)(ErrorKind::AlreadyExists.into()));
        }
        self.replace(&path, bytes)
    }

    /// Writes a file in one step.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), RepositoryError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        let directory = path.parent().unwrap_or(&self.root);
        let write = || {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            Handle::open(directory)?.sync_all()
        };
        write().map_err(failed("write", path))
    }

    /// Forgets what waits for a signature, and what has got one.
    pub(super) fn remove_waiting(&self) -> Result<(), RepositoryError> {
        for path in [self.signed(), self.unsigned()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A number as metadata writes it; none of ours comes near the limit.
pub(super) fn number(value: u64) -> Json {
    Json::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

pub(super) fn failed(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> RepositoryError {
    let path = path.to_owned();
    move |cause| RepositoryError::Io {
        operation,
        path,
        cause,
    }
}
