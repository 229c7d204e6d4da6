//! Modules that come and are patched before their init, against a stand-in for the
//! kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    journal::{By, State},
    pause::Pause,
    rig::{Rig, apply_bytes, mixed_bytes, package_bytes, update},
};
use jiff::{SignedDuration, Timestamp};
use resplice_package::example;

#[test]
fn the_core_calls_this_program_for_modules_of_what_is_in_effect() {
    let rig = Rig::new();
    rig.modprobe("alpha");
    let mut agent = rig.agent();
    apply_bytes(&mut agent, &mixed_bytes(["good"; 3]));
    let (program, modules) = rig.awaited();
    let this = std::env::current_exe().unwrap();
    let state = rig.state.path().display();
    let expected = format!("{} --quiet --state {state} coming", this.display());
    assert_eq!(program, expected);
    assert_eq!(modules, ["alpha", "beta"]);

    // It has the file for as long as the program runs; it is not loaded yet.
    let outcomes = agent.module_comes("beta").unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(
        (outcomes[0].state, &outcomes[0].code),
        (State::Applied, &None)
    );
    assert!(rig.is_part_live(2));
    agent.undo(example::ID, By::Operator).unwrap();
    assert_eq!(rig.awaited(), Default::default());
}

#[test]
fn an_update_of_modules_that_are_not_loaded_waits_for_them() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let bytes = package_bytes("good 0 1 alpha", |m| m.parts[0].object = "alpha".to_owned());
    let outcome = apply_bytes(&mut agent, &bytes);
    assert_eq!(outcome.code.as_deref(), Some("absent"));
    assert_eq!(rig.awaited().1, ["alpha"]);
    let outcomes = agent.module_comes("alpha").unwrap();
    assert_eq!(outcomes[0].state, State::Applied);
    assert!(rig.is_live());
}

#[test]
fn nothing_is_brought_in_that_is_not_to_be_in_effect() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    apply_bytes(&mut agent, &mixed_bytes(["good"; 3]));
    let calls = rig.calls();
    assert!(agent.module_comes("gamma").unwrap().is_empty());
    assert!(agent.module_comes("../alpha").is_err());
    Pause::begin(&rig.state, Timestamp::now(), None).unwrap();
    assert!(agent.module_comes("alpha").unwrap().is_empty());
    Pause::end(&rig.state).unwrap();
    // Of another boot, that is put back first.
    let mut later = rig.agent_in("boot-2");
    assert!(later.module_comes("alpha").unwrap().is_empty());
    assert_eq!(rig.calls(), calls);
}

#[test]
fn what_a_poll_would_leave_does_not_come_with_its_module_either() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let bytes = package_bytes("good 0 1 alpha", |m| m.parts[0].object = "alpha".to_owned());
    apply_bytes(&mut agent, &bytes);
    // Its rollout is halted.
    let plan = rig.state.path().join("plan.json");
    std::fs::write(&plan, r#"{"etag":"","plan":{"updates":[],"undo":[]}}"#).unwrap();
    assert!(agent.module_comes("alpha").unwrap().is_empty());
    std::fs::remove_file(&plan).unwrap();
    // This host's owner lets nothing in now.
    let time = |hours| {
        let then = Timestamp::now() + SignedDuration::from_hours(hours);
        then.strftime("%H:%M").to_string()
    };
    let window = format!(
        r#"{{"windows":[{{"from":"{}","to":"{}"}}]}}"#,
        time(2),
        time(3)
    );
    let calendar = rig.state.path().join("rollout.json");
    std::fs::write(&calendar, window).unwrap();
    assert!(agent.module_comes("alpha").unwrap().is_empty());
    assert!(!rig.is_live());
    std::fs::remove_file(&calendar).unwrap();
    assert_eq!(agent.module_comes("alpha").unwrap().len(), 1);
    assert!(rig.is_live());
}

#[test]
fn without_its_package_a_part_waits_for_the_next_poll() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let bytes = mixed_bytes(["good"; 3]);
    apply_bytes(&mut agent, &bytes);
    std::fs::remove_file(rig.state.package(&resplice_package::sha256_hex(&bytes))).unwrap();
    let outcomes = agent.module_comes("alpha").unwrap();
    assert_eq!(outcomes[0].code.as_deref(), Some("missing"));
    assert!(rig.is_live() && !rig.is_part_live(1));
    let record = &agent.journal.records()[&update()];
    assert_eq!(record.last.state, State::Applied);
}
