//! What somebody could do who stands between a repository and its clients, or
//! has stolen some of its keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use jiff::{SignedDuration, Timestamp};
use resplice_tuf::{Error, FetchError, json::Json, sign};
use support::{Host, Repository, day, key};

const NAME: &str = "update.rspl";
const GOOD: &[u8] = b"a package";

/// A repository with one target, and a host that has seen it.
fn known() -> (Repository, Host) {
    let mut repository = Repository::new(0);
    repository.target(NAME, GOOD);
    repository.publish();
    let mut host = Host::new(&repository);
    assert_eq!(host.get(&repository, NAME).unwrap(), GOOD);
    (repository, host)
}

#[test]
fn arbitrary_software_is_refused() {
    let (mut repository, mut host) = known();
    let path = repository.path_of(NAME);
    repository.files.insert(path, b"a PACKAGE".to_vec());
    assert!(matches!(
        host.get(&repository, NAME),
        Err(Error::Digest { .. })
    ));
    // Nor does it help to announce it with keys of one's own.
    let mut evil = Repository::new(100);
    evil.target(NAME, b"a PACKAGE");
    evil.version = 7;
    evil.publish();
    evil.files.retain(|path, _| !path.contains("root"));
    evil.files.extend(repository.roots());
    assert!(matches!(
        host.get(&evil, NAME),
        Err(Error::Threshold { .. })
    ));
    assert_eq!(host.versions(), [1, 1, 1, 1]);
}

#[test]
fn the_wrong_target_is_refused() {
    let (mut repository, mut host) = known();
    repository.target("other.rspl", b"another package");
    repository.version += 1;
    repository.publish();
    let other = repository.path_of("other.rspl");
    let mine = repository.path_of(NAME);
    let bytes = repository.files[&other].clone();
    repository.files.insert(mine, bytes);
    let answer = host.get(&repository, NAME);
    assert!(
        matches!(answer, Err(Error::Fetch { .. } | Error::Length { .. })),
        "{answer:?}"
    );
    assert!(matches!(
        host.get(&repository, "third.rspl"),
        Err(Error::NoTarget { .. })
    ));
}

#[test]
fn rollback_is_refused_file_by_file_and_as_a_whole() {
    let (mut repository, mut host) = known();
    let old = repository.clone();
    for _ in 0..3 {
        repository.version += 1;
        repository.publish();
    }
    host.get(&repository, NAME).unwrap();
    assert!(matches!(host.get(&old, NAME), Err(Error::Rollback { .. })));
    for file in ["snapshot", "targets"] {
        let mut mixed = repository.clone();
        mixed.version += 1;
        mixed.publish_with_old(file);
        let answer = host.get(&mixed, NAME);
        assert!(
            matches!(answer, Err(Error::Rollback { .. })),
            "{file}: {answer:?}"
        );
    }
    // Only the timestamp was new and in order.
    assert_eq!(host.versions(), [1, 5, 4, 4]);
}

#[test]
fn an_indefinite_freeze_is_noticed() {
    let (repository, mut host) = known();
    // Everything that the host is shown is what it has seen before.
    host.now = Timestamp::now() + SignedDuration::from_hours(24 * 8);
    let error = host.get(&repository, NAME).unwrap_err();
    assert!(matches!(&error, Error::Expired { file, .. } if file == "timestamp.json"));
    assert!(error.to_string().contains("held back"), "{error}");
}

#[test]
fn endless_data_is_cut_off_before_it_is_in_memory() {
    let (mut repository, mut host) = known();
    repository.version += 1;
    repository.publish();
    for (file, limit) in [
        ("metadata/2.root.json", resplice_tuf::MAX_ROOT_BYTES),
        ("metadata/timestamp.json", resplice_tuf::MAX_TIMESTAMP_BYTES),
    ] {
        let mut endless = repository.clone();
        endless.files.insert(file.to_owned(), vec![b' '; 9 << 20]);
        let answer = host.get(&endless, NAME);
        let Err(Error::Fetch {
            cause: FetchError::TooLarge { limit: found },
            ..
        }) = answer
        else {
            panic!("{file}: {answer:?}");
        };
        assert_eq!(found, limit);
    }
    // What is announced with its length is held to it.
    for file in ["metadata/2.snapshot.json", "metadata/2.targets.json"] {
        let mut endless = repository.clone();
        let length = endless.files[file].len() as u64;
        endless.files.insert(file.to_owned(), vec![b' '; 9 << 20]);
        let answer = host.get(&endless, NAME);
        let Err(Error::Fetch {
            cause: FetchError::TooLarge { limit },
            ..
        }) = answer
        else {
            panic!("{file}: {answer:?}");
        };
        assert_eq!(limit, length);
    }
    let path = repository.path_of(NAME);
    repository.files.insert(path, vec![0; 9 << 20]);
    let answer = host.get(&repository, NAME);
    assert!(
        matches!(
            answer,
            Err(Error::Fetch {
                cause: FetchError::TooLarge { limit: 9 },
                ..
            })
        ),
        "{answer:?}"
    );
}

