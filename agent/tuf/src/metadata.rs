//! The four kinds of files (specification, section 4), as far as the workflow
//! needs them. Members that the specification does not know are let be; they
//! are signed all the same.

use crate::{Error, json::Json, key::Key};
use jiff::Timestamp as Time;
use serde::{Deserialize, Deserializer, de};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the snapshot's entry in a timestamp.
pub(crate) const SNAPSHOT_FILE: &str = "snapshot.json";
/// Name of the top-level targets' entry in a snapshot.
pub(crate) const TARGETS_FILE: &str = "targets.json";
/// Most keys that a role may list, and most signatures on a file.
const MAX_KEYS: usize = 1024;

/// What all files have in common.
pub trait Role: for<'de> Deserialize<'de> {
    /// The role's word in `_type`.
    const TYPE: &'static str;
    /// The file's version.
    fn version(&self) -> u64;
    /// When it is void.
    fn expires(&self) -> Time;
    /// What can be said about its members only when they are together.
    fn check(&self) -> Result<(), String>;
}

/// A file that was read and not yet verified.
#[derive(Debug, Clone)]
pub struct File<T> {
    /// What is signed.
    pub signed: T,
    /// The bytes that the signatures are over.
    pub(crate) canonical: Vec<u8>,
    /// Signatures by key id.
    pub(crate) signatures: BTreeMap<String, Vec<u8>>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    signed: T,
    signatures: Vec<RawSignature>,
}

#[derive(Deserialize)]
struct RawSignature {
    keyid: String,
    sig: String,
}

#[derive(Deserialize)]
struct Kind {
    signed: KindOf,
}

#[derive(Deserialize)]
struct KindOf {
    _type: String,
    spec_version: String,
}

impl<T: Role> File<T> {
    /// Reads a file called `name`.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let invalid = |reason: &dyn ToString| Error::invalid(name, reason.to_string());
        let json = Json::read(bytes).map_err(|e| invalid(&e))?;
        let kind: Kind = serde_json::from_slice(bytes).map_err(|e| invalid(&e))?;
        if kind.signed._type != T::TYPE {
            let found = kind.signed._type;
            return Err(invalid(&format!(
                "it is of the type {found:?}, not {}",
                T::TYPE
            )));
        }
        // Section 4.3: a client understands one major version.
        let mut numbers = kind.signed.spec_version.split('.');
        if numbers.next() != Some("1") || numbers.next().is_none() {
            let found = kind.signed.spec_version;
            return Err(invalid(&format!(
                "it follows version {found:?} of the specification, not 1"
            )));
        }
        let envelope: Envelope<T> = serde_json::from_slice(bytes).map_err(|e| invalid(&e))?;
        envelope.signed.check().map_err(|e| invalid(&e))?;
        if envelope.signatures.len() > MAX_KEYS {
            return Err(invalid(&format!("it has more than {MAX_KEYS} signatures")));
        }
        let mut signatures = BTreeMap::new();
        for signature in envelope.signatures {
            // What is no signature at all counts as one that does not verify.
            let bytes = hex::decode(&signature.sig).unwrap_or_default();
            // Section 4.2: each key id only once.
            if signatures.insert(signature.keyid.clone(), bytes).is_some() {
                let id = signature.keyid;
                return Err(invalid(&format!("the key {id:?} has signed twice")));
            }
        }
        let signed = json
            .get("signed")
            .ok_or_else(|| invalid(&"nothing is signed"))?;
        Ok(Self {
            signed: envelope.signed,
            canonical: signed.canonical(),
            signatures,
        })
    }
}

/// Who may sign for a role, and how many must.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signers {
    /// Ids of keys.
    pub keyids: Vec<String>,
    /// How many keys must have signed.
    pub threshold: u32,
}

impl Signers {
    fn check(&self, role: &str) -> Result<(), String> {
        if self.threshold == 0 {
            return Err(format!("the role {role:?} has the threshold 0"));
        }
        if self.keyids.len() > MAX_KEYS {
            return Err(format!("the role {role:?} has more than {MAX_KEYS} keys"));
        }
        let unique: BTreeSet<&String> = self.keyids.iter().collect();
        if unique.len() != self.keyids.len() {
            return Err(format!("the role {role:?} lists a key twice"));
        }
        Ok(())
    }
}

/// `root.json` (section 4.3).
#[derive(Debug, Clone, Deserialize)]
pub struct Root {
    /// Its version.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// When it is void.
    #[serde(deserialize_with = "expiry")]
    pub expires: Time,
    /// Whether files carry their version or digest in their names.
    #[serde(default)]
    pub consistent_snapshot: bool,
    /// All keys, by id.
    pub keys: BTreeMap<String, Key>,
    /// Who signs what.
    pub roles: Roles,
}

/// Who signs what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Roles {
    /// The next root.
    pub root: Signers,
    /// The timestamp.
    pub timestamp: Signers,
    /// The snapshot.
    pub snapshot: Signers,
    /// The targets.
    pub targets: Signers,
}

/// `timestamp.json` (section 4.6).
#[derive(Debug, Clone, Deserialize)]
pub struct Timestamp {
    /// Its version.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// When it is void.
    #[serde(deserialize_with = "expiry")]
    pub expires: Time,
    /// The snapshot.
    pub meta: BTreeMap<String, Meta>,
}

