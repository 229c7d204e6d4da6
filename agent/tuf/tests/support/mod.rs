//! A repository in memory, and a host that reads it.

use ed25519_dalek::{Signer, SigningKey};
use jiff::{SignedDuration, Timestamp};
use resplice_tuf::{Client, Error, Fetch, FetchError, Store, client, json::Json, sign};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, os::unix::fs::OpenOptionsExt};
use tempfile::TempDir;

/// A key by number.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number.wrapping_add(1); 32])
}

/// A file that these keys have signed.
pub fn signed(value: &Json, keys: &[&SigningKey]) -> Vec<u8> {
    let signature = |key: &&SigningKey| {
        let (id, _) = sign::public(key.verifying_key().as_bytes());
        (id, hex::encode(key.sign(&value.canonical()).to_bytes()))
    };
    sign::seal(value, &keys.iter().map(signature).collect())
}

/// A time so many days from now, as metadata writes it.
pub fn day(days: i64) -> String {
    let time = Timestamp::now() + SignedDuration::from_hours(24 * days);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Three root keys of which two sign, and one key for each other role.
#[derive(Clone)]
pub struct Repository {
    pub files: BTreeMap<String, Vec<u8>>,
    pub version: i64,
    pub root_version: i64,
    pub root_keys: Vec<SigningKey>,
    pub root_signers: Vec<usize>,
    pub targets_key: SigningKey,
    online: [SigningKey; 2],
    targets: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    /// With keys from this number on; nothing is published but the root.
    pub fn new(first: u8) -> Self {
        let mut repository = Self {
            files: BTreeMap::new(),
            version: 1,
            root_version: 1,
            root_keys: (0..3).map(|at| key(first + at)).collect(),
            root_signers: vec![0, 1, 2],
            targets_key: key(first + 3),
            online: [key(first + 4), key(first + 5)],
            targets: BTreeMap::new(),
        };
        repository.publish_root();
        repository
    }

    pub fn target(&mut self, name: &str, bytes: &[u8]) {
        self.targets.insert(name.to_owned(), bytes.to_vec());
        self.files.insert(self.path_of(name), bytes.to_vec());
    }

    pub fn path_of(&self, name: &str) -> String {
        format!("targets/{}.{name}", digest(&self.targets[name]))
    }

    pub fn roots(&self) -> BTreeMap<String, Vec<u8>> {
        let is_root = |(path, _): &(&String, &Vec<u8>)| path.contains("root");
        self.files
            .iter()
            .filter(is_root)
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect()
    }

    fn head(role: &str, version: i64, days: i64) -> [(&str, Json); 4] {
        [
            ("_type", sign::text(role)),
            ("spec_version", sign::text(sign::SPEC_VERSION)),
            ("version", Json::Int(version)),
            ("expires", sign::text(&day(days))),
        ]
    }

    fn with(head: [(&str, Json); 4], more: &[(&str, Json)]) -> Json {
        let members = head
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Json::Object(members.collect())
    }

    pub fn publish_root(&mut self) {
        let mut keys = BTreeMap::new();
        let mut role = |threshold: i64, of: &[&SigningKey]| {
            let mut ids = Vec::new();
            for key in of {
                let (id, value) = sign::public(key.verifying_key().as_bytes());
                ids.push(sign::text(&id));
                keys.insert(id, value);
            }
            sign::object([
                ("keyids", Json::Array(ids)),
                ("threshold", Json::Int(threshold)),
            ])
        };
        let roles = sign::object([
            ("root", role(2, &self.root_keys.iter().collect::<Vec<_>>())),
            ("targets", role(1, &[&self.targets_key])),
            ("snapshot", role(1, &[&self.online[0]])),
            ("timestamp", role(1, &[&self.online[1]])),
        ]);
        let root = Self::with(
            Self::head("root", self.root_version, 365),
            &[
                ("consistent_snapshot", Json::Bool(true)),
                ("keys", Json::Object(keys)),
                ("roles", roles),
            ],
        );
        let signers: Vec<&SigningKey> = self
            .root_signers
            .iter()
            .map(|at| &self.root_keys[*at])
            .collect();
        self.put(
            &format!("{}.root", self.root_version),
            signed(&root, &signers),
        );
    }

    /// New keys for snapshot and timestamp.
    pub fn rotate_online(&mut self) {
        self.online = [key(240), key(241)];
        self.root_version += 1;
        self.publish_root();
    }

    /// Targets, snapshot and timestamp at `version`.
    pub fn publish(&mut self) {
        self.write(self.version, self.version);
    }

    /// As [`Self::publish`], with one file at its first version.
    pub fn publish_with_old(&mut self, file: &str) {
        match file {
            "targets" => self.write(1, self.version),
            _ => self.write(self.version, 1),
        }
    }

    fn write(&mut self, targets_version: i64, snapshot_version: i64) {
        let entry = |bytes: &[u8]| {
            [
                ("length", Json::Int(bytes.len() as i64)),
                (
                    "hashes",
                    sign::object([("sha256", sign::text(&digest(bytes)))]),
                ),
            ]
        };
        let meta = |version, bytes: &[u8]| {
            let [length, hashes] = entry(bytes);
            sign::object([("version", Json::Int(version)), length, hashes])
        };
        let list = self
            .targets
            .iter()
            .map(|(name, bytes)| (name.clone(), sign::object(entry(bytes))))
            .collect();
        let targets = Self::with(
            Self::head("targets", targets_version, 90),
            &[("targets", Json::Object(list))],
        );
        let targets = signed(&targets, &[&self.targets_key]);
        let list = sign::object([("targets.json", meta(targets_version, &targets))]);
        let snapshot = Self::with(
            Self::head("snapshot", snapshot_version, 30),
            &[("meta", list)],
        );
        let snapshot = signed(&snapshot, &[&self.online[0]]);
        let list = sign::object([("snapshot.json", meta(snapshot_version, &snapshot))]);
        let timestamp = Self::with(Self::head("timestamp", self.version, 7), &[("meta", list)]);
        self.put(&format!("{targets_version}.targets"), targets);
        self.put(&format!("{snapshot_version}.snapshot"), snapshot);
        self.put("timestamp", signed(&timestamp, &[&self.online[1]]));
    }

    fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(format!("metadata/{name}.json"), bytes);
    }
}

