//! What the repository says is revoked, against a stand-in for the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::{Agent, REVOKED},
    journal::{By, Entry, State},
    policy::Decision,
    poll::decision,
    rig::{Rig, apply, update},
    vouch::{self, Doubt, Vouched, tests::Repository},
};
use jiff::Timestamp;
use resplice_api::{PlannedUpdate, package_target};
use resplice_tuf::{
    json::Json,
    sign::{object, text},
};

const REASON: &str = "it leaks \u{1b}[31mmemory";
const SHA256: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A repository in which the example's update was taken back.
fn repository(undo: bool) -> Repository {
    let name = package_target(update().parse().unwrap(), "debian:6.1.0-50-cloud-amd64");
    let since = text("2026-01-01T00:00:00Z");
    let revoked = object([
        ("at", since.clone()),
        ("undo", Json::Bool(undo)),
        ("reason", text(REASON)),
    ]);
    let terms = object([
        ("channel", text("edge")),
        ("since", since),
        ("revoked", revoked),
    ]);
    let mut repository = Repository::new(1, &[]);
    repository.with_terms(1, &name, SHA256, terms);
    repository
}

fn planned() -> PlannedUpdate {
    PlannedUpdate {
        update_id: update().parse().unwrap(),
        name: "it".to_owned(),
        package_sha256: SHA256.to_owned(),
        bytes: 7,
        target: "debian:6.1.0-50-cloud-amd64".to_owned(),
        released_at: Timestamp::UNIX_EPOCH,
    }
}

fn refresh(rig: &Rig, agent: &Agent, repository: &Repository) -> Vouched {
    vouch::begin(&rig.state, repository.root()).unwrap();
    Vouched::refresh_by(agent, repository).unwrap()
}

#[test]
fn what_is_to_be_undone_goes_out_says_why_and_stays_out() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    apply(&mut agent);
    let vouched = refresh(&rig, &agent, &repository(true));
    let outcomes = agent
        .undo_revoked(&vouched.revocations(), By::Server)
        .unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].state, State::Undone);
    assert_eq!(outcomes[0].code.as_deref(), Some(REVOKED));
    // What the server says is shown without its control characters.
    let detail = outcomes[0].detail.as_deref().unwrap();
    assert!(
        detail.contains("it leaks") && !detail.contains('\u{1b}'),
        "{detail}"
    );
    assert!(!rig.is_live());
    let again = agent.undo_revoked(&vouched.revocations(), By::Server);
    assert!(again.unwrap().is_empty());
    // Neither a plan that still has it nor a restart brings it back.
    let refused = vouched.target(&planned()).unwrap_err();
    assert!(matches!(&refused, Doubt::Withheld(why) if why.contains("revoked")));
    drop(agent);
    assert!(rig.agent_in("boot-2").reapply().unwrap().is_empty());
}

#[test]
fn what_is_only_not_to_be_applied_stays_where_it_runs() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    apply(&mut agent);
    let vouched = refresh(&rig, &agent, &repository(false));
    let outcomes = agent.undo_revoked(&vouched.revocations(), By::Server);
    assert!(outcomes.unwrap().is_empty());
    assert!(rig.is_live());
    assert!(vouched.target(&planned()).is_err());
}

#[test]
fn a_host_that_went_down_before_it_undid_it_does_not_put_it_back() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    apply(&mut agent);
    refresh(&rig, &agent, &repository(true));
    drop(agent);
    // A restart: nothing is in the kernel.
    std::fs::remove_dir_all(rig.path("sys")).unwrap();
    std::fs::create_dir(rig.path("sys")).unwrap();
    assert!(rig.agent_in("boot-2").reapply().unwrap().is_empty());
    assert!(!rig.is_live());
}

#[test]
fn a_plan_alone_undoes_nothing() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    apply(&mut agent);
    let vouched = refresh(&rig, &agent, &Repository::new(1, &[]));
    let plan = format!(
        r#"{{"etag":"","plan":{{"updates":[],"undo":["{}"]}}}}"#,
        update()
    );
    std::fs::write(rig.state.path().join("plan.json"), plan).unwrap();
    let outcomes = agent.undo_revoked(&vouched.revocations(), By::Server);
    assert!(outcomes.unwrap().is_empty());
    assert!(rig.is_live());
    drop(agent);
    std::fs::remove_dir_all(rig.path("sys")).unwrap();
    std::fs::create_dir(rig.path("sys")).unwrap();
    assert_eq!(rig.agent_in("boot-2").reapply().unwrap().len(), 1);
    assert!(rig.is_live());
}

#[test]
fn the_older_update_may_come_back_once_its_successor_was_revoked() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let mut older = Entry::new(&update(), State::Undone, By::Server);
    older.code = Some("superseded".to_owned());
    older.successor = Some("newer".to_owned());
    agent.journal.append(older).unwrap();
    let next = |agent: &Agent| {
        let records = agent.journal.records();
        decision(agent, &records, &planned()).unwrap()
    };
    let mut newer = Entry::new("newer", State::Applied, By::Server);
    agent.journal.append(newer.clone()).unwrap();
    assert!(matches!(next(&agent), Decision::Leave(_)));
    newer.state = State::Undone;
    newer.by = By::Operator;
    agent.journal.append(newer.clone()).unwrap();
    assert!(matches!(next(&agent), Decision::Leave(_)));
    newer.code = Some(REVOKED.to_owned());
    agent.journal.append(newer).unwrap();
    assert_eq!(next(&agent), Decision::Apply);
}
