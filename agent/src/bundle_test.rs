//! Bundles, good ones and hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::{
    journal::State,
    rig::{Rig, package_bytes},
    vouch::{self, tests::Repository},
};
use jiff::Timestamp;
use resplice_api::{LogEntry, LoggedPackage, package_target};
use resplice_package::example;
use resplice_tlog::{Signer, tree::Frontier, tree::leaf_hash};
use std::path::PathBuf;
use tar::{Builder, Header};

/// Names and contents.
type Files = Vec<(String, Vec<u8>)>;

fn target(agent: &Agent) -> String {
    let update = example::manifest().update_id.parse().unwrap();
    package_target(update, &agent.enrolment.target)
}

fn write(rig: &Rig, files: &[(String, Vec<u8>)]) -> PathBuf {
    let path = rig.path("bundle.tar");
    let mut tar = Builder::new(File::create(&path).unwrap());
    for (name, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if tar.append_data(&mut header, name, bytes.as_slice()).is_ok() {
            continue;
        }
        // It refuses names that lead elsewhere.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap();
    path
}

fn log_signer() -> Signer {
    Signer::new("log.test", &[7; 32]).unwrap()
}

/// The log's files: some entries before and after the release of the package.
fn log(agent: &Agent, before: usize, sha256: &str, after: usize) -> Files {
    let update: UpdateId = example::manifest().update_id.parse().unwrap();
    let release = LogEntry::Release {
        update,
        at: Timestamp::UNIX_EPOCH,
        by: "carol".to_owned(),
        patch_sha256: "cd".repeat(32),
        packages: vec![LoggedPackage {
            target: agent.enrolment.target.clone(),
            sha256: sha256.to_owned(),
        }],
    };
    let entry = serde_json::to_string(&release).unwrap();
    let other = |index: usize| format!("entry {index}");
    let mut entries: Vec<String> = (0..before).map(other).collect();
    entries.push(entry.clone());
    entries.extend((0..after).map(other));
    let mut frontier = Frontier::default();
    let mut leaves = Vec::new();
    for entry in &entries {
        let leaf = leaf_hash(entry.as_bytes());
        frontier.push(leaf);
        leaves.extend(leaf);
    }
    let checkpoint = log_signer().sign(frontier.size(), frontier.root());
    let entry = BundledEntry {
        index: before as u64,
        entry,
    };
    vec![
        ("log/checkpoint".to_owned(), checkpoint.into_bytes()),
        ("log/leaves".to_owned(), leaves),
        (format!("log/{update}"), serde_json::to_vec(&entry).unwrap()),
    ]
}

/// Puts other files in the place of those with the same names.
fn replaced(mut files: Files, by: &[(String, Vec<u8>)]) -> Files {
    files.retain(|(name, _)| by.iter().all(|(other, _)| other != name));
    files.extend_from_slice(by);
    files
}

/// A repository's files, one package, and its log's.
fn files(agent: &Agent, version: i64, package: &[u8]) -> Files {
    let sha256 = resplice_package::sha256_hex(package);
    let name = target(agent);
    let repository = Repository::new(version, &[(&name, package.len() as u64, &sha256)]);
    let metadata = repository.files();
    let mut files: Files = metadata
        .iter()
        .map(|(name, bytes)| (format!("metadata/{name}"), bytes.clone()))
        .collect();
    files.extend(log(agent, 300, &sha256, 2));
    // Last: what tests exchange.
    files.push((format!("targets/{sha256}.{name}"), package.to_vec()));
    files
}

/// A host without a server that has begun with a root brought by hand.
fn host() -> (Rig, Agent) {
    let rig = Rig::new();
    let mut agent = rig.agent();
    agent.enrolment.log_key = Some(log_signer().verifier().to_string());
    vouch::begin(&rig.state, Repository::new(1, &[]).root()).unwrap();
    (rig, agent)
}

fn take(rig: &Rig, agent: &mut Agent, files: &[(String, Vec<u8>)]) -> Result<Vec<Outcome>> {
    apply(agent, &write(rig, files))
}

#[test]
fn a_bundle_is_applied_without_a_network_and_once() {
    let (rig, mut agent) = host();
    let files = files(&agent, 2, &package_bytes("good", |_| ()));
    let outcomes = take(&rig, &mut agent, &files).unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].state, State::Applied, "{outcomes:?}");
    assert!(rig.is_live());
    assert!(take(&rig, &mut agent, &files).unwrap().is_empty());
}

