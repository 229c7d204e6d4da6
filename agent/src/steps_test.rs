//! The steps of an update of one part against a stand-in for the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    journal::{By, Entry, State},
    rig::{Rig, package, package_bytes, states, worker},
};
use resplice_package::{Manifest, Package, SecretKey, example, part_member};
use resplice_tuf::Target;
use std::fs;

#[test]
fn an_update_is_applied_and_undone_and_nothing_is_left_behind() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let outcome = agent
        .apply(&package("good"), By::Operator, Vec::new())
        .unwrap();
    assert_eq!(
        (outcome.state, outcome.pause_ns),
        (State::Applied, Some(41_200))
    );
    assert!(rig.is_live());
    assert_eq!(fs::read_dir(rig.state.load()).unwrap().count(), 0);
    let modes = fs::read_to_string(rig.path("modes")).unwrap();
    assert_eq!(modes, "600\n700\n".repeat(2));

    let outcome = agent.undo(example::ID, By::Operator).unwrap();
    assert_eq!(outcome.state, State::Undone);
    assert!(!rig.is_live());
    assert_eq!(
        rig.calls(),
        [
            "insmod resplice",
            &format!("insmod {}", example::ID),
            "enabled 1",
            "enabled 0",
            &format!("rmmod {}", example::ID)
        ]
    );
    let seen = states(&rig.state.journal());
    assert_eq!(
        seen,
        [
            State::Applying,
            State::Applied,
            State::Undoing,
            State::Undone
        ]
    );
}

#[test]
fn packages_built_without_a_server_do_not_get_mixed_up() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let ids = ["rsp_aaaaaaaaaaaa", "rsp_bbbbbbbbbbbb"];
    for id in ids {
        let manifest = Manifest {
            id: id.to_owned(),
            update_id: "local".to_owned(),
            ..example::manifest()
        };
        let mut members = example::members();
        members.remove(&part_member(example::ID, 0));
        members.insert(part_member(id, 0), b"good".to_vec());
        let bytes = Package::write(manifest, members, &worker());
        let trusted = [worker().public()];
        let package = bytes.and_then(|bytes| Package::open(&bytes, &trusted));
        agent
            .apply(
                &package.unwrap_or_else(|error| panic!("{error}")),
                By::Operator,
                Vec::new(),
            )
            .unwrap();
    }
    agent.undo(ids[0], By::Operator).unwrap();
    let records = agent.journal.records();
    assert_eq!(records[ids[0]].last.state, State::Undone);
    assert_eq!(records[ids[1]].last.state, State::Applied);
}

#[test]
fn applying_again_changes_nothing() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    agent
        .apply(&package("good"), By::Operator, Vec::new())
        .unwrap();
    let calls = rig.calls().len();
    let outcome = agent
        .apply(&package("good"), By::Server, Vec::new())
        .unwrap();
    assert_eq!(outcome.state, State::Applied);
    assert_eq!(rig.calls().len(), calls);
}

#[test]
fn a_kernel_that_does_not_match_is_a_refusal_with_the_cores_words() {
    let rig = Rig::new();
    let outcome = rig
        .agent()
        .apply(&package("mismatch"), By::Server, Vec::new())
        .unwrap();
    assert_eq!(
        (outcome.state, outcome.code.as_deref()),
        (State::Refused, Some("mismatch"))
    );
    assert!(outcome.detail.unwrap().contains("expected 90 found cc"));
    assert!(!rig.is_live());
}

#[test]
fn a_module_that_the_loader_rejects_is_a_failure_with_a_remedy() {
    let rig = Rig::new();
    let outcome = rig
        .agent()
        .apply(&package("silent"), By::Server, Vec::new())
        .unwrap();
    assert_eq!((outcome.state, outcome.code), (State::Failed, None));
    assert!(outcome.detail.unwrap().contains("MOK"));
}

#[test]
fn a_report_on_another_update_is_not_taken_for_this_one() {
    let rig = Rig::new();
    fs::write(
        rig.path("sys/report"),
        "update: rsp_other\nmismatch: something else\n",
    )
    .unwrap();
    let bytes = package_bytes("silent", |_| ());
    let script = fs::read_to_string(rig.path("insmod")).unwrap();
    let script = script.replace(&format!("rm -f {}/sys/report;", rig.root().display()), "");
    fs::write(rig.path("insmod"), script).unwrap();
    let package = Package::open(&bytes, &[worker().public()]).unwrap();
    let outcome = rig.agent().apply(&package, By::Server, Vec::new()).unwrap();
    assert_eq!((outcome.state, outcome.code), (State::Failed, None));
}

