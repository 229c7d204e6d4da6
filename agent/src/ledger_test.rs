//! A log that does not say what it must.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::rig::Rig;
use jiff::Timestamp;
use resplice_api::{LoggedPackage, UpdateId};
use resplice_tlog::{Signer, tree::leaf_hash, tree::node_hash};

const TARGET: &str = "debian:6.1.0-50-cloud-amd64";
const UPDATE: &str = "0199b1a2-0000-7000-8000-000000000001";

fn signer() -> Signer {
    Signer::new("log.test", &[7; 32]).unwrap()
}

fn planned() -> PlannedUpdate {
    PlannedUpdate {
        update_id: UPDATE.parse().unwrap(),
        name: "it".to_owned(),
        package_sha256: "ab".repeat(32),
        bytes: 7,
        target: TARGET.to_owned(),
        released_at: Timestamp::UNIX_EPOCH,
    }
}

fn release(update: UpdateId, target: &str, sha256: &str) -> String {
    let entry = LogEntry::Release {
        update,
        at: Timestamp::UNIX_EPOCH,
        by: "carol".to_owned(),
        patch_sha256: "cd".repeat(32),
        packages: vec![LoggedPackage {
            target: target.to_owned(),
            sha256: sha256.to_owned(),
        }],
    };
    serde_json::to_string(&entry).unwrap()
}

fn good() -> String {
    let planned = planned();
    release(planned.update_id, TARGET, &planned.package_sha256)
}

fn text(hashes: &[Hash]) -> Vec<String> {
    let encode = |hash: &Hash| BASE64_STANDARD.encode(hash);
    hashes.iter().map(encode).collect()
}

/// A log with another entry, this one, and then perhaps a third.
fn log(entry: &str, first: &str, size: u64) -> ReleaseProof {
    let leaves = [first, entry, "third"].map(|entry| leaf_hash(entry.as_bytes()));
    let two = node_hash(&leaves[0], &leaves[1]);
    let (root, proof, consistency) = match size {
        2 => (two, vec![leaves[0]], vec![]),
        _ => (
            node_hash(&two, &leaves[2]),
            vec![leaves[0], leaves[2]],
            vec![leaves[2]],
        ),
    };
    ReleaseProof {
        entry: entry.to_owned(),
        index: 1,
        proof: text(&proof),
        consistency: text(&consistency),
        checkpoint: signer().sign(size, root),
    }
}

fn known(newest: Option<&ReleaseProof>) -> Known {
    let key = signer().verifier();
    let newest = newest.map(|proof| key.open(&proof.checkpoint).unwrap());
    Known { key, newest }
}

#[test]
fn a_release_in_a_log_that_only_grew_is_accepted() {
    let two = log(&good(), "first", 2);
    assert_eq!(known(None).accept(&two, &planned()).unwrap().size, 2);
    assert_eq!(known(Some(&two)).accept(&two, &planned()).unwrap().size, 2);
    let three = log(&good(), "first", 3);
    assert_eq!(
        known(Some(&two)).accept(&three, &planned()).unwrap().size,
        3
    );
}

#[test]
fn a_fork_or_a_cut_log_is_refused_and_named() {
    let two = log(&good(), "first", 2);
    let three = log(&good(), "first", 3);
    let refused = |before: &ReleaseProof, now: &ReleaseProof| {
        known(Some(before)).accept(now, &planned()).unwrap_err()
    };
    assert!(refused(&three, &two).contains("was cut: it had 3 entries, now it has 2"));
    // Another history, well signed: of the same size, and longer.
    for size in [2, 3] {
        let fork = log(&good(), "another first", size);
        assert!(refused(&two, &fork).contains("not the one that this host has seen"));
    }
    let mut silent = three.clone();
    silent.consistency.clear();
    assert!(refused(&two, &silent).contains("not the one"));
}

#[test]
fn an_entry_that_is_missing_or_of_something_else_is_refused() {
    let planned = planned();
    let other = UpdateId::new();
    for entry in [
        release(other, TARGET, &planned.package_sha256),
        release(planned.update_id, TARGET, &"00".repeat(32)),
        release(planned.update_id, "debian:other", &planned.package_sha256),
        "third".to_owned(),
        "{}".to_owned(),
    ] {
        let proof = log(&entry, "first", 2);
        assert!(known(None).accept(&proof, &planned).is_err(), "{entry}");
    }
    // An entry that the tree does not have, at its place or at another one.
    let mut forged = log("what it has", "first", 2);
    forged.entry = good();
    assert!(known(None).accept(&forged, &planned).is_err());
    let mut moved = log(&good(), "first", 2);
    for index in [0, 2, u64::MAX] {
        moved.index = index;
        assert!(known(None).accept(&moved, &planned).is_err());
    }
}

#[test]
fn another_key_a_damaged_proof_and_endless_ones_are_refused() {
    let planned = planned();
    let good = log(&good(), "first", 2);
    let other = Signer::new("log.test", &[8; 32]).unwrap();
    let checkpoint = known(None).key.open(&good.checkpoint).unwrap();
    let bad = [
        ReleaseProof {
            checkpoint: other.sign(2, checkpoint.root),
            ..good.clone()
        },
        ReleaseProof {
            checkpoint: String::new(),
            ..good.clone()
        },
        ReleaseProof {
            proof: vec!["?".to_owned()],
            ..good.clone()
        },
        ReleaseProof {
            proof: vec![String::new(); 1 << 20],
            ..good.clone()
        },
    ];
    for proof in bad {
        assert!(known(None).accept(&proof, &planned).is_err());
    }
}

#[test]
fn a_host_without_the_logs_key_or_with_a_damaged_memory_takes_nothing() {
    let rig = Rig::new();
    let error = |key: Option<&str>| match Known::read(&rig.state, key) {
        Ok(_) => panic!("there is nothing to go by"),
        Err(error) => format!("{error:#}"),
    };
    assert!(error(None).contains("enrol again"));
    assert!(error(Some("no key")).contains("enrol again"));
    let key = signer().verifier().to_string();
    assert!(Known::read(&rig.state, Some(&key)).is_ok());
    let other = Signer::new("log.test", &[8; 32]).unwrap();
    rig.state.write_json(FILE, &other.sign(1, [0; 32])).unwrap();
    assert!(error(Some(&key)).contains("damaged"));
    begin(&rig.state, &key).unwrap();
    assert!(Known::read(&rig.state, Some(&key)).is_ok());
}