struct Served<'a>(&'a Repository);

impl Served<'_> {
    fn file(&self, path: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let bytes = self.0.files.get(path).ok_or(FetchError::Missing)?;
        match bytes.len() as u64 > limit {
            true => Err(FetchError::TooLarge { limit }),
            false => Ok(bytes.clone()),
        }
    }
}

impl Fetch for Served<'_> {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.file(&format!("metadata/{name}"), limit)
    }

    fn target(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.file(&format!("targets/{path}"), limit)
    }
}

/// In memory, where syncing costs nothing, if the machine has that.
fn directory() -> TempDir {
    match tempfile::tempdir_in("/dev/shm") {
        Ok(directory) => directory,
        Err(_) => tempfile::tempdir().unwrap(),
    }
}

/// A host with its memory.
pub struct Host {
    pub directory: TempDir,
    pub now: Timestamp,
}

impl Host {
    /// With the repository's first root.
    pub fn new(repository: &Repository) -> Self {
        let directory = directory();
        let store = Store::open(directory.path()).unwrap();
        client::begin(&store, &repository.files["metadata/1.root.json"]).unwrap();
        Self {
            directory,
            now: Timestamp::now(),
        }
    }

    /// With these files.
    pub fn resumed(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let directory = directory();
        for (name, bytes) in files {
            let path = directory.path().join(name);
            let mut file = fs::OpenOptions::new()
                .create_new(true)
                .write(true)
                .mode(0o600)
                .open(path)
                .unwrap();
            std::io::Write::write_all(&mut file, bytes).unwrap();
        }
        Self {
            directory,
            now: Timestamp::now(),
        }
    }

    pub fn get(&mut self, repository: &Repository, name: &str) -> Result<Vec<u8>, Error> {
        let store = Store::open(self.directory.path())?;
        let mut client = Client::new(store, Served(repository)).at(self.now);
        let trusted = client.refresh()?;
        let target = client.find(&trusted, name)?;
        client.download(&trusted, &target)
    }

    /// What is kept, by file.
    pub fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        let entry = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        };
        fs::read_dir(self.directory.path())
            .unwrap()
            .map(entry)
            .collect()
    }

    /// Versions of root, timestamp, snapshot, targets.
    pub fn versions(&self) -> [u64; 4] {
        let kept = self.kept();
        ["root", "timestamp", "snapshot", "targets"].map(|role| {
            let json = Json::read(&kept[&format!("{role}.json")]).unwrap();
            match json.get("signed").unwrap().get("version") {
                Some(Json::Int(version)) => u64::try_from(*version).unwrap(),
                other => panic!("{other:?}"),
            }
        })
    }
}

/// A small generator, so that a run can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}
