//! Kill at every step: the agent as a process of its own, which dies at each point
//! between two writes and two calls of the kernel in turn (see [`crate::fault`]).
//! After each death it comes up again, in the same boot or after a restart, and
//! must know whether the update is in effect, leave nothing half done, and be able
//! to go on to the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::Agent,
    fault::KILL_AT,
    journal::{By, Entry, Journal, State},
    rig::{Rig, apply, update},
    state::replace,
};
use resplice_package::example;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

const RIG: &str = "RESPLICE_TEST_RIG";
const SCENARIO: &str = "RESPLICE_TEST_SCENARIO";
/// More points than any scenario has.
const LIMIT: u64 = 400;

/// The agent as it comes up; what it does first is part of what it may die at.
fn come_up(rig: &Rig, boot: &str) -> Agent {
    let mut agent = rig.agent_in(boot);
    agent.reconcile().unwrap();
    agent.learn_from_boots().unwrap();
    agent
}

fn undo(agent: &mut Agent) {
    if agent
        .kernel
        .update(example::ID)
        .unwrap()
        .is_some_and(|live| live.is_applied())
    {
        agent.undo(example::ID, By::Operator).unwrap();
    }
}

/// What the process that is killed does.
#[test]
#[ignore = "the process that the others start and kill"]
fn child() {
    let rig = Rig::existing(Path::new(&std::env::var_os(RIG).unwrap()));
    match std::env::var(SCENARIO).unwrap().as_str() {
        "apply" => apply(&mut come_up(&rig, "boot-1")),
        "undo" => undo(&mut come_up(&rig, "boot-1")),
        "boot" => {
            let mut agent = come_up(&rig, "boot-2");
            agent.boot_began().unwrap();
            agent.reapply().unwrap();
        }
        "end" => come_up(&rig, "boot-1").boot_ended().unwrap(),
        "compact" => {
            let mut agent = come_up(&rig, "boot-1");
            agent.journal.compact().unwrap();
            let entry = Entry::new("another", State::Refused, By::Server);
            agent.journal.append(entry).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// Whether it came to its end.
fn run(rig: &Rig, scenario: &str, kill_at: Option<u64>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "kill_test::child", "--ignored", "--quiet"])
        .env(RIG, rig.root())
        .env(SCENARIO, scenario)
        .env_remove(KILL_AT)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(point) = kill_at {
        command.env(KILL_AT, point.to_string());
    }
    let status = command.status().unwrap();
    assert!(
        status.success() || kill_at.is_some(),
        "{scenario}: {status}"
    );
    // A panic is a failure of the agent, not a kill.
    assert_ne!(status.code(), Some(101), "{scenario} at {kill_at:?}");
    status.success()
}

/// Kills a scenario at each point, and looks at what is left each time.
fn at_every_point(scenario: &str, start: impl Fn(&Rig), look: impl Fn(&Rig, u64)) {
    for point in 0..LIMIT {
        let rig = Rig::new();
        start(&rig);
        if run(&rig, scenario, Some(point)) {
            eprintln!("{scenario}: killed at {point} points");
            assert!(point >= 4, "{scenario} has only {point} points");
            return;
        }
        look(&rig, point);
    }
    panic!("{scenario} has more than {LIMIT} points");
}

/// What the journal says of the update, and the kernel the same.
fn settled(rig: &Rig, boot: &str, point: u64) -> Option<State> {
    let mut agent = come_up(rig, boot);
    let state = agent
        .journal
        .records()
        .remove(&update())
        .map(|record| record.last.state);
    let live = agent.kernel.update(example::ID).unwrap();
    assert_eq!(
        state == Some(State::Applied),
        live.is_some_and(|live| live.is_applied()),
        "{point}: the journal says {state:?}"
    );
    assert!(
        !matches!(state, Some(State::Applying | State::Undoing)),
        "{point}: {state:?} after the agent came up"
    );
    // Settled once, and for all who look.
    let entries = agent.journal.entries().len();
    agent.reconcile().unwrap();
    assert_eq!(agent.journal.entries().len(), entries, "{point}");
    let view = Journal::view(&rig.state.journal(), boot).unwrap();
    assert_eq!(view.entries(), agent.journal.entries(), "{point}");
    for (number, entry) in view.entries().iter().enumerate() {
        assert_eq!(entry.seq, number as u64 + 1, "{point}");
    }
    state
}

/// Every file that is read by its name is whole; what a crash leaves has another.
fn whole_packages(rig: &Rig, point: u64) {
    for file in fs::read_dir(rig.state.packages()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path
            .extension()
            .is_some_and(|extension| extension == "rspl")
        {
            let bytes = fs::read(&path).unwrap();
            assert_eq!(resplice_package::sha256_hex(&bytes), name, "{point}");
        }
    }
}

fn restart(rig: &Rig) {
    let _ = fs::remove_dir_all(rig.path("sys"));
    fs::create_dir(rig.path("sys")).unwrap();
}

#[test]
fn killed_while_it_applies_the_host_has_the_old_or_the_new() {
    at_every_point(
        "apply",
        |_| (),
        |rig, point| {
            settled(rig, "boot-1", point);
            whole_packages(rig, point);
            run(rig, "apply", None);
            assert!(rig.is_live(), "{point}");
            assert_eq!(settled(rig, "boot-1", point), Some(State::Applied));
            assert_eq!(
                fs::read_dir(rig.state.load()).unwrap().count(),
                0,
                "{point}"
            );
        },
    );
}

#[test]
fn the_host_cut_off_while_it_applies_comes_back_without_it() {
    at_every_point(
        "apply",
        |_| (),
        |rig, point| {
            let before = crate::rig::states(&rig.state.journal()).last().copied();
            restart(rig);
            let state = settled_after_restart(rig);
            match before {
                // Nobody can know whether it was its fault.
                Some(State::Applying) => assert_eq!(state, Some(State::Quarantined), "{point}"),
                other => assert_eq!(state, other, "{point}"),
            }
            run(rig, "boot", None);
            let wanted = before == Some(State::Applied);
            assert_eq!(rig.is_live(), wanted, "{point}: {before:?}");
        },
    );
}

fn settled_after_restart(rig: &Rig) -> Option<State> {
    let agent = come_up(rig, "boot-2");
    agent
        .journal
        .records()
        .remove(&update())
        .map(|record| record.last.state)
}

#[test]
fn killed_while_it_undoes_the_host_has_the_old_or_the_new() {
    let start = |rig: &Rig| apply(&mut come_up(rig, "boot-1"));
    at_every_point("undo", start, |rig, point| {
        settled(rig, "boot-1", point);
        run(rig, "undo", None);
        assert_eq!(settled(rig, "boot-1", point), Some(State::Undone));
        assert!(rig.is_empty(), "{point}");
    });
}

#[test]
fn killed_while_it_puts_back_the_host_comes_up_with_it_the_next_time() {
    let start = |rig: &Rig| {
        let mut agent = come_up(rig, "boot-1");
        agent.boot_began().unwrap();
        apply(&mut agent);
        agent.boot_ended().unwrap();
        restart(rig);
    };
    at_every_point("boot", start, |rig, point| {
        // The agent died, not the host.
        let state = come_up(rig, "boot-2").journal.records().remove(&update());
        assert_ne!(state.unwrap().last.state, State::Quarantined, "{point}");
        run(rig, "boot", None);
        assert!(rig.is_live(), "{point}");
        assert_eq!(settled(rig, "boot-2", point), Some(State::Applied));
    });
}

#[test]
fn killed_at_the_end_of_a_boot_nothing_is_lost() {
    let start = |rig: &Rig| {
        let mut agent = come_up(rig, "boot-1");
        agent.boot_began().unwrap();
        apply(&mut agent);
    };
    at_every_point("end", start, |rig, point| {
        assert_eq!(settled(rig, "boot-1", point), Some(State::Applied));
        run(rig, "end", None);
        restart(rig);
        run(rig, "boot", None);
        assert!(rig.is_live(), "{point}");
    });
}

#[test]
fn killed_while_it_compacts_the_journal_is_the_old_or_the_new() {
    let start = |rig: &Rig| apply(&mut come_up(rig, "boot-1"));
    at_every_point("compact", start, |rig, point| {
        assert_eq!(settled(rig, "boot-1", point), Some(State::Applied));
    });
}

#[test]
fn a_file_is_replaced_as_a_whole_whatever_an_earlier_crash_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    replace(&path, b"old").unwrap();
    fs::write(dir.path().join("a.new"), "half of something longer").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    replace(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}