#[test]
fn a_busy_update_is_tried_three_times_and_then_names_the_tasks() {
    let rig = Rig::new();
    fs::write(rig.path("busy"), "1\n2\n").unwrap();
    let outcome = rig
        .agent()
        .apply(&package("good"), By::Server, Vec::new())
        .unwrap();
    assert_eq!(outcome.state, State::Applied);
    assert_eq!(
        outcome
            .timeline
            .iter()
            .filter(|step| step.name == "apply")
            .count(),
        3
    );

    let rig = Rig::new();
    fs::write(rig.path("busy"), "1\n2\n3\n").unwrap();
    let outcome = rig
        .agent()
        .apply(&package("good"), By::Server, Vec::new())
        .unwrap();
    assert_eq!(
        (outcome.state, outcome.code.as_deref()),
        (State::Busy, Some("busy"))
    );
    assert!(outcome.detail.unwrap().contains("cat[7] is in f+0x12"));
    assert!(!rig.is_live());
}

#[test]
fn an_undo_that_is_held_up_says_by_what() {
    for words in [
        "busy: cat[7] is in f+0x12",
        "probe: a kprobe sits at f+0x5: remove it first",
    ] {
        let rig = Rig::new();
        let mut agent = rig.agent();
        agent
            .apply(&package("good"), By::Server, Vec::new())
            .unwrap();
        fs::write(rig.path("busy"), format!("{words}\n").repeat(3)).unwrap();
        let outcome = agent.undo(example::ID, By::Operator).unwrap();
        assert_eq!(
            (outcome.state, outcome.code.as_deref()),
            (State::Applied, Some("busy"))
        );
        assert_eq!(
            outcome.detail.unwrap(),
            format!("still in effect:\n{words}")
        );
    }
}

#[test]
fn a_check_changes_nothing_and_takes_the_core_away_again() {
    let rig = Rig::new();
    let agent = rig.agent();
    assert!(agent.check(&package("good")).unwrap().applies);
    let result = agent.check(&package("mismatch")).unwrap();
    assert!(!result.applies);
    assert_eq!(result.code.as_deref(), Some("mismatch"));
    assert!(!rig.is_live());
    assert_eq!(rig.calls().last().unwrap(), "rmmod resplice");
    assert_eq!(fs::read_dir(rig.path("sys")).unwrap().count(), 0);
    assert!(agent.journal.entries().is_empty());
}

#[test]
fn a_core_of_another_interface_is_refused() {
    let rig = Rig::new();
    fs::write(rig.path("sys/abi"), "9\n").unwrap();
    let outcome = rig
        .agent()
        .apply(&package("good"), By::Server, Vec::new())
        .unwrap();
    assert_eq!(outcome.state, State::Failed);
    assert!(outcome.detail.unwrap().contains("interface 9"));
    assert!(rig.calls().is_empty());
}

#[test]
fn what_is_not_for_this_host_is_refused_with_both_values() {
    let rig = Rig::new();
    let agent = rig.agent();
    let refusal = |bytes: &[u8]| agent.verify(bytes, None).unwrap_err();
    let other = package_bytes("good", |m| {
        m.target.release = "6.1.0-47-cloud-amd64".to_owned()
    });
    let found = refusal(&other);
    assert_eq!(found.code, "release");
    assert!(found.sentence.contains("6.1.0-47-cloud-amd64"));
    assert!(found.sentence.contains("6.1.0-50-cloud-amd64"));
    let other = package_bytes("good", |m| m.target.id = "debian:other".to_owned());
    assert_eq!(refusal(&other).code, "target");
    let mut flipped = package_bytes("good", |_| ());
    flipped[700] ^= 1;
    assert_eq!(refusal(&flipped).code, "package");
    let stranger = SecretKey::from_seed(&[1; 32]);
    let foreign = Package::write(example::manifest(), example::members(), &stranger).unwrap();
    assert!(refusal(&foreign).sentence.contains("not trusted"));
}

#[test]
fn a_package_other_than_the_planned_one_is_refused() {
    let rig = Rig::new();
    let agent = rig.agent();
    let bytes = package_bytes("good", |_| ());
    let sha256 = resplice_package::sha256_hex(&bytes);
    let update = example::manifest().update_id;
    let expect = |update: &str, sha256: &str| {
        let target = Target {
            name: "package".to_owned(),
            length: bytes.len() as u64,
            hashes: [("sha256".to_owned(), sha256.to_owned())].into(),
            custom: None,
        };
        let target = &target;
        let expected = crate::agent::Expected { update, target };
        agent
            .verify(&bytes, Some(expected))
            .map_err(|refusal| refusal.code)
    };
    assert!(expect(&update, &sha256).is_ok());
    assert_eq!(expect(&update, &"0".repeat(64)).unwrap_err(), "digest");
    assert_eq!(expect("another", &sha256).unwrap_err(), "update");
}

