//! A server whose plan and repository do not say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::state::Enrolment;
use resplice_api::HostId;
use resplice_package::SecretKey;
use resplice_tuf::{
    FetchError,
    json::Json,
    sign::{object, public, seal, text},
};
use std::collections::BTreeMap;

const SINCE: &str = "2026-01-01T00:00:00Z";
const TARGET: &str = "debian:6.1.0-50-cloud-amd64";

/// One key for all roles, which is enough here.
pub(crate) struct Repository(BTreeMap<String, Vec<u8>>);

impl Repository {
    /// With a timestamp that was good once.
    pub(crate) fn expired(mut self, version: i64) -> Self {
        let entry = object([("version", Json::Int(version))]);
        let more = [
            ("meta", object([("snapshot.json", entry)])),
            ("expires", text("2020-01-01T00:00:00Z")),
        ];
        self.put("timestamp", "timestamp", version, &more);
        self
    }

    pub(crate) fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.0
    }

    pub(crate) fn root(&self) -> &[u8] {
        &self.0["1.root.json"]
    }

    pub(crate) fn new(version: i64, targets: &[(&str, u64, &str)]) -> Self {
        let mut repository = Self(BTreeMap::new());
        let (id, value) = public(&key().public().bytes());
        let role = object([
            ("keyids", Json::Array(vec![text(&id)])),
            ("threshold", Json::Int(1)),
        ]);
        let roles = ["root", "targets", "snapshot", "timestamp"];
        let roles = roles.map(|name| (name.to_owned(), role.clone()));
        let members = [
            ("consistent_snapshot", Json::Bool(true)),
            ("keys", object([(id.as_str(), value)])),
            ("roles", Json::Object(roles.into())),
        ];
        repository.put("1.root", "root", 1, &members);
        let list = targets.iter().map(|(name, length, sha256)| {
            let terms = object([("channel", text("stable")), ("since", text(SINCE))]);
            ((*name).to_owned(), entry(*length, sha256, terms))
        });
        let list = Json::Object(list.collect());
        let meta = |file| {
            let entry = object([("version", Json::Int(version))]);
            [("meta", object([(file, entry)]))]
        };
        let name = |role| format!("{version}.{role}");
        repository.put(&name("targets"), "targets", version, &[("targets", list)]);
        repository.put(
            &name("snapshot"),
            "snapshot",
            version,
            &meta("targets.json"),
        );
        repository.put("timestamp", "timestamp", version, &meta("snapshot.json"));
        repository
    }

    /// Lists one target instead, on other terms.
    pub(crate) fn with_terms(&mut self, version: i64, name: &str, sha256: &str, terms: Json) {
        let list = object([(name, entry(7, sha256, terms))]);
        let file = format!("{version}.targets");
        self.put(&file, "targets", version, &[("targets", list)]);
    }

    fn put(&mut self, file: &str, role: &str, version: i64, more: &[(&str, Json)]) {
        let head = [
            ("_type", text(role)),
            ("spec_version", text("1.0.33")),
            ("version", Json::Int(version)),
            ("expires", text("2999-01-01T00:00:00Z")),
        ];
        let members = head.iter().chain(more);
        let members = members.map(|(name, value)| ((*name).to_owned(), value.clone()));
        let signed = Json::Object(members.collect());
        let signature = hex(&key().sign(&signed.canonical()));
        let (id, _) = public(&key().public().bytes());
        let bytes = seal(&signed, &BTreeMap::from([(id, signature)]));
        self.0.insert(format!("{file}.json"), bytes);
    }
}

impl Fetch for &Repository {
    fn metadata(&mut self, name: &str, _: u64) -> Result<Vec<u8>, FetchError> {
        self.0.get(name).cloned().ok_or(FetchError::Missing)
    }

    fn target(&mut self, _: &str, _: u64) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::Missing)
    }
}