#[test]
fn what_the_bundles_log_does_not_prove_is_refused() {
    let package = package_bytes("good", |_| ());
    let sha256 = resplice_package::sha256_hex(&package);
    let outcome = |change: &dyn Fn(&Agent, Files) -> Files| {
        let (rig, mut agent) = host();
        let good = files(&agent, 2, &package);
        let changed = change(&agent, good);
        let mut outcomes = take(&rig, &mut agent, &changed).unwrap();
        assert!(!rig.is_live());
        let outcome = outcomes.pop().unwrap();
        assert_eq!(outcome.code.as_deref(), Some("log"), "{outcome:?}");
        (outcome.state, outcome.detail.unwrap())
    };
    let update = example::manifest().update_id;
    let without = |end: &str| {
        outcome(&|_, mut files| {
            files.retain(|(name, _)| !name.ends_with(end) || name.starts_with("targets"));
            files
        })
    };
    let (state, why) = without(&update);
    assert_eq!(state, State::Refused);
    assert!(why.contains("has no release of"), "{why}");
    for part in ["checkpoint", "leaves"] {
        assert_eq!(without(part).0, State::Failed);
    }
    // Of another package; of a log that another key signs; hashes of another log.
    let (state, why) =
        outcome(&|agent, files| replaced(files, &log(agent, 300, &"00".repeat(32), 2)));
    assert_eq!(state, State::Refused);
    assert!(why.contains("another release"), "{why}");
    let other = Signer::new("log.test", &[8; 32]).unwrap().sign(3, [0; 32]);
    let forged = ("log/checkpoint".to_owned(), other.into_bytes());
    let (state, _) = outcome(&|_, files| replaced(files, std::slice::from_ref(&forged)));
    assert_eq!(state, State::Refused);
    let (state, _) = outcome(&|agent, files| replaced(files, &log(agent, 300, &sha256, 3)[1..2]));
    assert_eq!(state, State::Refused);
    // A host that was not told the log's key goes by none.
    let (rig, mut agent) = host();
    agent.enrolment.log_key = None;
    let files = files(&agent, 2, &package);
    let outcomes = take(&rig, &mut agent, &files).unwrap();
    assert!(outcomes[0].detail.as_deref().unwrap().contains("--log-key"));
    assert!(!rig.is_live());
}

#[test]
fn a_bundles_log_must_go_on_from_what_the_host_has_seen() {
    let package = package_bytes("good", |_| ());
    let sha256 = resplice_package::sha256_hex(&package);
    let (rig, mut agent) = host();
    let seen = log(&agent, 300, &sha256, 2).swap_remove(0).1;
    let seen = String::from_utf8(seen).unwrap();
    let forked = replaced(files(&agent, 2, &package), &log(&agent, 301, &sha256, 9));
    rig.state.write_json("log.json", &seen).unwrap();
    let outcomes = take(&rig, &mut agent, &forked).unwrap();
    assert_eq!(outcomes[0].state, State::Refused);
    assert!(
        outcomes[0]
            .detail
            .as_deref()
            .unwrap()
            .contains("not the one")
    );
    // The same host, a log that is shorter than what it has seen: an old bundle.
    let (rig, mut agent) = host();
    rig.state.write_json("log.json", &seen).unwrap();
    let old = replaced(files(&agent, 2, &package), &log(&agent, 300, &sha256, 1));
    let outcomes = take(&rig, &mut agent, &old).unwrap();
    assert_eq!(outcomes[0].state, State::Failed);
    assert!(
        outcomes[0]
            .detail
            .as_deref()
            .unwrap()
            .contains("newer bundle")
    );
    // It goes on: taken, and remembered.
    let longer = replaced(files(&agent, 2, &package), &log(&agent, 300, &sha256, 700));
    let outcomes = take(&rig, &mut agent, &longer).unwrap();
    assert_eq!(outcomes[0].state, State::Applied, "{outcomes:?}");
    let now: String = rig.state.read_json("log.json").unwrap().unwrap();
    assert!(now.contains("\n1001\n"), "{now}");
}

#[test]
fn an_older_bundle_than_the_last_one_is_refused() {
    let (rig, mut agent) = host();
    let package = package_bytes("good", |_| ());
    let newer = files(&agent, 3, &package);
    let older = files(&agent, 2, &package);
    take(&rig, &mut agent, &newer).unwrap();
    let error = format!("{:#}", take(&rig, &mut agent, &older).unwrap_err());
    assert!(error.contains("rolled back"), "{error}");
}

