#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use resplice_api::Channel;
use resplice_rollout::Terms;
use resplice_tuf::{Client, Error, Fetch, FetchError, Store, client};
use std::{fs, os::unix::fs::PermissionsExt};

/// A host that reads the files of a directory as they would be served.
struct Served<'a>(&'a Repository);

impl Fetch for Served<'_> {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let path = self.0.metadata(name).ok_or(FetchError::Missing)?;
        let bytes = fs::read(path).map_err(|_| FetchError::Missing)?;
        assert!(bytes.len() as u64 <= limit);
        Ok(bytes)
    }

    fn target(&mut self, _: &str, _: u64) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::Missing)
    }
}

struct Rig {
    dir: tempfile::TempDir,
    ceremony: Ceremony,
    repository: Repository,
    now: Timestamp,
}

impl Rig {
    fn new(offline: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ceremony = Ceremony::all_online(dir.path());
        if offline {
            ceremony.offline = dir.path().join("stick");
        }
        let now = Timestamp::now();
        let repository = ceremony.init(dir.path(), now).unwrap();
        let root = repository.root().unwrap();
        client::begin(&Store::open(&dir.path().join("host")).unwrap(), &root).unwrap();
        Self {
            dir,
            ceremony,
            repository,
            now,
        }
    }

    /// Whether a host finds the package.
    fn host(&self, name: &str) -> Result<(), Error> {
        let store = Store::open(&self.dir.path().join("host"))?;
        let mut client = Client::new(store, Served(&self.repository)).at(self.now);
        let trusted = client.refresh()?;
        client.find(&trusted, name).map(drop)
    }

    fn sync(&self, names: &[&str]) -> Result<Synced, RepositoryError> {
        let package = |name: &&str| Package {
            name: (*name).to_owned(),
            sha256: "ab".repeat(32),
            bytes: 7,
            terms: Terms {
                channel: Channel::Edge,
                since: Timestamp::UNIX_EPOCH,
                wave: None,
                revoked: None,
            },
        };
        self.repository
            .sync(&names.iter().map(package).collect::<Vec<_>>(), self.now)
    }

    fn later(&mut self, days: i64) {
        self.now += SignedDuration::from_hours(24 * days);
    }
}

#[test]
fn a_release_is_public_with_one_sync_and_the_next_sync_changes_nothing() {
    let rig = Rig::new(false);
    assert_eq!(rig.sync(&[]).unwrap(), Synced::Published);
    assert!(matches!(rig.host("a"), Err(Error::NoTarget { .. })));
    assert_eq!(rig.sync(&["a"]).unwrap(), Synced::Published);
    rig.host("a").unwrap();
    assert_eq!(rig.sync(&["a"]).unwrap(), Synced::Unchanged);
    assert!(rig.repository.lists("a", &"ab".repeat(32)));
    assert!(!rig.repository.lists("a", &"ac".repeat(32)));
    assert!(!rig.repository.lists("b", &"ab".repeat(32)));
}

#[test]
fn what_expires_is_renewed_in_time_for_a_year() {
    let mut rig = Rig::new(false);
    rig.sync(&["a"]).unwrap();
    for _ in 0..360 {
        rig.later(1);
        rig.sync(&["a"]).unwrap();
        rig.host("a").unwrap();
    }
    rig.later(8);
    rig.sync(&["a"]).unwrap();
    assert!(
        matches!(rig.host("a"), Err(Error::Expired { .. })),
        "the root is renewed by people"
    );
    rig.ceremony
        .renew(&rig.repository, Renewal::Expiry, rig.now)
        .unwrap();
    rig.host("a").unwrap();
}

#[test]
fn a_server_that_is_away_for_two_days_is_noticed() {
    let mut rig = Rig::new(false);
    rig.sync(&["a"]).unwrap();
    rig.later(2);
    assert!(matches!(rig.host("a"), Err(Error::Expired { .. })));
}

