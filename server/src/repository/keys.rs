//! Keys on disk: `ROLE-ID.pem` in a directory of mode 0700, each with mode 0600.

use super::{RepositoryError, files::failed};
use resplice_package::SecretKey;
use resplice_tuf::{
    json::Json,
    metadata::Signers,
    sign::{public, seal},
};
use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// A role that has keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RoleName {
    /// Says which keys speak for the others; at least two of three sign.
    Root,
    /// Says what is released.
    Targets,
    /// Says which targets file is the present one.
    Snapshot,
    /// Says which snapshot is the present one, every day anew.
    Timestamp,
}

/// All roles.
pub const ROLES: [RoleName; 4] = [
    RoleName::Root,
    RoleName::Targets,
    RoleName::Snapshot,
    RoleName::Timestamp,
];

impl RoleName {
    /// Its word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }

    /// Whether its keys can be kept away from the server.
    #[must_use]
    pub fn is_offline(self) -> bool {
        matches!(self, Self::Root | Self::Targets)
    }

    /// How many keys it has, and how many must sign.
    #[must_use]
    pub fn keys(self) -> (usize, u32) {
        match self {
            Self::Root => (3, 2),
            _ => (1, 1),
        }
    }
}

/// Private keys, by their id.
#[derive(Debug, Default)]
pub struct KeyRing(BTreeMap<String, SecretKey>);

impl KeyRing {
    /// Loads all keys of a directory; none if it is not there.
    ///
    /// # Errors
    /// [`RepositoryError::Key`] if one can be read by others or is damaged, and if
    /// others may enter the directory.
    pub fn load(directory: &Path) -> Result<Self, RepositoryError> {
        let mut ring = Self::default();
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ring),
            Err(error) => return Err(failed("list", directory)(error)),
        };
        private(directory)?;
        for entry in entries {
            let path = entry.map_err(failed("list", directory))?.path();
            if path.extension().is_some_and(|extension| extension == "pem") {
                ring.add(SecretKey::load(&path)?)?;
            }
        }
        Ok(ring)
    }

    /// Adds another ring's keys.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Makes a role's keys in a directory, and tells their ids and public halves.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn generate(
        &mut self,
        directory: &Path,
        role: RoleName,
    ) -> Result<Vec<(String, Json)>, RepositoryError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed("make", directory))?;
        private(directory)?;
        let mut made = Vec::new();
        for _ in 0..role.keys().0 {
            // The name is known once the key is.
            let new = directory.join(format!(".{}.new", role.as_str()));
            match fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove", &new)(error));
                }
                _ => {}
            }
            let key = SecretKey::generate_file(&new)?;
            let (id, value) = listed(&key)?;
            let path = file(directory, role, &id);
            fs::rename(&new, &path).map_err(failed("write", &path))?;
            made.push((id, value));
            self.add(key)?;
        }
        fs::File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("sync", directory))?;
        Ok(made)
    }

    /// Whether enough of a role's keys are here.
    #[must_use]
    pub fn can_sign(&self, signers: &Signers) -> bool {
        self.count(signers) >= signers.threshold as usize
    }

    /// Whether this key is here.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// A file, signed by all of a role's keys that are here.
    ///
    /// # Errors
    /// [`RepositoryError::KeysMissing`] if these are too few.
    pub fn sign(
        &self,
        role: &str,
        signed: &Json,
        signers: &Signers,
    ) -> Result<Vec<u8>, RepositoryError> {
        self.sign_for(role, signed, &[signers])
    }

    /// As [`Self::sign`], for several sets of keys of which each must be enough.
    ///
    /// # Errors
    /// [`RepositoryError::KeysMissing`].
    pub fn sign_for(
        &self,
        role: &str,
        signed: &Json,
        all: &[&Signers],
    ) -> Result<Vec<u8>, RepositoryError> {
        let message = signed.canonical();
        let mut signatures = BTreeMap::new();
        for signers in all {
            if !self.can_sign(signers) {
                return Err(RepositoryError::KeysMissing {
                    role: role.to_owned(),
                    found: self.count(signers),
                    needed: signers.threshold,
                });
            }
            for id in &signers.keyids {
                if let Some(key) = self.0.get(id) {
                    signatures.insert(id.clone(), hex::encode(key.sign(&message)));
                }
            }
        }
        Ok(seal(signed, &signatures))
    }

    fn count(&self, signers: &Signers) -> usize {
        signers.keyids.iter().filter(|id| self.has(id)).count()
    }

    fn add(&mut self, key: SecretKey) -> Result<(), RepositoryError> {
        let (id, _) = listed(&key)?;
        self.0.insert(id, key);
        Ok(())
    }
}

/// The file of a key.
fn file(directory: &Path, role: RoleName, id: &str) -> PathBuf {
    let short = id.get(..8).unwrap_or(id);
    directory.join(format!("{}-{short}.pem", role.as_str()))
}

fn listed(key: &SecretKey) -> Result<(String, Json), RepositoryError> {
    Ok(public(&key.public().bytes()))
}

fn private(directory: &Path) -> Result<(), RepositoryError> {
    let mode = fs::metadata(directory)
        .map_err(failed("look at", directory))?
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(resplice_package::Error::KeyMode {
        path: directory.to_owned(),
        mode: mode & 0o7777,
    }
    .into())
}