#[test]
fn an_expired_bundle_is_refused() {
    let (rig, mut agent) = host();
    let package = package_bytes("good", |_| ());
    let mut files = files(&agent, 2, &package);
    files.retain(|(name, _)| !name.ends_with("timestamp.json"));
    let timestamp = Repository::new(2, &[]).expired(2).files()["timestamp.json"].clone();
    files.push(("metadata/timestamp.json".to_owned(), timestamp));
    let error = format!("{:#}", take(&rig, &mut agent, &files).unwrap_err());
    assert!(error.contains("expired"), "{error}");
    assert!(!rig.is_live());
}

#[test]
fn a_package_that_the_bundles_metadata_does_not_vouch_for_is_refused() {
    let (rig, mut agent) = host();
    let mut swapped = files(&agent, 2, &package_bytes("good", |_| ()));
    let other = package_bytes("good", |manifest| manifest.name = "another".to_owned());
    swapped.last_mut().unwrap().1 = other;
    let outcomes = take(&rig, &mut agent, &swapped).unwrap();
    assert_eq!(outcomes[0].state, State::Failed, "{outcomes:?}");
    assert!(!rig.is_live());
    // Signed by the repository, but by no worker that this host trusts.
    let (rig, mut agent) = host();
    agent.enrolment.worker_keys.clear();
    let files = files(&agent, 2, &package_bytes("good", |_| ()));
    let outcomes = take(&rig, &mut agent, &files).unwrap();
    assert_eq!(outcomes[0].code.as_deref(), Some("package"), "{outcomes:?}");
    assert!(!rig.is_live());
}

#[test]
fn a_host_without_a_root_takes_no_bundle() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let files = files(&agent, 2, &package_bytes("good", |_| ()));
    let error = format!("{:#}", take(&rig, &mut agent, &files).unwrap_err());
    assert!(error.contains("root"), "{error}");
}

#[test]
fn hostile_tar_files_are_refused_before_anything_is_read_from_them() {
    let (rig, _) = host();
    let refused = |path: &Path| format!("{:#}", Bundle::open(path).err().unwrap());
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "metadata/../x",
        "metadata/a/b",
        "metadata/",
        "targets/.hidden",
        "elsewhere/x",
    ] {
        let error = refused(&write(&rig, &[(name.to_owned(), b"x".to_vec())]));
        assert!(error.contains("no file of a repository"), "{name}: {error}");
    }
    let twice = ("metadata/timestamp.json".to_owned(), b"x".to_vec());
    assert!(refused(&write(&rig, &[twice.clone(), twice])).contains("twice"));
    assert!(refused(&write(&rig, &[])).contains("nothing"));
    let path = rig.path("link.tar");
    let mut tar = Builder::new(File::create(&path).unwrap());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "metadata/timestamp.json", "/etc/shadow")
        .unwrap();
    tar.into_inner().unwrap();
    assert!(refused(&path).contains("no plain file"));
    std::fs::write(&path, [0xff; 2000]).unwrap();
    refused(&path);
}

#[test]
fn a_flipped_bit_in_what_is_read_of_a_bundle_lets_nothing_in() {
    let package = package_bytes("good", |_| ());
    let (_rig, agent) = host();
    let good = files(&agent, 2, &package);
    // The host has the root already, and does not read it again.
    let read = |name: &str| !name.ends_with("root.json");
    for (number, (name, bytes)) in good.iter().enumerate().filter(|(_, file)| read(&file.0)) {
        for place in (0..bytes.len()).step_by(bytes.len().div_ceil(40)) {
            let mut flipped = good.clone();
            // The lowest: another bit may turn a digit of a signature into its capital.
            flipped[number].1[place] ^= 1;
            let (rig, mut agent) = host();
            let _ = take(&rig, &mut agent, &flipped);
            assert!(!rig.is_live(), "byte {place} of {name}");
        }
    }
}

#[test]
fn a_bundle_that_is_cut_off_anywhere_changes_nothing() {
    let (rig, mut agent) = host();
    let path = write(&rig, &files(&agent, 2, &package_bytes("good", |_| ())));
    let whole = std::fs::read(&path).unwrap();
    // The two blocks of zeroes at its end may be missing.
    for length in (0..whole.len() - 1024).step_by(500) {
        std::fs::write(&path, &whole[..length]).unwrap();
        if let Ok(outcomes) = apply(&mut agent, &path) {
            assert!(
                outcomes.iter().all(|o| o.state != State::Applied),
                "{length}"
            );
        }
        assert!(!rig.is_live(), "{length}");
    }
}
