//! Random byte flips over every file that the agent reads. What was signed is taken
//! as it was signed or not at all; what was not signed, this host's own notes, may say
//! something else then, but nothing that makes the agent take what nobody signed; and
//! nothing panics.
//!
//! `RESPLICE_FLIPS` says how many (1,000), `RESPLICE_SEED` which. What the server
//! sends is flipped in `agent/tuf/tests/attacks.rs`, and packages on their way have
//! the digest that their target's metadata says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::{Agent, key},
    boot::Boot,
    doctor::{Place, examine},
    journal::Journal,
    ledger::Known,
    poll::{Polled, decision},
    rig::{Rig, apply, package_bytes, update},
    server::known_plan,
    state::StateDir,
    vouch::{self, Vouched, tests::Repository},
};
use jiff::Timestamp;
use resplice_api::{Token, package_target};
use resplice_package::{Package, SecretKey};
use resplice_tlog::Signer;
use resplice_tuf::{Store, json::Json, kept::Kept};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

fn number(name: &str, otherwise: impl FnOnce() -> u64) -> u64 {
    std::env::var(name).map_or_else(|_| otherwise(), |text| text.parse().unwrap())
}

fn put(state: &StateDir, name: &str, bytes: &[u8]) {
    let path = state.path().join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A host with an update in effect from a server, and every file that there can be.
fn host() -> (Rig, String) {
    let rig = Rig::new();
    let mut agent = rig.agent_in("boot-1");
    let bytes = package_bytes("good", |_| ());
    let sha256 = resplice_package::sha256_hex(&bytes);
    let name = package_target(update().parse().unwrap(), &agent.enrolment.target);
    let length = bytes.len() as u64;
    let repository = Repository::new(1, &[(&name, length, &sha256)]);
    agent.enrolment.server = Some("http://127.0.0.1:1".to_owned());
    vouch::begin(&rig.state, repository.root()).unwrap();
    Vouched::refresh_by(&agent, &repository).unwrap();
    let log = Signer::new("log.test", &[7; 32]).unwrap();
    agent.enrolment.log_key = Some(log.verifier().to_string());
    let checkpoint = log.sign(3, [5; 32]);
    rig.state.write_json("log.json", &checkpoint).unwrap();
    rig.state.store_enrolment(&agent.enrolment).unwrap();
    apply(&mut agent);
    agent.boot_ended().unwrap();
    Polled::note(&rig.state, 300, Some("no route".to_owned())).unwrap();
    rig.state.store_sent(3).unwrap();
    rig.state
        .store_token(&Token::new("0123456789abcdef").unwrap())
        .unwrap();
    SecretKey::generate_file(&rig.state.host_key()).unwrap();
    put(
        &rig.state,
        "pause.json",
        br#"{"since":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z"}"#,
    );
    let plan = format!(
        r#"{{"etag":"\"e\"","plan":{{"updates":[{{"update_id":"{}","name":"a fix","package_sha256":"{sha256}","bytes":{length},"target":"{}","released_at":"2026-01-01T00:00:00Z"}}],"undo":[]}}}}"#,
        update(),
        agent.enrolment.target,
    );
    put(&rig.state, "plan.json", plan.as_bytes());
    // After a restart, so that all of it is looked at.
    fs::remove_dir_all(rig.path("sys")).unwrap();
    fs::create_dir(rig.path("sys")).unwrap();
    (rig, sha256)
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if fs::metadata(&path).unwrap().len() > 0 {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// What the agent makes of its files.
struct Seen {
    /// Packages that it would load.
    packages: Vec<Package>,
    /// What the repository's files on disk vouch for: versions, names, digests.
    vouched: Option<String>,
    /// Whether every file could be read.
    whole: bool,
}

fn meaning(kept: &Kept) -> String {
    format!("{:?} {:?}", kept.roles, kept.targets)
}

/// Looks at what depends on that file, or at everything.
fn look(rig: &Rig, changed: Option<&Path>) -> Seen {
    let state = &rig.state;
    let below = |dir: PathBuf| changed.is_none_or(|path| path.starts_with(dir));
    let decides = ["journal.jsonl", "plan.json", "host.json"];
    let decides = changed.is_none_or(|path| decides.iter().any(|name| path.ends_with(name)));
    let mut whole = state.token().is_ok() & state.sent().is_ok();
    whole &= SecretKey::load(&state.host_key()).is_ok();
    whole &= Polled::last(state).is_ok() & Boot::last(state).is_ok();
    let mut seen = Seen {
        packages: Vec::new(),
        vouched: None,
        whole,
    };
    if below(state.repository()) {
        let kept = Store::open(&state.repository()).and_then(|store| Kept::read(&store));
        seen.whole &= kept.is_ok();
        seen.vouched = kept.ok().as_ref().map(meaning);
    }
    let (Ok(enrolment), Ok(journal)) =
        (state.enrolment(), Journal::view(&state.journal(), "boot-2"))
    else {
        seen.whole = false;
        return seen;
    };
    seen.whole &= Known::read(state, enrolment.log_key.as_deref()).is_ok();
    let mut agent: Agent = rig.agent_with(journal);
    agent.enrolment = enrolment;
    let plan = known_plan(state);
    seen.whole &= plan.is_ok();
    let records = agent.journal.records();
    for planned in plan.ok().flatten().iter().flat_map(|plan| &plan.updates) {
        seen.whole &= decision(&agent, &records, planned).is_ok();
        if !decides && !below(state.packages()) {
            break;
        }
        if let Ok(Some(bytes)) = agent.cached_package(&planned.package_sha256) {
            seen.packages.extend(agent.verify(&bytes, None));
        }
    }
    for (update, record) in &records {
        if !decides && !below(state.packages()) {
            break;
        }
        match agent.package_to_put_back(update, record) {
            Ok(package) => seen.packages.push(package),
            Err(_) => seen.whole = false,
        }
    }
    // Its metadata was looked at above.
    agent.enrolment.server = None;
    let place = Place {
        root: rig.path("machine"),
        now: Timestamp::now(),
    };
    seen.whole &= examine(&agent, &place).len() > 5;
    seen.whole &= agent.hold_against_packages().is_ok();
    seen
}

#[test]
fn random_byte_flips_in_every_file_are_never_accepted_and_never_panic() {
    let count = number("RESPLICE_FLIPS", || 1_000);
    let seed = number("RESPLICE_SEED", || {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes) | 1
    });
    eprintln!("RESPLICE_FLIPS={count} RESPLICE_SEED={seed}");
    let (rig, sha256) = host();
    let files = files(rig.state.path());
    for name in [
        "host.json",
        "host.key",
        "token",
        "journal.jsonl",
        "sent",
        "plan.json",
        "poll.json",
        "pause.json",
        "boot.json",
        "repository/root.json",
        "repository/timestamp.json",
        "repository/snapshot.json",
        "repository/targets.json",
    ] {
        assert!(files.contains_key(&rig.state.path().join(name)), "{name}");
    }
    assert!(files.contains_key(&rig.state.package(&sha256)));
    let genuine = look(&rig, None);
    assert!(genuine.whole && genuine.packages.len() == 2 && genuine.vouched.is_some());
    let names: Vec<&PathBuf> = files.keys().collect();
    let mut random = fastrand::Rng::with_seed(seed);
    // Refused; the same meaning, by file; notes of this host that say something else.
    let (mut refused, mut same, mut other) = (0, BTreeMap::new(), 0);
    for round in 0..count {
        let path = names[random.usize(..names.len())];
        let at = random.usize(..files[path].len());
        let mut bytes = files[path].clone();
        bytes[at] ^= 1 << random.u8(..8);
        fs::write(path, &bytes).unwrap();
        let seen = look(&rig, Some(path));
        let context = format!("seed {seed}, round {round}: {} at {at}", path.display());
        for package in &seen.packages {
            assert_eq!(package.digest(), sha256, "{context}");
            assert_eq!(key(package), update(), "{context}");
        }
        if let Some(vouched) = &seen.vouched {
            assert_eq!(Some(vouched), genuine.vouched.as_ref(), "{context}");
        }
        let is_package = path.starts_with(rig.state.packages());
        let is_metadata = path.starts_with(rig.state.repository());
        if is_package {
            assert!(seen.packages.is_empty(), "{context}");
            refused += 1;
        } else if is_metadata && seen.vouched.is_some() {
            // Only outside of what is signed, or in how the same value is written.
            let signed = |bytes: &[u8]| {
                Json::read(bytes)
                    .unwrap()
                    .get("signed")
                    .unwrap()
                    .canonical()
            };
            assert_eq!(signed(&bytes), signed(&files[path]), "{context}");
            *same
                .entry(path.file_name().unwrap().to_owned())
                .or_insert(0) += 1;
        } else if seen.whole {
            other += 1;
        } else {
            refused += 1;
        }
        fs::write(path, &files[path]).unwrap();
    }
    eprintln!("refused {refused}, the same signed meaning {same:?}, other notes {other}");
    assert!(look(&rig, None).whole);
    assert!(refused * 3 > count, "{refused} of {count}");
}