#[test]
fn mix_and_match_is_refused() {
    let (mut repository, mut host) = known();
    let old = repository.clone();
    repository.version += 1;
    repository.target("second.rspl", b"second");
    repository.publish();
    // Parts of the old state under the names of the new one.
    for file in ["snapshot", "targets"] {
        let mut mixed = repository.clone();
        let part = old.files[&format!("metadata/1.{file}.json")].clone();
        mixed.files.insert(format!("metadata/2.{file}.json"), part);
        assert!(host.get(&mixed, NAME).is_err(), "{file}");
    }
    host.get(&repository, "second.rspl").unwrap();
}

#[test]
fn metadata_of_another_repository_under_shared_keys_can_not_replace_what_is_known() {
    // A test system and a production system that somebody gave the same keys.
    let (mut repository, mut host) = known();
    repository.version = 5;
    repository.publish();
    host.get(&repository, NAME).unwrap();
    let mut other = Repository::new(0);
    other.target(NAME, b"from the test system");
    other.version = 4;
    other.publish();
    assert!(matches!(
        host.get(&other, NAME),
        Err(Error::Rollback { .. })
    ));
    // A single file of it is held to digest and length.
    other.version = 6;
    other.publish();
    repository.version = 6;
    repository.publish();
    let mut mixed = repository.clone();
    for file in ["6.targets", "6.snapshot"] {
        let path = format!("metadata/{file}.json");
        mixed.files.insert(path.clone(), other.files[&path].clone());
        assert!(host.get(&mixed, NAME).is_err(), "{file}");
    }
}

#[test]
fn a_fast_forward_is_undone_by_new_keys() {
    let (mut repository, mut host) = known();
    repository.version = i64::MAX;
    repository.publish();
    host.get(&repository, NAME).unwrap();
    assert_eq!(host.versions()[1], i64::MAX as u64);
    repository.version = 2;
    repository.publish();
    assert!(matches!(
        host.get(&repository, NAME),
        Err(Error::Rollback { .. })
    ));
    repository.rotate_online();
    repository.publish();
    assert_eq!(host.get(&repository, NAME).unwrap(), GOOD);
    assert_eq!(host.versions(), [2, 2, 2, 2]);
}

#[test]
fn stolen_online_keys_can_not_announce_software() {
    let (repository, mut host) = known();
    // Snapshot and timestamp are signed properly, targets by a key of one's own.
    let mut stolen = repository.clone();
    stolen.targets_key = key(200);
    stolen.target(NAME, b"malicious");
    stolen.version += 1;
    stolen.publish();
    let answer = host.get(&stolen, NAME);
    assert!(
        matches!(&answer, Err(Error::Threshold { file, .. }) if file == "2.targets.json"),
        "{answer:?}"
    );
    // And a root needs two of three keys: one that was stolen is not enough.
    let mut stolen = repository.clone();
    stolen.targets_key = key(200);
    stolen.root_signers = vec![0];
    stolen.root_version += 1;
    stolen.publish_root();
    let answer = host.get(&stolen, NAME);
    assert!(
        matches!(
            &answer,
            Err(Error::Threshold {
                valid: 1,
                threshold: 2,
                ..
            })
        ),
        "{answer:?}"
    );
    assert_eq!(host.versions()[0], 1);
}

#[test]
fn traversing_target_names_are_refused_before_anything_is_asked_for() {
    let (mut repository, mut host) = known();
    for name in [
        "../../etc/cron.d/x",
        "/etc/passwd",
        "a/../../b",
        "a//b",
        "..",
        "a\\..\\b",
    ] {
        repository.target(name, b"x");
        repository.version += 1;
        repository.publish();
        let answer = host.get(&repository, name);
        assert!(
            matches!(answer, Err(Error::Name { .. })),
            "{name:?}: {answer:?}"
        );
    }
}

