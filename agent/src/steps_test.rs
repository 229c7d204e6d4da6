//! The steps of an update against a stand-in for the kernel: a directory like
//! `/sys/kernel/resplice`, and scripts in the place of `insmod` and `rmmod` that
//! change it as the core would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::Agent,
    host::Host,
    journal::{By, Entry, Journal, State},
    kernel::Kernel,
    state::{Enrolment, StateDir},
};
use resplice_package::{Manifest, Package, SecretKey, example, part_member, part_name};
use resplice_tuf::Target;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// A module's text is what becomes of it, its number, how many parts there are,
/// and what it is for: `good 1 2 alpha`.
const INSMOD: &str = r#"#!/bin/sh
name=$(basename "$1" .ko)
check=$2
stat -c '%a' "$1" "$(dirname "$1")" >> DIR/modes
echo "insmod $name $check" >> DIR/calls
if [ "$name" = resplice ]; then mkdir -p DIR/sys/updates; echo 2 > DIR/sys/abi; exit 0; fi
complain() { rm -rf DIR/sys/updates/"$name"; printf 'update: %s\n%s\n' "$name" "$1" > DIR/sys/report; echo "insmod: no" >&2; exit 1; }
read -r what part parts object < "$1"
case "$what" in
  mismatch) complain 'function: u .text f mismatch +0x3 expected 90 found cc (text)
mismatch: 1 function does not match' ;;
  silent) rm -f DIR/sys/report; echo "insmod: Key was rejected by service" >&2; exit 1 ;;
esac
id=${name%_p*}
mkdir -p DIR/sys/updates/"$name"
cd DIR/sys/updates/"$name"
echo "$id" > id; echo "${part:-0}" > part; echo "${parts:-1}" > parts; echo "${object:-vmlinux}" > object
echo loaded > state; echo 0 > enabled
echo 41200 > pause_ns
if [ -z "$check" ] && [ "$(ls -d ../"$id" ../"$id"_p* 2>/dev/null | wc -l)" = "${parts:-1}" ]; then
  echo 1 > enabled
  DIR/react DIR/sys/updates/"$name"/enabled || complain 'busy: cat[7] is in f+0x12'
fi
"#;

/// What the core does when `enabled` is written to: all parts or none.
const REACT: &str = r#"#!/bin/sh
value=$(cat "$1")
id=$(cat "$(dirname "$1")"/id)
echo "enabled $value" >> DIR/calls
if [ -s DIR/busy ]; then
  tail -n +2 DIR/busy > DIR/busy.new; mv DIR/busy.new DIR/busy
  printf 'update: %s\nbusy: cat[7] is in f+0x12\n' "$id" > DIR/sys/report
  exit 1
fi
for part in DIR/sys/updates/"$id" DIR/sys/updates/"$id"_p*; do
  [ -d "$part" ] || continue
  if [ "$value" = 1 ]; then echo applied > "$part"/state; else echo undone > "$part"/state; fi
  echo "$value" > "$part"/enabled
done
"#;

const RMMOD: &str = r#"#!/bin/sh
echo "rmmod $1" >> DIR/calls
if [ "$1" = resplice ]; then rm -r DIR/sys; mkdir DIR/sys; exit; fi
if [ "$(cat DIR/sys/updates/"$1"/state)" = applied ]; then echo "rmmod: in use" >&2; exit 1; fi
rm -r DIR/sys/updates/"$1"
"#;

struct Rig {
    dir: tempfile::TempDir,
    state: StateDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("state"));
        state.create().unwrap();
        fs::create_dir(dir.path().join("sys")).unwrap();
        fs::create_dir(dir.path().join("modules")).unwrap();
        for (name, text) in [("insmod", INSMOD), ("rmmod", RMMOD), ("react", REACT)] {
            let path = dir.path().join(name);
            fs::write(&path, text.replace("DIR", &dir.path().to_string_lossy())).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self { dir, state }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The agent as it comes up in the boot `boot`, before it reconciles.
    fn agent_in(&self, boot: &str) -> Agent {
        Agent {
            state: self.state.clone(),
            enrolment: Enrolment {
                server: None,
                host_id: None,
                name: "host".to_owned(),
                target: "debian:6.1.0-50-cloud-amd64".to_owned(),
                worker_keys: vec![worker().public()],
            },
            journal: Journal::open(&self.state.journal(), boot).unwrap(),
            kernel: Kernel::fake(
                ["sys", "modules"].map(|name| self.path(name)),
                ["insmod", "rmmod", "react"].map(|name| self.path(name)),
                self.state.load(),
            ),
            host: Host {
                name: "host".to_owned(),
                release: "6.1.0-50-cloud-amd64".to_owned(),
                boot_id: boot.to_owned(),
                uptime: Duration::from_secs(60),
            },
            busy_wait: Duration::from_millis(1),
        }
    }

    fn agent(&self) -> Agent {
        self.agent_in("boot-1")
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn is_live(&self) -> bool {
        self.is_part_live(0)
    }

    fn is_part_live(&self, number: usize) -> bool {
        let name = part_name(example::ID, number);
        let state = self.path("sys/updates").join(name).join("state");
        fs::read_to_string(state).is_ok_and(|state| state == "applied\n")
    }

    /// A module that updates patch comes.
    fn modprobe(&self, name: &str) {
        let dir = self.path("modules").join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("initstate"), "live\n").unwrap();
    }

    /// Nothing of the update is loaded.
    fn is_empty(&self) -> bool {
        fs::read_dir(self.path("sys/updates")).is_ok_and(|mut dir| dir.next().is_none())
    }
}

fn worker() -> SecretKey {
    SecretKey::from_seed(&[42; 32])
}

fn package_bytes(module: &str, edit: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let mut manifest = example::manifest();
    edit(&mut manifest);
    let mut members = example::members();
    members.insert(part_member(&manifest.id, 0), module.into());
    Package::write(manifest, members, &worker()).unwrap()
}

fn package(module: &str) -> Package {
    Package::open(&package_bytes(module, |_| ()), &[worker().public()]).unwrap()
}

/// An update of vmlinux and the modules alpha and beta.
fn mixed(words: [&str; 3]) -> Package {
    let mut manifest = example::manifest();
    let mut members = example::members();
    for (number, object) in ["vmlinux", "alpha", "beta"].into_iter().enumerate() {
        if number > 0 {
            manifest.parts.push(example::part(object));
        }
        let text = format!("{} {number} 3 {object}\n", words[number]);
        members.insert(part_member(example::ID, number), text.into_bytes());
    }
    let bytes = Package::write(manifest, members, &worker()).unwrap();
    Package::open(&bytes, &[worker().public()]).unwrap()
}

fn states(path: &Path) -> Vec<State> {
    Journal::view(path, "boot-1")
        .unwrap()
        .entries()
        .iter()
        .map(|entry| entry.state)
        .collect()
}

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
    let script = script.replace(
        &format!("rm -f {}/sys/report;", rig.dir.path().display()),
        "",
    );
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
    assert!(rig.calls().is_empty());
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
