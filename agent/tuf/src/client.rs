//! The client's workflow (specification, section 5), each check with its step.

use crate::{
    Error, MAX_ROOT_BYTES, MAX_ROOT_ROTATIONS, MAX_SNAPSHOT_BYTES, MAX_TARGETS_BYTES,
    MAX_TIMESTAMP_BYTES,
    fetch::{Fetch, FetchError},
    key::Key,
    metadata::{File, Meta, Role, Root, Signers, Snapshot, TARGETS_FILE, Targets, Timestamp},
    quote::quote,
    store::Store,
    target::{Target, check_hashes},
    verify::threshold,
};
use jiff::Timestamp as Time;
use std::collections::{BTreeMap, BTreeSet};

const ROOT: &str = "root";
const TIMESTAMP: &str = "timestamp";
const SNAPSHOT: &str = "snapshot";
pub(crate) const TARGETS: &str = "targets";

/// A client of one repository.
pub struct Client<F> {
    store: Store,
    fetch: F,
    now: Time,
}

/// What the repository says now, verified.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// The root.
    pub root: Root,
    /// The timestamp.
    pub timestamp: Timestamp,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The top-level targets.
    pub targets: Targets,
}

impl Trusted {
    /// What the top-level targets say about a target, without any delegation.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<Target> {
        let meta = self.targets.targets.get(name)?;
        Some(Target::new(name, meta))
    }
}

/// Stores the root that a client begins with, and forgets everything else.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Threshold`] if the root is not signed by its own
/// keys; [`Error::Store`].
pub fn begin(store: &Store, root: &[u8]) -> Result<(), Error> {
    read_root(root)?;
    for role in [TIMESTAMP, SNAPSHOT, TARGETS] {
        store.remove(role)?;
    }
    store.write(ROOT, root)
}

/// Reads a root file that must be signed by its own keys.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Threshold`], [`Error::Fetch`] if it is too large.
pub fn read_root(bytes: &[u8]) -> Result<Root, Error> {
    if bytes.len() as u64 > MAX_ROOT_BYTES {
        return Err(too_large("root.json", MAX_ROOT_BYTES));
    }
    let root: File<Root> = File::read("root.json", bytes)?;
    verify_root("root.json", &root, &root.signed)?;
    Ok(root.signed)
}

impl<F: Fetch> Client<F> {
    /// A client that remembers in `store` and fetches by `fetch`.
    ///
    /// Step 5.1: the time is that of this call, for all that follows.
    pub fn new(store: Store, fetch: F) -> Self {
        Self {
            store,
            fetch,
            now: Time::now(),
        }
    }

    /// Where the files come from.
    pub fn fetch(&self) -> &F {
        &self.fetch
    }

    /// The same client at another time.
    #[must_use]
    pub fn at(self, now: Time) -> Self {
        Self { now, ..self }
    }

    /// Brings everything up to date, in the specification's order.
    ///
    /// # Errors
    /// [`Error`]. What was verified before the error stays.
    pub fn refresh(&mut self) -> Result<Trusted, Error> {
        let root = self.refresh_root()?;
        let timestamp = self.refresh_timestamp(&root)?;
        let snapshot = self.refresh_snapshot(&root, &timestamp)?;
        let targets =
            self.refresh_targets(&root, &snapshot, TARGETS, (&root.keys, &root.roles.targets))?;
        Ok(Trusted {
            root,
            timestamp,
            snapshot,
            targets,
        })
    }

    /// Fetches a target's bytes and checks them.
    ///
    /// # Errors
    /// [`Error`].
    pub fn download(&mut self, trusted: &Trusted, target: &Target) -> Result<Vec<u8>, Error> {
        let path = target.path(trusted.root.consistent_snapshot)?;
        let bytes = self
            .fetch
            .target(&path, target.length)
            .map_err(|cause| Error::Fetch {
                file: target.name.clone(),
                cause,
            })?;
        target.check(&bytes)?;
        Ok(bytes)
    }