#[test]
fn a_root_that_somebody_else_can_write_is_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let (repository, mut host) = known();
    for file in [
        "root.json",
        "timestamp.json",
        "snapshot.json",
        "targets.json",
    ] {
        let path = host.directory.path().join(file);
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode(0o666)).unwrap();
        assert!(
            matches!(host.get(&repository, NAME), Err(Error::Exposed { .. })),
            "{file}"
        );
        std::fs::set_permissions(&path, mode(0o600)).unwrap();
    }
    let path = host.directory.path().to_owned();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(
        resplice_tuf::Store::open(&path),
        Err(Error::Exposed { .. })
    ));
}

#[test]
fn a_crash_at_any_write_leaves_what_the_next_run_accepts() {
    // Each prefix of the sequence of files that a refresh keeps, and a torn
    // temporary file of a crash.
    let (mut repository, host) = known();
    let before = host.kept();
    repository.root_version += 1;
    repository.publish_root();
    repository.version += 1;
    repository.publish();
    let mut after = Host::resumed(&before);
    after.get(&repository, NAME).unwrap();
    let new = after.kept();
    for count in 0..=4 {
        let mut files = before.clone();
        for role in ["root", "timestamp", "snapshot", "targets"]
            .iter()
            .take(count)
        {
            let file = format!("{role}.json");
            files.insert(file.clone(), new[&file].clone());
        }
        files.insert(".timestamp.new".to_owned(), b"{\"sig".to_vec());
        let mut host = Host::resumed(&files);
        assert_eq!(host.get(&repository, NAME).unwrap(), GOOD, "{count}");
        assert_eq!(host.versions(), [2, 2, 2, 2]);
    }
}

#[test]
fn ten_thousand_random_byte_flips_are_never_accepted_and_never_panic() {
    let (mut repository, host) = known();
    repository.root_version += 1;
    repository.publish_root();
    repository.version += 1;
    repository.publish();
    let before = host.kept();
    let mut after = Host::resumed(&before);
    after.get(&repository, NAME).unwrap();
    let signed = |bytes: &[u8]| {
        Json::read(bytes)
            .unwrap()
            .get("signed")
            .unwrap()
            .canonical()
    };
    let expected: Vec<Vec<u8>> = after.kept().values().map(|bytes| signed(bytes)).collect();

    let remote: Vec<String> = repository
        .files
        .keys()
        .filter(|path| {
            path.starts_with("targets/")
                || ["2.root", "/timestamp", "2.snapshot", "2.targets"]
                    .iter()
                    .any(|part| path.contains(part))
        })
        .cloned()
        .collect();
    assert_eq!(remote.len(), 5, "{remote:?}");
    let local: Vec<String> = before.keys().cloned().collect();
    let mut random = support::Random(0x5eed);
    let mut refused = 0;
    for round in 0..10_000 {
        let mut files = before.clone();
        let mut served = repository.clone();
        let at = random.below(remote.len() + local.len());
        let bytes = match remote.get(at) {
            Some(path) => served.files.get_mut(path),
            None => files.get_mut(&local[at - remote.len()]),
        };
        let bytes = bytes.unwrap();
        let byte = random.below(bytes.len());
        bytes[byte] ^= 1 << random.below(8);
        let mut host = Host::resumed(&files);
        match host.get(&served, NAME) {
            // One of three signatures may be wrong, and what was kept may be
            // fetched anew: but what is believed is what was signed, byte by byte.
            Ok(package) => {
                assert_eq!(package, GOOD, "round {round}");
                let kept: Vec<Vec<u8>> = host.kept().values().map(|bytes| signed(bytes)).collect();
                assert!(kept == expected, "round {round}: {at}, byte {byte}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 5_000, "{refused}");
}

#[test]
fn what_is_signed_is_what_is_read() {
    let signed = sign::object([("a", sign::text("ü\"\\")), ("b", Json::Int(-1))]);
    let file = support::signed(&signed, &[&key(1)]);
    assert_eq!(Json::read(&file).unwrap().get("signed"), Some(&signed));
    assert!(day(1).ends_with('Z'));
}
