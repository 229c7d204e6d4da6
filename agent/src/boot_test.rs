//! Restarts and crashes against a stand-in for the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::rig::{Rig, apply, update};
use resplice_package::example;
use std::{fs, time::Duration};

/// A boot as it begins: nothing is in the kernel, the agent comes up and is at work.
fn boot(rig: &Rig, id: &str) -> (Agent, Vec<Outcome>) {
    let _ = fs::remove_dir_all(rig.path("sys"));
    fs::create_dir(rig.path("sys")).unwrap();
    let mut agent = at_work(rig, id, 1);
    agent.boot_began().unwrap();
    let outcomes = agent.reapply().unwrap();
    (agent, outcomes)
}

/// The agent opens its state after that many minutes of that boot.
fn at_work(rig: &Rig, id: &str, minutes: u64) -> Agent {
    let mut agent = rig.agent_in(id);
    agent.host.uptime = Duration::from_secs(minutes * 60);
    agent.reconcile().unwrap();
    agent.learn_from_boots().unwrap();
    agent
}

/// Lets the entries be so much older.
fn later(rig: &Rig) {
    let path = rig.state.journal();
    let text = fs::read_to_string(&path).unwrap();
    let mut out = String::new();
    for line in text.lines() {
        let mut entry: Entry = serde_json::from_str(line).unwrap();
        entry.time -= WINDOW;
        out += &format!("{}\n", serde_json::to_string(&entry).unwrap());
    }
    fs::write(path, out).unwrap();
}

fn last(agent: &Agent) -> (State, Option<String>) {
    let record = agent.journal.records().remove(&update()).unwrap();
    (record.last.state, record.last.code)
}

#[test]
fn what_was_in_effect_is_put_back_without_a_server() {
    let rig = Rig::new();
    let (mut agent, outcomes) = boot(&rig, "boot-1");
    assert!(outcomes.is_empty());
    apply(&mut agent);
    agent.boot_ended().unwrap();
    let (mut agent, outcomes) = boot(&rig, "boot-2");
    assert_eq!(outcomes[0].state, State::Applied, "{outcomes:?}");
    assert!(rig.is_live());
    // Once a boot: what is taken out by hand since then stays out.
    assert!(agent.reapply().unwrap().is_empty());
    fs::remove_dir_all(rig.path("sys/updates")).unwrap();
    assert!(agent.reapply().unwrap().is_empty());
}

#[test]
fn what_was_undone_stays_out() {
    let rig = Rig::new();
    let (mut agent, _) = boot(&rig, "boot-1");
    apply(&mut agent);
    agent.boot_ended().unwrap();
    let (mut agent, _) = boot(&rig, "boot-2");
    assert!(rig.is_live());
    agent.undo(example::ID, By::Operator).unwrap();
    agent.boot_ended().unwrap();
    assert!(boot(&rig, "boot-3").1.is_empty());
    assert!(!rig.is_live());
}

#[test]
fn a_pause_another_kernel_and_a_lost_package_keep_it_out_for_now() {
    let rig = Rig::new();
    let (mut agent, _) = boot(&rig, "boot-1");
    apply(&mut agent);
    agent.boot_ended().unwrap();
    Pause::begin(&rig.state, Timestamp::now(), None).unwrap();
    let (mut agent, outcomes) = boot(&rig, "boot-2");
    assert_eq!(outcomes[0].code.as_deref(), Some("paused"));
    Pause::end(&rig.state).unwrap();
    agent.host.release = "6.1.0-51-cloud-amd64".to_owned();
    let outcomes = agent.reapply().unwrap();
    assert_eq!(outcomes[0].code.as_deref(), Some("release"));
    let sha256 = agent.journal.records()[&update()]
        .applied_package
        .clone()
        .unwrap();
    let bytes = fs::read(rig.state.package(&sha256)).unwrap();
    fs::remove_file(rig.state.package(&sha256)).unwrap();
    let outcomes = agent.reapply().unwrap();
    assert_eq!(outcomes[0].code.as_deref(), Some("missing"));
    assert!(!rig.is_live());
    // None of that is held against it.
    fs::write(rig.state.package(&sha256), bytes).unwrap();
    boot(&rig, "boot-3");
    assert!(rig.is_live());
}