    fn refresh_root(&mut self) -> Result<Root, Error> {
        // 5.2: the root that is trusted; at first the one that was shipped.
        let bytes = self.store.read(ROOT)?.ok_or_else(|| {
            Error::invalid("root.json", "there is none to begin with; enrol again")
        })?;
        let first = read_root(&bytes)?;
        let mut root = first.clone();
        // 5.3.1 and 5.3.2: from one version to the next, at most so many.
        for _ in 0..MAX_ROOT_ROTATIONS {
            let version = root.version.saturating_add(1);
            let name = format!("{version}.root.json");
            // 5.3.3: if there is none, the present root is the newest.
            let bytes = match self.fetch.metadata(&name, MAX_ROOT_BYTES) {
                Ok(bytes) => bytes,
                Err(FetchError::Missing) => break,
                Err(cause) => return Err(Error::Fetch { file: name, cause }),
            };
            let next: File<Root> = File::read(&name, &bytes)?;
            // 5.3.4: signed by a threshold of the old keys and of the new ones.
            verify_root(&name, &next, &root)?;
            verify_root(&name, &next, &next.signed)?;
            // 5.3.5: exactly the next version, so that none is left out.
            same_version(&name, next.signed.version, version)?;
            // 5.3.6: whether it has expired does not matter yet.
            // 5.3.7 and 5.3.8: it is the trusted root from now on.
            self.store.write(ROOT, &bytes)?;
            root = next.signed;
        }
        // 5.3.10: against freezing: the newest root must not have expired.
        self.fresh("root.json", &root)?;
        // 5.3.11: against fast-forwarding: what revoked keys said is forgotten.
        if has_revoked(&first, &root, |root| &root.roles.timestamp)
            || has_revoked(&first, &root, |root| &root.roles.snapshot)
        {
            self.store.remove(TIMESTAMP)?;
            self.store.remove(SNAPSHOT)?;
        }
        Ok(root)
    }

    fn refresh_timestamp(&mut self, root: &Root) -> Result<Timestamp, Error> {
        let name = "timestamp.json";
        let signers = (&root.keys, &root.roles.timestamp);
        let known = self.known::<Timestamp>(TIMESTAMP, signers)?;
        // 5.4.1
        let bytes = self
            .fetch
            .metadata(name, MAX_TIMESTAMP_BYTES)
            .map_err(|cause| fetching(name, cause))?;
        let new: File<Timestamp> = File::read(name, &bytes)?;
        // 5.4.2: signed by a threshold of keys.
        threshold(name, &new, signers.0, signers.1)?;
        let new = new.signed;
        if let Some((_, known)) = known {
            // 5.4.3.1: against rollback of the timestamp; the same version again
            // changes nothing.
            not_older(name, name, new.version, known.version)?;
            if new.version == known.version {
                self.fresh(name, &known)?;
                return Ok(known);
            }
            // 5.4.3.2: against rollback of the snapshot.
            let (found, trusted) = (new.snapshot()?.version, known.snapshot()?.version);
            not_older(name, "snapshot.json", found, trusted)?;
        }
        // 5.4.4: against freezing.
        self.fresh(name, &new)?;
        // 5.4.5
        self.store.write(TIMESTAMP, &bytes)?;
        Ok(new)
    }

    fn refresh_snapshot(&mut self, root: &Root, timestamp: &Timestamp) -> Result<Snapshot, Error> {
        let meta = timestamp.snapshot()?;
        let signers = (&root.keys, &root.roles.snapshot);
        let known = self.known::<Snapshot>(SNAPSHOT, signers)?;
        if let Some((bytes, known)) = &known
            && self.is_current(bytes, known, meta)
        {
            return Ok(known.clone());
        }
        // 5.5.1
        let name = versioned(root, SNAPSHOT, meta.version);
        let bytes = self.announced(&name, meta, MAX_SNAPSHOT_BYTES)?;
        let new: File<Snapshot> = File::read(&name, &bytes)?;
        // 5.5.3: signed by a threshold of keys.
        threshold(&name, &new, signers.0, signers.1)?;
        let new = new.signed;
        // 5.5.4: against mix-and-match: the version that the timestamp says.
        same_version(&name, new.version, meta.version)?;
        // 5.5.5: against rollback of any file, and against leaving one out.
        for (file, trusted) in known.iter().flat_map(|(_, known)| &known.meta) {
            let found = new.meta.get(file).ok_or_else(|| Error::Removed {
                file: name.clone(),
                what: file.clone(),
            })?;
            not_older(&name, file, found.version, trusted.version)?;
        }
        // 5.5.6: against freezing.
        self.fresh(&name, &new)?;
        // 5.5.7
        self.store.write(SNAPSHOT, &bytes)?;
        Ok(new)
    }

