//! The TUF repository: what has been released, vouched for by keys of which the
//! most important ones need not be here.
//!
//! ```text
//! repo/metadata/           N.root.json, N.targets.json, N.snapshot.json, timestamp.json
//! repo/targets.unsigned    targets that wait for `keys sign`, if their key is not here
//! repo/targets.signed      what `keys sign` made of them
//! keys/                    keys that are here: snapshot and timestamp, mode 0600
//! ```
//!
//! Versioned files never change. Targets, snapshot and timestamp are written in
//! this order, each durable before the next: the timestamp alone makes the others
//! known, so a crash at any point leaves the old state or the new one.
//!
//! [`Repository::sync`] brings the repository in line with what is released, and
//! renews what will expire. It can be called at any time, and by several
//! processes: a lock lets one in.

mod build;
mod error;
mod files;
mod keys;
mod root;
mod status;

pub use build::Package;
pub use error::RepositoryError;
pub use keys::{KeyRing, ROLES, RoleName};
pub use root::{Ceremony, Renewal};

use files::Files;
use jiff::{SignedDuration, Timestamp};
use resplice_tuf::{
    metadata::{File, Role, Root, Signers, Snapshot, TargetMeta, Targets, Timestamp as Stamp},
    verify::threshold,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::RwLock,
};

/// How long root files are good.
pub const ROOT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);
/// How long targets files are good.
pub const TARGETS_LIFE: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How long snapshot files are good.
pub const SNAPSHOT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 14);
/// How long timestamp files are good: so long can hosts be kept from noticing a
/// newer release.
pub const TIMESTAMP_LIFE: SignedDuration = SignedDuration::from_hours(24 * 2);

/// What [`Repository::sync`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// Nothing: all is as it should be.
    Unchanged,
    /// Something was signed and is public now.
    Published,
    /// Releases wait for `resplice-server keys sign`: the targets key is not here.
    Waiting,
}

/// The repository in a server's data directory.
#[derive(Debug)]
pub struct Repository {
    files: Files,
    keys: PathBuf,
    /// Digests of the targets that are public, by name.
    listed: RwLock<BTreeMap<String, String>>,
}

/// What is public now.
struct Present {
    root: File<Root>,
    targets: Option<File<Targets>>,
    snapshot: Option<File<Snapshot>>,
    stamp: Option<File<Stamp>>,
}

impl Repository {
    /// Opens the repository of a data directory; none if it has none.
    ///
    /// # Errors
    /// [`RepositoryError`] if it is damaged.
    pub fn open(data: &Path) -> Result<Option<Self>, RepositoryError> {
        let repository = Self::at(data);
        if repository.files.newest("root")?.is_none() {
            return Ok(None);
        }
        repository.list(&repository.present()?)?;
        Ok(Some(repository))
    }

    /// Keeps the files as they are, for as long as what is returned lives; none if
    /// there is no repository.
    ///
    /// # Errors
    /// [`RepositoryError`] if it can't be locked.
    pub fn hold(data: &Path) -> Result<Option<impl Send + use<>>, RepositoryError> {
        let repository = Self::at(data);
        if repository.files.newest("root")?.is_none() {
            return Ok(None);
        }
        repository.files.lock().map(Some)
    }

    fn at(data: &Path) -> Self {
        Self {
            files: Files::new(&data.join("repo")),
            keys: data.join("keys"),
            listed: RwLock::default(),
        }
    }

    /// Where the keys lie that are here.
    #[must_use]
    pub fn online_keys(data: &Path) -> PathBuf {
        data.join("keys")
    }