fn entry(length: u64, sha256: &str, terms: Json) -> Json {
    object([
        ("length", Json::Int(i64::try_from(length).unwrap())),
        ("hashes", object([("sha256", text(sha256))])),
        ("custom", terms),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

/// An enrolled host that has begun with the repository's root.
fn host(dir: &tempfile::TempDir, repository: &Repository) -> Agent {
    let state = StateDir::new(&dir.path().join("state"));
    state.create().unwrap();
    let enrolment = Enrolment {
        server: Some("http://127.0.0.1:1".to_owned()),
        host_id: Some(HostId::new()),
        name: "host".to_owned(),
        target: TARGET.to_owned(),
        worker_keys: Vec::new(),
        log_key: None,
        channel: Channel::Stable,
    };
    state.store_enrolment(&enrolment).unwrap();
    begin(&state, &repository.0["1.root.json"]).unwrap();
    crate::journal::Journal::open(&state.journal(), "boot").unwrap();
    Agent::view(&state).unwrap()
}

fn planned(update: UpdateId, sha256: &str, bytes: u64) -> PlannedUpdate {
    PlannedUpdate {
        update_id: update,
        name: "a fix".to_owned(),
        package_sha256: sha256.to_owned(),
        bytes,
        target: TARGET.to_owned(),
        released_at: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

#[test]
fn only_what_plan_and_repository_agree_on_is_taken() {
    let (update, other) = (UpdateId::new(), UpdateId::new());
    let (good, evil) = ("ab".repeat(32), "cd".repeat(32));
    let name = package_target(update, TARGET);
    let elsewhere = package_target(other, "debian:6.1.0-50-amd64");
    let repository = Repository::new(1, &[(&name, 7, &good), (&elsewhere, 7, &evil)]);
    let dir = tempfile::tempdir().unwrap();
    let agent = host(&dir, &repository);
    let vouched = Vouched::refresh_by(&agent, &repository).unwrap();

    let target = vouched.target(&planned(update, &good, 7)).unwrap();
    assert_eq!((target.length, target.sha256().unwrap()), (7, good.clone()));
    for contradiction in [planned(update, &evil, 7), planned(update, &good, 8)] {
        let doubt = vouched.target(&contradiction).unwrap_err();
        assert!(matches!(doubt, Doubt::Contradicts(_)), "{doubt}");
    }
    // What is vouched for on another kernel is not vouched for on this one.
    let doubt = vouched.target(&planned(other, &evil, 7)).unwrap_err();
    assert!(matches!(doubt, Doubt::Unknown(_)), "{doubt}");
}

#[test]
fn a_server_that_was_set_back_is_not_believed_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let agent = host(&dir, &Repository::new(3, &[]));
    Vouched::refresh_by(&agent, &Repository::new(3, &[])).unwrap();
    let error = Vouched::refresh_by(&agent, &Repository::new(2, &[]))
        .err()
        .unwrap();
    let words = format!("{error:#}");
    assert!(
        words.contains("can't be believed") && words.contains("rolled back"),
        "{words}"
    );
    // Nor is it after the agent has been started anew.
    let agent = Agent::view(&agent.state).unwrap();
    assert!(Vouched::refresh_by(&agent, &Repository::new(2, &[])).is_err());
}

#[test]
fn a_host_without_a_root_believes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(1, &[]);
    let agent = host(&dir, &repository);
    std::fs::remove_file(agent.state.repository().join("root.json")).unwrap();
    let error = Vouched::refresh_by(&agent, &repository).err().unwrap();
    assert!(format!("{error:#}").contains("enrol again"), "{error:#}");
    let mut unsigned = repository.0["1.root.json"].clone();
    let at = unsigned.len() / 2;
    unsigned[at] ^= 1;
    assert!(begin(&agent.state, &unsigned).is_err());
}

#[test]
fn a_server_can_not_give_an_update_to_hosts_of_a_channel_that_it_is_not_signed_for() {
    let (update, sha256) = (UpdateId::new(), "ab".repeat(32));
    let name = package_target(update, TARGET);
    let dir = tempfile::tempdir().unwrap();
    for (version, terms) in [
        object([("channel", text("candidate")), ("since", text(SINCE))]),
        object([("channel", text("edge")), ("since", text(SINCE))]),
        // What this host does not understand, it does not take.
        object([
            ("channel", text("stable")),
            ("since", text(SINCE)),
            ("only_on", text("mondays")),
        ]),
        object([]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut repository = Repository::new(1 + version as i64, &[]);
        repository.with_terms(1 + version as i64, &name, &sha256, terms.clone());
        let agent = host(&dir, &repository);
        let vouched = Vouched::refresh_by(&agent, &repository).unwrap();
        let doubt = vouched.target(&planned(update, &sha256, 7)).unwrap_err();
        assert!(matches!(doubt, Doubt::Withheld(_)), "{terms:?}: {doubt}");
    }
}

#[test]
fn a_host_keeps_to_its_place_in_the_signed_waves_whatever_the_plan_says() {
    let (update, sha256) = (UpdateId::new(), "ab".repeat(32));
    let name = package_target(update, TARGET);
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::new(1, &[]);
    let agent = host(&dir, &repository);
    let id = agent.enrolment.host_id.unwrap();
    let place = resplice_rollout::Place::of("seed", id).place;
    let now = Timestamp::now();
    let hours = |hours| now + jiff::SignedDuration::from_hours(hours);
    let int = |number: u64| Json::Int(i64::try_from(number).unwrap());
    let all = resplice_rollout::PLACES;
    let mut version = 1;
    let mut may = |started: Timestamp, steps: &[(u64, u64)]| {
        let step =
            |&(after, below): &(u64, u64)| object([("after_s", int(after)), ("below", int(below))]);
        let wave = object([
            ("plan", text("careful")),
            ("seed", text("seed")),
            ("started_at", text(&started.to_string())),
            ("jitter_s", int(0)),
            ("steps", Json::Array(steps.iter().map(step).collect())),
        ]);
        let terms = object([
            ("channel", text("stable")),
            ("since", text(SINCE)),
            ("wave", wave),
        ]);
        version += 1;
        repository.0.extend(Repository::new(version, &[]).0);
        repository.with_terms(version, &name, &sha256, terms);
        let vouched = Vouched::refresh_by(&agent, &repository).unwrap();
        vouched.target(&planned(update, &sha256, 7)).is_ok()
    };
    assert!(may(hours(-1), &[(0, all)]));
    assert!(!may(hours(1), &[(0, all)]), "it has not begun");
    assert!(
        !may(hours(-1), &[(0, place), (7200, all)]),
        "its turn comes in an hour"
    );
    assert!(may(hours(-1), &[(0, place + 1), (7200, all)]));
    assert!(may(hours(-3), &[(0, place), (7200, all)]));
    assert!(!may(hours(-3), &[(0, place)]), "no step lets it in");
}

#[test]
fn what_the_owner_defers_is_withheld_from_the_daemon_alone() {
    let (update, sha256) = (UpdateId::new(), "ab".repeat(32));
    let name = package_target(update, TARGET);
    let dir = tempfile::tempdir().unwrap();
    let mut repository = Repository::new(1, &[]);
    let now = Timestamp::now().to_string();
    let terms = object([("channel", text("stable")), ("since", text(&now))]);
    repository.with_terms(1, &name, &sha256, terms);
    let agent = host(&dir, &repository);
    let planned = planned(update, &sha256, 7);
    let vouched = Vouched::refresh_by(&agent, &repository).unwrap();
    let may = || vouched.in_season(&planned, &Calendar::read(&agent.state).unwrap());
    may().unwrap();
    std::fs::write(
        dir.path().join("state/rollout.json"),
        r#"{"defer_days": 1}"#,
    )
    .unwrap();
    let doubt = may().unwrap_err();
    assert!(doubt.to_string().contains("deferred by 1 day"), "{doubt}");
    vouched.target(&planned).unwrap();
}