    /// Step 5.6, for the top-level role and for delegated ones.
    pub(crate) fn refresh_targets(
        &mut self,
        root: &Root,
        snapshot: &Snapshot,
        role: &str,
        signers: (&BTreeMap<String, Key>, &Signers),
    ) -> Result<Targets, Error> {
        let file = match role {
            TARGETS => TARGETS_FILE.to_owned(),
            _ => format!("{role}.json"),
        };
        let meta = snapshot.meta.get(&file).ok_or_else(|| {
            Error::invalid("snapshot.json", format!("it does not tell of {file:?}"))
        })?;
        let known = self.known::<Targets>(role, signers)?;
        if let Some((bytes, known)) = known
            && self.is_current(&bytes, &known, meta)
        {
            return Ok(known);
        }
        // 5.6.1
        let name = versioned(root, &quote(role), meta.version);
        let bytes = self.announced(&name, meta, MAX_TARGETS_BYTES)?;
        let new: File<Targets> = File::read(&name, &bytes)?;
        // 5.6.3: signed by a threshold of keys.
        threshold(&name, &new, signers.0, signers.1)?;
        let new = new.signed;
        // 5.6.4: against mix-and-match: the version that the snapshot says.
        same_version(&name, new.version, meta.version)?;
        // 5.6.5: against freezing.
        self.fresh(&name, &new)?;
        // 5.6.6
        self.store.write(role, &bytes)?;
        Ok(new)
    }

    /// A file that was trusted before, if it still is under the present keys.
    /// What was damaged or signed by keys that are gone is as good as absent.
    fn known<T: Role>(
        &self,
        role: &str,
        (keys, signers): (&BTreeMap<String, Key>, &Signers),
    ) -> Result<Option<(Vec<u8>, T)>, Error> {
        let Some(bytes) = self.store.read(role)? else {
            return Ok(None);
        };
        let Ok(file) = File::<T>::read(role, &bytes) else {
            return Ok(None);
        };
        let verified = threshold(role, &file, keys, signers);
        Ok(verified.ok().map(|()| (bytes, file.signed)))
    }

    /// Whether a file that is on disk is the one that is announced, and usable.
    fn is_current<T: Role>(&self, bytes: &[u8], known: &T, meta: &Meta) -> bool {
        known.version() == meta.version
            && announced_bytes("", bytes, meta).is_ok()
            && known.expires() > self.now
    }

    /// Fetches a file that another one announces (5.5.1, 5.5.2; 5.6.1, 5.6.2).
    fn announced(&mut self, name: &str, meta: &Meta, limit: u64) -> Result<Vec<u8>, Error> {
        let limit = meta.length.map_or(limit, |length| length.min(limit));
        let bytes = self
            .fetch
            .metadata(name, limit)
            .map_err(|cause| fetching(name, cause))?;
        announced_bytes(name, &bytes, meta)?;
        Ok(bytes)
    }

    fn fresh<T: Role>(&self, name: &str, role: &T) -> Result<(), Error> {
        if role.expires() > self.now {
            return Ok(());
        }
        Err(Error::Expired {
            file: name.to_owned(),
            expires: role.expires(),
        })
    }
}

fn verify_root(name: &str, root: &File<Root>, by: &Root) -> Result<(), Error> {
    threshold(name, root, &by.keys, &by.roles.root)
}

/// Whether a key of a role is no longer among its keys.
fn has_revoked(old: &Root, new: &Root, role: impl Fn(&Root) -> &Signers) -> bool {
    let keys = |root: &Root| -> BTreeSet<Vec<u8>> {
        let ids = role(root).keyids.iter();
        ids.filter_map(|id| Some(root.keys.get(id)?.identity()))
            .collect()
    };
    !keys(old).is_subset(&keys(new))
}

fn announced_bytes(name: &str, bytes: &[u8], meta: &Meta) -> Result<(), Error> {
    if let Some(length) = meta.length
        && bytes.len() as u64 > length
    {
        return Err(too_large(name, length));
    }
    match &meta.hashes {
        Some(hashes) => check_hashes(name, bytes, hashes),
        None => Ok(()),
    }
}

fn versioned(root: &Root, name: &str, version: u64) -> String {
    match root.consistent_snapshot {
        true => format!("{version}.{name}.json"),
        false => format!("{name}.json"),
    }
}

fn same_version(name: &str, found: u64, expected: u64) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Version {
        file: name.to_owned(),
        found,
        expected,
    })
}

fn not_older(name: &str, what: &str, found: u64, trusted: u64) -> Result<(), Error> {
    if found >= trusted {
        return Ok(());
    }
    Err(Error::Rollback {
        file: name.to_owned(),
        what: what.to_owned(),
        found,
        trusted,
    })
}

fn fetching(name: &str, cause: FetchError) -> Error {
    Error::Fetch {
        file: name.to_owned(),
        cause,
    }
}

fn too_large(name: &str, limit: u64) -> Error {
    fetching(name, FetchError::TooLarge { limit })
}
