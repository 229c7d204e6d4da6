//! What is on disk, without asking anybody: for looking at a host's state.

use crate::{
    Error, Store, client,
    metadata::{File, Role, Root, Signers, Snapshot, Targets, Timestamp},
    verify::threshold,
};
use jiff::Timestamp as Time;

/// A role's file on disk, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRole {
    /// `root`, `timestamp`, `snapshot` or `targets`.
    pub role: &'static str,
    /// Its version.
    pub version: u64,
    /// Until when it is good.
    pub expires: Time,
}

/// The verified files on disk. Whether they have expired is for the caller to see.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The root first, then those others that are there.
    pub roles: Vec<KeptRole>,
    /// The targets, if they are there.
    pub targets: Option<Targets>,
}

impl Kept {
    /// Reads what is in a store. A file that does not hold under the root's keys is
    /// an error here, where [`crate::Client`] just fetches it again.
    ///
    /// # Errors
    /// [`Error`]; also if there is no root.
    pub fn read(store: &Store) -> Result<Self, Error> {
        let bytes = store.read("root")?.ok_or_else(|| {
            Error::invalid("root.json", "there is none to begin with; enrol again")
        })?;
        let root = client::read_root(&bytes)?;
        let mut roles = vec![KeptRole {
            role: "root",
            version: root.version(),
            expires: root.expires(),
        }];
        read::<Timestamp>(store, "timestamp", &root, &root.roles.timestamp, &mut roles)?;
        read::<Snapshot>(store, "snapshot", &root, &root.roles.snapshot, &mut roles)?;
        let targets = read::<Targets>(store, "targets", &root, &root.roles.targets, &mut roles)?;
        Ok(Self { roles, targets })
    }

    /// Whether the targets on disk list a file with that sha256.
    #[must_use]
    pub fn vouches_for(&self, sha256: &str) -> bool {
        self.targets
            .iter()
            .flat_map(|t| t.targets.values())
            .any(|meta| {
                let hash = meta.hashes.get("sha256");
                hash.is_some_and(|hash| hash.eq_ignore_ascii_case(sha256))
            })
    }
}

fn read<T: Role>(
    store: &Store,
    role: &'static str,
    root: &Root,
    signers: &Signers,
    roles: &mut Vec<KeptRole>,
) -> Result<Option<T>, Error> {
    let Some(bytes) = store.read(role)? else {
        return Ok(None);
    };
    let file = File::<T>::read(role, &bytes)?;
    threshold(role, &file, &root.keys, signers)?;
    roles.push(KeptRole {
        role,
        version: file.signed.version(),
        expires: file.signed.expires(),
    });
    Ok(Some(file.signed))
}
