//! Bundles, good ones and hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::{
    journal::State,
    rig::{Rig, package_bytes},
    vouch::{self, tests::Repository},
};
use resplice_api::package_target;
use resplice_package::example;
use std::path::PathBuf;
use tar::{Builder, Header};

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

/// A repository's files and one package.
fn files(agent: &Agent, version: i64, package: &[u8]) -> Vec<(String, Vec<u8>)> {
    let sha256 = resplice_package::sha256_hex(package);
    let name = target(agent);
    let repository = Repository::new(version, &[(&name, package.len() as u64, &sha256)]);
    let metadata = repository.files();
    let mut files: Vec<(String, Vec<u8>)> = metadata
        .iter()
        .map(|(name, bytes)| (format!("metadata/{name}"), bytes.clone()))
        .collect();
    files.push((format!("targets/{sha256}.{name}"), package.to_vec()));
    files
}

/// A host without a server that has begun with a root brought by hand.
fn host() -> (Rig, Agent) {
    let rig = Rig::new();
    let agent = rig.agent();
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