    /// The newest root's bytes, for hosts that enrol.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn root(&self) -> Result<Vec<u8>, RepositoryError> {
        Ok(self.files.newest_root()?.0)
    }

    /// The newest root.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn root_file(&self) -> Result<File<Root>, RepositoryError> {
        Ok(self.files.newest_root()?.1)
    }

    /// The path of a public metadata file; none if there can be no such name.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<PathBuf> {
        files::is_public(name).then(|| self.files.metadata(name))
    }

    /// Whether a target with this name and sha256 is public.
    #[must_use]
    pub fn lists(&self, name: &str, sha256: &str) -> bool {
        match self.listed.read() {
            Ok(listed) => listed.get(name).is_some_and(|digest| digest == sha256),
            Err(_) => false,
        }
    }

    /// Makes what is released public, and renews what will expire.
    ///
    /// # Errors
    /// [`RepositoryError`]; what was public stays public.
    pub fn sync(&self, wanted: &[Package], now: Timestamp) -> Result<Synced, RepositoryError> {
        let _lock = self.files.lock()?;
        let ring = KeyRing::load(&self.keys)?;
        let present = self.present()?;
        let root = &present.root.signed;
        let mut synced = Synced::Unchanged;

        let current = present.targets.as_ref();
        let stale = current.is_none_or(|file| {
            build::entries(&file.signed) != build::wanted(wanted)
                || is_stale(&file.signed, TARGETS_LIFE / 3, now)
                || !is_signed(file, root, &root.roles.targets)
        });
        let mut targets_version = self.targets_version(&present);
        if stale {
            match self.next_targets(root, &ring, wanted, now)? {
                Some(version) => targets_version = Some(version),
                None => synced = Synced::Waiting,
            }
        }
        let Some(targets_version) = targets_version else {
            // Nothing was ever signed, so there is nothing to announce.
            return Ok(synced);
        };

        let same_targets = self.targets_version(&present) == Some(targets_version);
        let snapshot_version = match present.snapshot.as_ref().filter(|file| {
            same_targets
                && !is_stale(&file.signed, SNAPSHOT_LIFE / 2, now)
                && is_signed(file, root, &root.roles.snapshot)
        }) {
            Some(file) => file.signed.version,
            None => {
                let name = format!("{targets_version}.targets.json");
                let meta = self.files.announce(&name, targets_version)?;
                let version = self.files.next("snapshot")?;
                let signed = build::snapshot(version, now, meta);
                self.write("snapshot", version, &signed, &ring, &root.roles.snapshot)?;
                version
            }
        };

        let good = present.stamp.as_ref().is_some_and(|file| {
            file.signed
                .snapshot()
                .is_ok_and(|meta| meta.version == snapshot_version)
                && !is_stale(&file.signed, TIMESTAMP_LIFE / 2, now)
                && is_signed(file, root, &root.roles.timestamp)
        });
        if !good {
            let version = present
                .stamp
                .as_ref()
                .map_or(1, |file| file.signed.version + 1);
            let name = format!("{snapshot_version}.snapshot.json");
            let meta = self.files.announce(&name, snapshot_version)?;
            let signed = build::timestamp(version, now, meta);
            let bytes = ring.sign("timestamp", &signed, &root.roles.timestamp)?;
            self.files
                .replace(&self.files.metadata("timestamp.json"), &bytes)?;
            if synced == Synced::Unchanged {
                synced = Synced::Published;
            }
            self.list(&self.present()?)?;
        }
        Ok(synced)
    }

    /// Targets that wait for a signature: the file's bytes, and what is new in it.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn waiting(&self) -> Result<Option<(Vec<u8>, Targets)>, RepositoryError> {
        build::read_unsigned(&self.files)
    }

    /// Signs the targets that wait with keys that need not be here; the server
    /// makes them public with its next look.
    ///
    /// # Errors
    /// [`RepositoryError`] if nothing waits, or the keys are not the ones.
    pub fn sign_waiting(&self, ring: &KeyRing) -> Result<Targets, RepositoryError> {
        let _lock = self.files.lock()?;
        let root = self.files.newest_root()?.1.signed;
        let (bytes, targets) = self.waiting()?.ok_or(RepositoryError::NothingWaits)?;
        let signed = build::read_json(&bytes)?;
        let file = ring.sign("targets", &signed, &root.roles.targets)?;
        self.files.replace(&self.files.signed(), &file)?;
        Ok(targets)
    }

    /// Writes the next targets, or leaves them for `keys sign`; their version.
    fn next_targets(
        &self,
        root: &Root,
        ring: &KeyRing,
        wanted: &[Package],
        now: Timestamp,
    ) -> Result<Option<u64>, RepositoryError> {
        let version = self.files.next("targets")?;
        let signers = &root.roles.targets;
        let signed = build::targets(version, now, wanted)?;
        if ring.can_sign(signers) {
            self.write("targets", version, &signed, ring, signers)?;
            self.files.remove_waiting()?;
            return Ok(Some(version));
        }
        if let Some(bytes) = self.files.read(&self.files.signed())? {
            let file: File<Targets> = File::read("targets.signed", &bytes)?;
            let fits = file.signed.version == version
                && is_subset(&build::entries(&file.signed), &build::wanted(wanted))
                && is_signed(&file, root, signers);
            if fits {
                self.files
                    .create(&format!("{version}.targets.json"), &bytes)?;
                self.files.remove_waiting()?;
                return Ok(Some(version));
            }
        }
        let known = self.waiting()?.is_some_and(|(_, known)| {
            known.version == version
                && build::entries(&known) == build::wanted(wanted)
                && !is_stale(&known, TARGETS_LIFE / 3, now)
        });
        if !known {
            self.files.remove_waiting()?;
            self.files.replace(&self.files.unsigned(), &signed.file())?;
        }
        Ok(None)
    }

    fn write(
        &self,
        role: &str,
        version: u64,
        signed: &resplice_tuf::json::Json,
        ring: &KeyRing,
        signers: &Signers,
    ) -> Result<(), RepositoryError> {
        let bytes = ring.sign(role, signed, signers)?;
        self.files.create(&format!("{version}.{role}.json"), &bytes)
    }

    /// Reads what is public, from the timestamp on.
    fn present(&self) -> Result<Present, RepositoryError> {
        let (_, root) = self.files.newest_root()?;
        let mut present = Present {
            root,
            targets: None,
            snapshot: None,
            stamp: self.files.metadata_file("timestamp.json")?,
        };
        if let Some(stamp) = &present.stamp {
            let name = format!("{}.snapshot.json", stamp.signed.snapshot()?.version);
            present.snapshot = self.files.metadata_file(&name)?;
        }
        if let Some(version) = self.targets_version(&present) {
            present.targets = self
                .files
                .metadata_file(&format!("{version}.targets.json"))?;
        }
        Ok(present)
    }

    fn targets_version(&self, present: &Present) -> Option<u64> {
        let snapshot = present.snapshot.as_ref()?;
        Some(snapshot.signed.meta.get("targets.json")?.version)
    }

    fn list(&self, present: &Present) -> Result<(), RepositoryError> {
        let targets = present.targets.iter().flat_map(|file| &file.signed.targets);
        let digest = |(name, meta): (&String, &TargetMeta)| {
            Some((name.clone(), meta.hashes.get("sha256")?.clone()))
        };
        let listed = targets.filter_map(digest).collect();
        *self.listed.write().map_err(|_| RepositoryError::Poisoned)? = listed;
        Ok(())
    }
}

fn is_stale<T: Role>(role: &T, ahead: SignedDuration, now: Timestamp) -> bool {
    role.expires().duration_since(now) < ahead
}

fn is_signed<T>(file: &File<T>, root: &Root, signers: &Signers) -> bool {
    threshold("", file, &root.keys, signers).is_ok()
}

fn is_subset(part: &build::Entries, whole: &build::Entries) -> bool {
    part.iter()
        .all(|(name, entry)| whole.get(name) == Some(entry))
}

#[cfg(test)]
mod tests;
