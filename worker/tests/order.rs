//! Jobs that a worker must not run.
#![allow(clippy::unwrap_used)]

use jiff::{SignedDuration, Timestamp};
use resplice_api::{Check, JobId, Lease, LeasedUpdate, UpdateId};
use resplice_package::SecretKey;
use resplice_worker::lease::{Refused, verify};
use sha2::{Digest, Sha256};

fn signed(key: &SecretKey, mut lease: Lease, worker: &str) -> Lease {
    lease.signature = hex::encode(key.sign(lease.signed(worker).as_bytes()));
    lease
}

fn lease(now: Timestamp) -> Lease {
    let patch = "--- a/x\n+++ b/x\n".to_owned();
    Lease {
        job: JobId::new(),
        attempt: 1,
        target: "debian:6.1.0-50-amd64".to_owned(),
        supersedes: vec!["rsp_1".to_owned()],
        lease_seconds: 30,
        issued_at: now,
        signature: String::new(),
        update: LeasedUpdate {
            id: UpdateId::new(),
            name: "a fix".to_owned(),
            cves: Vec::new(),
            patch_sha256: hex::encode(Sha256::digest(&patch)),
            patch,
            check: None,
        },
    }
}

#[test]
fn only_what_the_server_signed_for_this_worker_is_run() {
    let now = Timestamp::now();
    let (key, other) = (
        SecretKey::generate().unwrap(),
        SecretKey::generate().unwrap(),
    );
    let check = |lease: &Lease| verify(lease, "w", &key.public(), now);
    let good = signed(&key, lease(now), "w");
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&lease(now)), Err(Refused::Unsigned));
    let by_other = signed(&other, lease(now), "w");
    assert_eq!(check(&by_other), Err(Refused::Forged));
    let for_other = signed(&key, lease(now), "v");
    assert_eq!(check(&for_other), Err(Refused::Forged));
    for junk in ["00", &"zz".repeat(64), &"0".repeat(128)] {
        let lease = Lease {
            signature: junk.to_owned(),
            ..good.clone()
        };
        assert_eq!(check(&lease), Err(Refused::Forged), "{junk}");
    }
}

#[test]
fn a_signature_is_good_for_nothing_but_its_job() {
    let now = Timestamp::now();
    let key = SecretKey::generate().unwrap();
    let good = signed(&key, lease(now), "w");
    let changes: [fn(&mut Lease); 9] = [
        |lease| lease.job = JobId::new(),
        |lease| lease.attempt += 1,
        |lease| lease.target = "debian:6.1.0-50-cloud-amd64".to_owned(),
        |lease| lease.supersedes.clear(),
        |lease| lease.lease_seconds += 3600,
        |lease| lease.issued_at = Timestamp::MAX,
        |lease| lease.update.id = UpdateId::new(),
        |lease| lease.update.patch.push('x'),
        |lease| {
            lease.update.check = Some(Check {
                script: Some("curl evil".to_owned()),
                files: Vec::new(),
            });
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut lease = good.clone();
        change(&mut lease);
        let refused = verify(&lease, "w", &key.public(), now);
        assert_eq!(refused, Err(Refused::Forged), "change {number}");
    }
}

#[test]
fn an_old_lease_is_not_run_again_and_a_wrong_digest_is_found() {
    let now = Timestamp::now();
    let key = SecretKey::generate().unwrap();
    let good = signed(&key, lease(now), "w");
    let at = |seconds: i64| {
        verify(
            &good,
            "w",
            &key.public(),
            now + SignedDuration::from_secs(seconds),
        )
    };
    assert_eq!(at(149), Ok(()));
    assert_eq!(at(-119), Ok(()));
    assert_eq!(at(151), Err(Refused::Time(now)));
    assert_eq!(at(-121), Err(Refused::Time(now)));
    let mut wrong = lease(now);
    wrong.update.patch.push('x');
    let wrong = signed(&key, wrong, "w");
    assert_eq!(verify(&wrong, "w", &key.public(), now), Err(Refused::Patch));
}