/// Every point at which the agent can die while applying, and what the kernel
/// may hold then. The host stayed up.
#[test]
fn killed_at_any_step_the_agent_learns_what_happened() {
    let id = example::ID;
    let update = example::manifest().update_id;
    let cases = [
        // last entry, state in the kernel, settled state
        (State::Downloaded, None, State::Downloaded),
        (State::Verified, None, State::Verified),
        (State::Applying, None, State::Failed),
        (State::Applying, Some("loaded"), State::Failed),
        (State::Applying, Some("applied"), State::Applied),
        (State::Failed, Some("applied"), State::Applied),
        (State::Applied, Some("applied"), State::Applied),
        (State::Undoing, Some("applied"), State::Applied),
        (State::Undoing, Some("undone"), State::Undone),
        (State::Undoing, None, State::Undone),
        (State::Undone, None, State::Undone),
    ];
    for (last, in_kernel, settled) in cases {
        let rig = Rig::new();
        let mut agent = rig.agent();
        let mut entry = Entry::new(&update, State::Verified, By::Server);
        entry.info = Some(crate::agent::info(&package("good")));
        agent.journal.append(entry).unwrap();
        agent
            .journal
            .append(Entry::new(&update, last, By::Server))
            .unwrap();
        if let Some(state) = in_kernel {
            let dir = rig.path("sys/updates").join(id);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("state"), format!("{state}\n")).unwrap();
            fs::write(dir.join("id"), format!("{id}\n")).unwrap();
        }
        let mut agent = rig.agent();
        agent.reconcile().unwrap();
        let record = &agent.journal.records()[&update];
        assert_eq!(record.last.state, settled, "{last:?} with {in_kernel:?}");
        // Nothing is left loaded that is not in effect, and it is settled once.
        assert_eq!(
            rig.path("sys/updates").join(id).exists(),
            settled == State::Applied
        );
        let entries = agent.journal.entries().len();
        agent.reconcile().unwrap();
        assert_eq!(agent.journal.entries().len(), entries);
    }
}

#[test]
fn an_update_that_took_the_host_down_is_quarantined() {
    let rig = Rig::new();
    let update = example::manifest().update_id;
    let entry = Entry::new(&update, State::Applying, By::Server);
    rig.agent_in("boot-1").journal.append(entry).unwrap();
    let mut agent = rig.agent_in("boot-2");
    agent.reconcile().unwrap();
    let last = &agent.journal.records()[&update].last;
    assert_eq!(
        (last.state, last.code.as_deref()),
        (State::Quarantined, Some("quarantined"))
    );
}

#[test]
fn a_restart_in_the_middle_of_an_undo_leaves_it_undone_by_whom_it_was() {
    let rig = Rig::new();
    let update = example::manifest().update_id;
    let entry = Entry::new(&update, State::Undoing, By::Operator);
    rig.agent_in("boot-1").journal.append(entry).unwrap();
    let mut agent = rig.agent_in("boot-2");
    agent.reconcile().unwrap();
    let last = &agent.journal.records()[&update].last;
    assert_eq!((last.state, last.by), (State::Undone, By::Operator));
}

#[test]
fn packages_that_nothing_needs_any_more_are_removed() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    agent.store_package("needed", b"1", By::Server).unwrap();
    agent.store_package("gone", b"2", By::Server).unwrap();
    agent
        .journal
        .append(Entry::new("gone", State::Undone, By::Server))
        .unwrap();
    agent.prune_packages(&[]).unwrap();
    let sha256 = resplice_package::sha256_hex(b"1");
    assert_eq!(agent.cached_package(&sha256).unwrap().unwrap(), b"1");
    assert_eq!(fs::read_dir(rig.state.packages()).unwrap().count(), 1);
}

#[test]
fn a_damaged_cache_is_not_used() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    agent.store_package("u", b"1", By::Server).unwrap();
    let sha256 = resplice_package::sha256_hex(b"1");
    fs::write(rig.state.package(&sha256), b"2").unwrap();
    assert!(agent.cached_package(&sha256).unwrap().is_none());
    assert!(agent.cached_package("../../etc/passwd").is_err());
}