impl Timestamp {
    /// The present snapshot.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Role::check`] has made sure that it is there.
    pub fn snapshot(&self) -> Result<&Meta, Error> {
        self.meta
            .get(SNAPSHOT_FILE)
            .ok_or_else(|| Error::invalid("timestamp.json", "it tells of no snapshot"))
    }
}

/// `snapshot.json` (section 4.4).
#[derive(Debug, Clone, Deserialize)]
pub struct Snapshot {
    /// Its version.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// When it is void.
    #[serde(deserialize_with = "expiry")]
    pub expires: Time,
    /// All files of targets roles.
    pub meta: BTreeMap<String, Meta>,
}

/// `targets.json`, and those of delegated roles (section 4.5).
#[derive(Debug, Clone, Deserialize)]
pub struct Targets {
    /// Its version.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// When it is void.
    #[serde(deserialize_with = "expiry")]
    pub expires: Time,
    /// The targets, by name.
    pub targets: BTreeMap<String, TargetMeta>,
    /// Who else may speak for targets.
    pub delegations: Option<Delegations>,
}

/// A metadata file as another one announces it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Meta {
    /// Its version.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// At most so many bytes.
    pub length: Option<u64>,
    /// Its digests in hex, by algorithm.
    pub hashes: Option<BTreeMap<String, String>>,
}

/// A target as a targets file announces it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TargetMeta {
    /// Its length in bytes.
    pub length: u64,
    /// Its digests in hex, by algorithm.
    pub hashes: BTreeMap<String, String>,
    /// What the application says about it.
    #[serde(default)]
    pub custom: Option<serde_json::Value>,
}

/// Delegations of a targets file.
#[derive(Debug, Clone, Deserialize)]
pub struct Delegations {
    /// Keys, by id.
    pub keys: BTreeMap<String, Key>,
    /// Roles, in the order of their precedence.
    pub roles: Option<Vec<Delegation>>,
    /// Not in the specification; refused.
    succinct_roles: Option<de::IgnoredAny>,
}

/// A delegated role.
#[derive(Debug, Clone, Deserialize)]
pub struct Delegation {
    /// Its name.
    pub name: String,
    /// Who signs for it.
    #[serde(flatten)]
    pub signers: Signers,
    /// Whether the search ends with it.
    #[serde(default)]
    pub terminating: bool,
    /// Patterns of targets that it speaks for.
    pub paths: Option<Vec<String>>,
    /// Beginnings of the sha256 of names of targets that it speaks for.
    pub path_hash_prefixes: Option<Vec<String>>,
}

macro_rules! role {
    ($kind:ident, $word:literal, $check:expr) => {
        impl Role for $kind {
            const TYPE: &'static str = $word;

            fn version(&self) -> u64 {
                self.version
            }

            fn expires(&self) -> Time {
                self.expires
            }

            fn check(&self) -> Result<(), String> {
                let check: fn(&$kind) -> Result<(), String> = $check;
                check(self)
            }
        }
    };
}

role!(Root, "root", |root| {
    let roles = &root.roles;
    roles.root.check("root")?;
    roles.timestamp.check("timestamp")?;
    roles.snapshot.check("snapshot")?;
    roles.targets.check("targets")
});
role!(Timestamp, "timestamp", |timestamp| {
    match timestamp.meta.len() {
        1 if timestamp.meta.contains_key(SNAPSHOT_FILE) => Ok(()),
        _ => Err("it does not tell of snapshot.json alone".to_owned()),
    }
});
role!(Snapshot, "snapshot", |snapshot| {
    match snapshot.meta.contains_key(TARGETS_FILE) {
        true => Ok(()),
        false => Err("it does not tell of targets.json".to_owned()),
    }
});
role!(Targets, "targets", |targets| {
    let Some(delegations) = &targets.delegations else {
        return Ok(());
    };
    if delegations.succinct_roles.is_some() {
        return Err("it delegates to succinct roles, which are not supported".to_owned());
    }
    let mut names = BTreeSet::new();
    for role in delegations.roles.iter().flatten() {
        let name = &role.name;
        role.signers.check(name)?;
        if name.is_empty() || ["root", "timestamp", "snapshot", "targets"].contains(&name.as_str())
        {
            return Err(format!("{name:?} can't be the name of a delegated role"));
        }
        if !names.insert(name) {
            return Err(format!("it delegates to {name:?} twice"));
        }
        if role.paths.is_some() == role.path_hash_prefixes.is_some() {
            return Err(format!(
                "its delegation to {name:?} needs either paths or path_hash_prefixes"
            ));
        }
    }
    Ok(())
});

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => Err(de::Error::custom("versions begin at 1")),
        version => Ok(version),
    }
}

fn expiry<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    let shape = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    let time = text.parse::<Time>().ok();
    match time.filter(|_| text.len() == 20 && text.bytes().enumerate().all(shape)) {
        Some(time) => Ok(time),
        None => Err(de::Error::custom(format!(
            "{text:?} is no time like 2030-01-31T00:00:00Z"
        ))),
    }
}