#[test]
fn a_package_that_was_changed_on_disk_is_not_put_back() {
    let rig = Rig::new();
    let (mut agent, _) = boot(&rig, "boot-1");
    apply(&mut agent);
    agent.boot_ended().unwrap();
    let sha256 = agent.journal.records()[&update()]
        .applied_package
        .clone()
        .unwrap();
    let path = rig.state.package(&sha256);
    let mut bytes = fs::read(&path).unwrap();
    bytes[600] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(boot(&rig, "boot-2").1[0].state, State::Failed);
    assert!(!rig.is_live());
}

#[test]
fn a_crash_soon_after_an_update_quarantines_it_for_good() {
    let rig = Rig::new();
    let (mut agent, _) = boot(&rig, "boot-1");
    apply(&mut agent);
    for id in ["boot-2", "boot-3"] {
        let (agent, outcomes) = boot(&rig, id);
        assert!(outcomes.is_empty() && !rig.is_live());
        let quarantined = (State::Quarantined, Some(CRASHED.to_owned()));
        assert_eq!(last(&agent), quarantined);
    }
    let count = |state| {
        crate::rig::states(&rig.state.journal())
            .iter()
            .filter(|s| **s == state)
            .count()
    };
    assert_eq!(count(State::Quarantined), 1);
}

#[test]
fn a_crash_long_after_an_update_or_a_good_end_soon_after_it_is_not_its_fault() {
    let rig = Rig::new();
    let (mut agent, _) = boot(&rig, "boot-1");
    apply(&mut agent);
    agent.boot_ended().unwrap();
    boot(&rig, "boot-2");
    assert!(rig.is_live());
    later(&rig);
    // The clock alone settles nothing.
    let settled = |agent: &Agent| agent.journal.records()[&update()].settled;
    assert!(!settled(&at_work(&rig, "boot-2", 9)));
    assert!(settled(&at_work(&rig, "boot-2", 10)));
    let entries = rig.agent_in("boot-2").journal.entries().len();
    assert_eq!(at_work(&rig, "boot-2", 11).journal.entries().len(), entries);
    let (agent, outcomes) = boot(&rig, "boot-3");
    assert_eq!(outcomes[0].state, State::Applied);
    assert_eq!(last(&agent).0, State::Applied);
}

#[test]
fn what_had_settled_is_given_one_more_try() {
    let rig = Rig::new();
    let (mut agent, _) = boot(&rig, "boot-1");
    apply(&mut agent);
    agent.boot_ended().unwrap();
    // The power goes twice in a row, soon after each restart.
    boot(&rig, "boot-2");
    assert!(rig.is_live());
    boot(&rig, "boot-3");
    assert!(rig.is_live(), "one crash alone is not laid at its door");
    let (agent, _) = boot(&rig, "boot-4");
    assert!(!rig.is_live());
    assert_eq!(last(&agent), (State::Quarantined, Some(CRASHED.to_owned())));
}

#[test]
fn without_notes_on_boots_nobody_is_blamed() {
    let rig = Rig::new();
    let mut agent = rig.agent_in("boot-1");
    apply(&mut agent);
    let (agent, outcomes) = boot(&rig, "boot-2");
    assert_eq!(outcomes[0].state, State::Applied);
    assert_eq!(last(&agent).0, State::Applied);
}

#[test]
fn an_agent_killed_while_it_lays_blame_does_it_again() {
    let rig = Rig::new();
    let (mut agent, _) = boot(&rig, "boot-1");
    apply(&mut agent);
    drop(agent);
    // Quarantined in the journal, the new boot not noted yet.
    at_work(&rig, "boot-2", 1);
    let (agent, outcomes) = boot(&rig, "boot-2");
    assert!(outcomes.is_empty());
    assert_eq!(last(&agent).0, State::Quarantined);
}
