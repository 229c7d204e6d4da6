//! Roots: making the first one, exchanging keys, renewing.

use super::{
    KeyRing, ROLES, ROOT_LIFE, Repository, RepositoryError, RoleName,
    build::{head, read_json},
    files::number,
};
use jiff::Timestamp;
use resplice_tuf::{
    json::Json,
    metadata::{File, Root, Signers},
    sign::{object, text},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Where keys are made and found: the server's own directory, and another one
/// for what is kept away from it.
#[derive(Debug, Clone)]
pub struct Ceremony {
    /// Keys of snapshot and timestamp.
    pub online: PathBuf,
    /// Keys of root and targets; the same directory where all is in one place.
    pub offline: PathBuf,
}

/// What a new root changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// All keys of a role.
    Keys(RoleName),
    /// Only how long it is good.
    Expiry,
}

impl Ceremony {
    /// All keys in one place, the server's own.
    #[must_use]
    pub fn all_online(data: &Path) -> Self {
        let online = Repository::online_keys(data);
        Self {
            offline: online.clone(),
            online,
        }
    }

    fn directory(&self, role: RoleName) -> &Path {
        match role.is_offline() {
            true => &self.offline,
            false => &self.online,
        }
    }

    /// All keys that are to be had.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn ring(&self) -> Result<KeyRing, RepositoryError> {
        Ok(KeyRing::load(&self.online)?.with(KeyRing::load(&self.offline)?))
    }

    /// Makes all keys and the first root.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] if there is a repository already, …
    pub fn init(&self, data: &Path, now: Timestamp) -> Result<Repository, RepositoryError> {
        let repository = Repository::at(data);
        repository.files.make()?;
        let lock = repository.files.lock()?;
        if repository.files.newest("root")?.is_some() {
            return Err(RepositoryError::Exists(repository.files.root().to_owned()));
        }
        let mut ring = KeyRing::default();
        let mut keys = BTreeMap::new();
        let mut roles = BTreeMap::new();
        for role in ROLES {
            let made = ring.generate(self.directory(role), role)?;
            roles.insert(role.as_str().to_owned(), signers(role, &made));
            keys.extend(made);
        }
        let members = [
            ("consistent_snapshot", Json::Bool(true)),
            ("keys", Json::Object(keys)),
            ("roles", Json::Object(roles)),
        ];
        let signed = head("root", 1, now, ROOT_LIFE, members);
        let bytes = ring.sign("root", &signed, &read_signers(&signed, RoleName::Root)?)?;
        repository.files.create("1.root.json", &bytes)?;
        drop(lock);
        Ok(repository)
    }

    /// Writes the next root: signed by the old root's keys and by its own.
    ///
    /// # Errors
    /// [`RepositoryError::KeysMissing`] if too few of them are to be had, …
    pub fn renew(
        &self,
        repository: &Repository,
        renewal: Renewal,
        now: Timestamp,
    ) -> Result<u64, RepositoryError> {
        let _lock = repository.files.lock()?;
        let (bytes, old): (_, File<Root>) = repository.files.newest_root()?;
        let old = old.signed;
        let mut ring = self.ring()?;
        // Before any key is made that nothing would ever list.
        if !ring.can_sign(&old.roles.root) {
            ring.sign("root", &Json::Null, &old.roles.root)?;
        }
        let json = read_json(&bytes)?;
        let part = |name| json.get("signed")?.get(name).cloned();
        let (Some(Json::Object(mut keys)), Some(Json::Object(mut roles))) =
            (part("keys"), part("roles"))
        else {
            return Err(RepositoryError::Damaged("the root has no keys".to_owned()));
        };
        if let Renewal::Keys(role) = renewal {
            let made = ring.generate(self.directory(role), role)?;
            roles.insert(role.as_str().to_owned(), signers(role, &made));
            keys.extend(made);
        }
        // Only keys that a role has.
        let used: Vec<String> = roles.values().flat_map(key_ids).collect();
        keys.retain(|id, _| used.contains(id));
        let version = old.version + 1;
        let members = [
            ("consistent_snapshot", Json::Bool(true)),
            ("keys", Json::Object(keys)),
            ("roles", Json::Object(roles)),
        ];
        let signed = head("root", version, now, ROOT_LIFE, members);
        let new = read_signers(&signed, RoleName::Root)?;
        let bytes = ring.sign_for("root", &signed, &[&old.roles.root, &new])?;
        repository
            .files
            .create(&format!("{version}.root.json"), &bytes)?;
        Ok(version)
    }
}

fn signers(role: RoleName, keys: &[(String, Json)]) -> Json {
    let ids = keys.iter().map(|(id, _)| text(id)).collect();
    object([
        ("keyids", Json::Array(ids)),
        ("threshold", number(u64::from(role.keys().1))),
    ])
}

fn key_ids(role: &Json) -> Vec<String> {
    let Some(Json::Array(ids)) = role.get("keyids") else {
        return Vec::new();
    };
    let id = |id: &Json| match id {
        Json::Text(id) => Some(id.clone()),
        _ => None,
    };
    ids.iter().filter_map(id).collect()
}

fn read_signers(root: &Json, role: RoleName) -> Result<Signers, RepositoryError> {
    let bytes = root.canonical();
    let root: Root = serde_json::from_slice(&bytes)
        .map_err(|error| RepositoryError::Damaged(format!("the root: {error}")))?;
    Ok(match role {
        RoleName::Root => root.roles.root,
        RoleName::Targets => root.roles.targets,
        RoleName::Snapshot => root.roles.snapshot,
        RoleName::Timestamp => root.roles.timestamp,
    })
}
