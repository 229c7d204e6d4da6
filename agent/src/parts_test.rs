//! The steps of an update of several parts against a stand-in for the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    journal::{By, Entry, State},
    rig::{Rig, mixed, package_bytes, worker},
};
use resplice_package::{Package, example};

#[test]
fn all_parts_go_in_and_out_together() {
    let rig = Rig::new();
    rig.modprobe("alpha");
    rig.modprobe("beta");
    let mut agent = rig.agent();
    let outcome = agent
        .apply(&mixed(["good"; 3]), By::Operator, Vec::new())
        .unwrap();
    assert_eq!((outcome.state, outcome.detail), (State::Applied, None));
    assert_eq!(outcome.functions, 3);
    let live = agent.kernel.update(example::ID).unwrap().unwrap();
    let objects: Vec<&str> = live.parts.iter().map(|p| p.object.as_str()).collect();
    assert_eq!(objects, ["vmlinux", "alpha", "beta"]);
    assert!(live.parts.iter().all(|part| part.is_applied()));

    let outcome = agent.undo(example::ID, By::Operator).unwrap();
    assert_eq!(outcome.state, State::Undone);
    assert!(rig.is_empty());
    let id = example::ID;
    let expected = [
        "insmod resplice".to_owned(),
        format!("insmod {id}"),
        format!("insmod {id}_p1"),
        format!("insmod {id}_p2"),
        "enabled 1".to_owned(),
        "enabled 0".to_owned(),
        format!("rmmod {id}_p2"),
        format!("rmmod {id}_p1"),
        format!("rmmod {id}"),
    ];
    assert_eq!(rig.calls(), expected);
}

#[test]
fn a_part_that_is_refused_takes_the_others_out_again() {
    for refused in 0..3 {
        let rig = Rig::new();
        rig.modprobe("alpha");
        rig.modprobe("beta");
        let mut words = ["good"; 3];
        words[refused] = "mismatch";
        let outcome = rig
            .agent()
            .apply(&mixed(words), By::Server, Vec::new())
            .unwrap();
        assert_eq!(
            (outcome.state, outcome.code.as_deref()),
            (State::Refused, Some("mismatch"))
        );
        assert!(rig.is_empty(), "part {refused}");
        assert!(!rig.calls().contains(&"enabled 1".to_owned()));
    }
}

#[test]
fn a_part_waits_for_its_module_and_joins_the_others_then() {
    let rig = Rig::new();
    rig.modprobe("alpha");
    let mut agent = rig.agent();
    let package = mixed(["good"; 3]);
    let info = crate::agent::info(&package);
    let outcome = agent.apply(&package, By::Server, Vec::new()).unwrap();
    assert_eq!((outcome.state, outcome.code), (State::Applied, None));
    assert!(outcome.detail.unwrap().contains("not in effect in beta"));
    assert!(rig.is_part_live(0) && rig.is_part_live(1) && !rig.is_part_live(2));
    let live = agent.kernel.update(example::ID).unwrap();
    assert!(!agent.has_more_to_patch(&info, live.as_ref()).unwrap());

    rig.modprobe("beta");
    assert!(agent.has_more_to_patch(&info, live.as_ref()).unwrap());
    let calls = rig.calls().len();
    let outcome = agent.apply(&package, By::Server, Vec::new()).unwrap();
    assert_eq!((outcome.state, outcome.detail), (State::Applied, None));
    assert!(rig.is_part_live(2));
    let id = example::ID;
    assert_eq!(
        rig.calls()[calls..],
        [format!("insmod {id}_p2"), "enabled 1".to_owned()]
    );
}

#[test]
fn a_late_part_that_is_refused_leaves_the_others_in_effect() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let package = mixed(["good", "good", "mismatch"]);
    agent.apply(&package, By::Server, Vec::new()).unwrap();
    rig.modprobe("beta");
    let outcome = agent.apply(&package, By::Server, Vec::new()).unwrap();
    assert_eq!(
        (outcome.state, outcome.code.as_deref()),
        (State::Applied, Some("mismatch"))
    );
    assert!(outcome.detail.unwrap().contains("expected 90 found cc"));
    assert!(rig.is_part_live(0) && !rig.is_part_live(2));
}

#[test]
fn a_part_of_another_package_does_not_join() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    agent
        .apply(&mixed(["good"; 3]), By::Server, Vec::new())
        .unwrap();
    rig.modprobe("beta");
    let calls = rig.calls().len();
    let outcome = agent
        .apply(&mixed(["good", "other", "good"]), By::Server, Vec::new())
        .unwrap();
    assert_eq!(
        (outcome.state, outcome.code.as_deref()),
        (State::Applied, Some("package"))
    );
    assert_eq!(rig.calls().len(), calls);
}

#[test]
fn an_update_of_modules_that_are_not_loaded_changes_nothing() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let bytes = package_bytes("good 0 1 alpha", |m| m.parts[0].object = "alpha".to_owned());
    let package = Package::open(&bytes, &[worker().public()]).unwrap();
    let outcome = agent.apply(&package, By::Server, Vec::new()).unwrap();
    assert_eq!(
        (outcome.state, outcome.code.as_deref()),
        (State::Refused, Some("absent"))
    );
    // Somebody has to wait for it.
    assert_eq!(rig.calls(), ["insmod resplice"]);
    rig.modprobe("alpha");
    let outcome = agent.apply(&package, By::Server, Vec::new()).unwrap();
    assert_eq!((outcome.state, outcome.code), (State::Applied, None));
}

#[test]
fn parts_left_waiting_by_a_dead_agent_are_unloaded() {
    let rig = Rig::new();
    rig.modprobe("alpha");
    let package = mixed(["good"; 3]);
    let mut agent = rig.agent();
    let mut entry = Entry::new(&example::manifest().update_id, State::Applying, By::Server);
    entry.info = Some(crate::agent::info(&package));
    agent.journal.append(entry).unwrap();
    agent.kernel.ensure_core(b"core").unwrap();
    for part in &package.parts().unwrap()[..2] {
        agent.kernel.insmod(&part.name, part.bytes, &[]).unwrap();
    }
    let mut agent = rig.agent();
    agent.reconcile().unwrap();
    assert!(rig.is_empty());
    let record = &agent.journal.records()[&example::manifest().update_id];
    assert_eq!(record.last.state, State::Failed);
}

#[test]
fn a_check_looks_at_each_part_and_names_those_that_wait() {
    let rig = Rig::new();
    rig.modprobe("alpha");
    let agent = rig.agent();
    let result = agent.check(&mixed(["good"; 3])).unwrap();
    assert!(result.applies);
    assert!(result.detail.unwrap().contains("beta"));
    let result = agent.check(&mixed(["good", "mismatch", "good"])).unwrap();
    assert_eq!(
        (result.applies, result.code.as_deref()),
        (false, Some("mismatch"))
    );
    assert!(agent.journal.entries().is_empty());
}