#[test]
fn releases_wait_for_an_offline_key_and_no_others_are_signed_with_them() {
    let rig = Rig::new(true);
    assert_eq!(rig.sync(&["a"]).unwrap(), Synced::Waiting);
    let keys: Vec<_> = fs::read_dir(rig.dir.path().join("keys")).unwrap().collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    let ring = rig.ceremony.ring().unwrap();
    rig.repository.sign_waiting(&ring).unwrap();
    // Somebody has exchanged what was released meanwhile.
    assert_eq!(rig.sync(&["b"]).unwrap(), Synced::Waiting);
    assert!(rig.host("a").is_err());
    rig.repository.sign_waiting(&ring).unwrap();
    assert_eq!(rig.sync(&["b"]).unwrap(), Synced::Published);
    rig.host("b").unwrap();
    assert!(matches!(
        rig.repository.sign_waiting(&ring),
        Err(RepositoryError::NothingWaits)
    ));
    // With keys of somebody else nothing is signed.
    assert_eq!(rig.sync(&["c"]).unwrap(), Synced::Waiting);
    let stranger = Rig::new(false).ceremony.ring().unwrap();
    let answer = rig.repository.sign_waiting(&stranger);
    assert!(
        matches!(answer, Err(RepositoryError::KeysMissing { .. })),
        "{answer:?}"
    );
    // What was public stays so.
    rig.host("b").unwrap();
}

#[test]
fn all_keys_can_be_exchanged_and_hosts_follow() {
    let rig = Rig::new(true);
    let ring = || rig.ceremony.ring().unwrap();
    rig.sync(&["a"]).unwrap();
    rig.repository.sign_waiting(&ring()).unwrap();
    rig.sync(&["a"]).unwrap();
    rig.host("a").unwrap();
    for role in ROLES {
        rig.ceremony
            .renew(&rig.repository, Renewal::Keys(role), rig.now)
            .unwrap();
        if rig.sync(&["a"]).unwrap() == Synced::Waiting {
            rig.repository.sign_waiting(&ring()).unwrap();
            assert_eq!(rig.sync(&["a"]).unwrap(), Synced::Published);
        }
        rig.host("a")
            .unwrap_or_else(|error| panic!("{role:?}: {error}"));
    }
    assert_eq!(rig.repository.root_file().unwrap().signed.version, 5);
}

#[test]
fn one_root_key_is_not_enough_for_a_new_root() {
    let rig = Rig::new(true);
    let mut removed = 0;
    for entry in fs::read_dir(&rig.ceremony.offline).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("root-")
            && removed < 2
        {
            fs::remove_file(path).unwrap();
            removed += 1;
        }
    }
    let answer = rig
        .ceremony
        .renew(&rig.repository, Renewal::Expiry, rig.now);
    assert!(
        matches!(
            answer,
            Err(RepositoryError::KeysMissing {
                found: 1,
                needed: 2,
                ..
            })
        ),
        "{answer:?}"
    );
    assert_eq!(rig.repository.root_file().unwrap().signed.version, 1);
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let rig = Rig::new(false);
    let keys = rig.dir.path().join("keys");
    for entry in fs::read_dir(&keys).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = rig.sync(&["a"]).unwrap_err().to_string();
        assert!(error.contains("chmod"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(rig.sync(&["a"]).is_err());
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
    rig.sync(&["a"]).unwrap();
}

#[test]
fn a_crash_between_two_files_is_made_good() {
    let rig = Rig::new(false);
    rig.sync(&["a"]).unwrap();
    let stamp = rig.repository.metadata("timestamp.json").unwrap();
    let before = fs::read(&stamp).unwrap();
    rig.sync(&["a", "b"]).unwrap();
    // As if the machine had gone down before the timestamp was written.
    fs::write(&stamp, before).unwrap();
    rig.host("a").unwrap();
    assert!(matches!(rig.host("b"), Err(Error::NoTarget { .. })));
    assert_eq!(rig.sync(&["a", "b"]).unwrap(), Synced::Published);
    rig.host("b").unwrap();
}

#[test]
fn a_repository_is_never_made_over_another() {
    let rig = Rig::new(false);
    let again = rig.ceremony.init(rig.dir.path(), rig.now);
    assert!(matches!(again, Err(RepositoryError::Exists(_))));
}

#[test]
fn only_names_of_metadata_are_served() {
    for good in [
        "timestamp.json",
        "1.root.json",
        "12.snapshot.json",
        "3.targets.json",
    ] {
        assert!(files::is_public(good), "{good}");
    }
    for bad in [
        "root.json",
        "0.root.json",
        "01.root.json",
        "1.timestamp.json",
        "../keys/root.pem",
        "1.root.json.new",
        "timestamp.json.new",
        ".root.json",
        "1..json",
        "-1.root.json",
        "\u{661}.root.json",
    ] {
        assert!(!files::is_public(bad), "{bad}");
    }
}
