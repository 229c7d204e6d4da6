//! Updates whose place a newer one takes, against a stand-in for the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::{Agent, SUPERSEDED},
    journal::{By, State},
    rig::{Rig, package, worker},
};
use resplice_package::{Package, example, part_member};

const NEWER: &str = "rsp_bbbbbbbbbbbb";
const NEWER_UPDATE: &str = "0199b1a2-0000-7000-8000-000000000002";

/// An update that takes the place of the example's.
fn newer(becomes: &str) -> Package {
    let mut manifest = example::manifest();
    manifest.id = NEWER.to_owned();
    manifest.update_id = NEWER_UPDATE.to_owned();
    manifest.supersedes = vec![example::ID.to_owned()];
    let mut members = example::members();
    members.remove(&part_member(example::ID, 0));
    members.insert(part_member(NEWER, 0), becomes.into());
    let bytes = Package::write(manifest, members, &worker()).unwrap();
    Package::open(&bytes, &[worker().public()]).unwrap()
}

/// An agent that has applied the example's.
fn with_older(rig: &Rig) -> Agent {
    let mut agent = rig.agent();
    let older = package("good");
    agent.apply(&older, By::Server, Vec::new()).unwrap();
    agent
}

fn older() -> String {
    example::manifest().update_id
}

#[test]
fn what_a_newer_update_superseded_is_noted_and_unloaded() {
    let rig = Rig::new();
    let mut agent = with_older(&rig);
    let outcome = agent
        .apply(&newer("takes"), By::Server, Vec::new())
        .unwrap();
    assert_eq!(outcome.state, State::Applied);
    let records = agent.journal.records();
    let last = &records[&older()].last;
    assert_eq!(
        (last.state, last.code.as_deref(), last.by),
        (State::Undone, Some(SUPERSEDED), By::Server)
    );
    assert_eq!(records[NEWER_UPDATE].last.state, State::Applied);
    assert!(rig.calls().contains(&format!("rmmod {}", example::ID)));
    assert!(agent.kernel.update(example::ID).unwrap().is_none());
}

#[test]
fn an_agent_that_died_before_it_noted_it_finds_it_out() {
    let rig = Rig::new();
    let agent = with_older(&rig);
    let older_files = rig.path("sys/updates").join(example::ID);
    std::fs::write(older_files.join("state"), "superseded\n").unwrap();
    drop(agent);
    let mut agent = rig.agent();
    agent.reconcile().unwrap();
    let records = agent.journal.records();
    let last = &records[&older()].last;
    assert_eq!(
        (last.state, last.code.as_deref()),
        (State::Undone, Some(SUPERSEDED))
    );
    assert!(agent.kernel.update(example::ID).unwrap().is_none());
    let entries = agent.journal.entries().len();
    agent.reconcile().unwrap();
    assert_eq!(agent.journal.entries().len(), entries);
}

#[test]
fn an_update_that_does_not_take_effect_leaves_the_older_one_alone() {
    let rig = Rig::new();
    let mut agent = with_older(&rig);
    let outcome = agent
        .apply(&newer("mismatch"), By::Server, Vec::new())
        .unwrap();
    assert_eq!(outcome.state, State::Refused);
    assert_eq!(agent.journal.records()[&older()].last.state, State::Applied);
}
