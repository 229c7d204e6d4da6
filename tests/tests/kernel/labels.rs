//! A jump label under the jump to a replacement: its key may change at any time.

use resplice_package::Package;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};
use resplice_vm::GuestFile;

const FIRST: &str = "tests/patches/label-at-entry.patch";
const SECOND: &str = "tests/patches/label-at-entry-newer.patch";
const FUNCTION: &str = "dynamic_kobj_release";

/// The first update and the one that takes its place, in a guest with a module whose
/// going calls the function.
struct Both {
    guest: Guest,
    first: Package,
    second: Package,
}

impl Both {
    fn new() -> Self {
        let target = target(CLOUD).unwrap();
        let first = updates::build(&target, FIRST).unwrap().open().unwrap();
        let ids = [first.manifest().id.as_str()];
        let second = updates::build_superseding(&target, SECOND, &ids).unwrap();
        let second = second.open().unwrap();
        let machine = machine(&target, "max").provide_module("dummy");
        let guest = Guest::start(&machine, &first).unwrap();
        guest.bring(&first).unwrap();
        guest.bring(&second).unwrap();
        Self {
            guest,
            first,
            second,
        }
    }

    /// Turns the keys of the old message and of the new ones on or off.
    fn turn(&self, on: bool) {
        let sign = if on { '+' } else { '-' };
        let command = format!("echo 'func {FUNCTION} {sign}p' > /proc/dynamic_debug/control");
        self.guest.ok(&command).unwrap();
    }

    /// From now on the keys change all the time, to these signs.
    fn changes(&self, which: &str, signs: &str) {
        let command = format!(
            "touch /root/go; (while [ -e /root/go ]; do for sign in {signs}; do \
               echo \"{which}func {FUNCTION} $sign\"p > /proc/dynamic_debug/control; \
             done; done; touch /root/gone) >/dev/null 2>&1 &"
        );
        self.guest.ok(&command).unwrap();
    }

    fn no_longer_changes(&self) {
        let command = "rm /root/go; until [ -e /root/gone ]; do sleep 0.1; done";
        self.guest.ok(command).unwrap();
    }

    /// What the function says now.
    fn says(&self) -> String {
        let said = self.guest.ok(&format!(
            "dmesg -c >/dev/null; modprobe dummy && rmmod dummy; \
             dmesg | grep -o '{FUNCTION}.*' | sort -u"
        ));
        said.unwrap().trim().replace(FUNCTION, "plain")
    }

    fn apply(&self, package: &Package) {
        self.guest.apply(package).unwrap();
        let report = self.guest.report().unwrap();
        let held = format!("label: {FUNCTION} begins with a jump label");
        assert!(report.contains(&held), "{report}");
    }

    /// In the place of the first, which goes.
    fn apply_second(&self) {
        self.apply(&self.second);
        let first = &self.first.manifest().id;
        self.guest.ok(&format!("rmmod {first}")).unwrap();
    }

    fn undo(&self, package: &Package) {
        self.guest.undo(package).unwrap();
    }
}

#[test]
fn a_label_that_begins_under_the_jump_is_held_and_let_go_as_its_key_wants_it() {
    let both = Both::new();
    assert_eq!(both.says(), "");

    // On while the update is in: the kernel passes over the site that it does not find.
    both.apply(&both.first);
    assert_eq!(both.says(), "");
    both.turn(true);
    assert_eq!(both.says(), "plain live");
    both.undo(&both.first);
    assert_eq!(both.says(), "plain");
    both.turn(false);
    assert_eq!(both.says(), "");

    // Off while it is in. The new message has a key of its own, which begins as off.
    both.turn(true);
    both.apply(&both.first);
    assert_eq!(both.says(), "");
    both.turn(true);
    assert_eq!(both.says(), "plain live");
    both.turn(false);
    both.undo(&both.first);
    assert_eq!(both.says(), "");
    both.turn(true);
    assert_eq!(both.says(), "plain");
    both.turn(false);

    // Another one takes its place, with the key as the first did not find it.
    both.apply(&both.first);
    both.turn(true);
    both.apply_second();
    both.turn(true);
    assert_eq!(both.says(), "plain newer");
    both.turn(false);
    both.undo(&both.second);
    assert_eq!(both.says(), "");
    both.turn(true);
    assert_eq!(both.says(), "plain");
    both.guest.log_is_clean().unwrap();
}

/// The kernel would die of it as its keys become known to jump labels.
#[test]
fn an_update_whose_own_message_is_turned_on_as_it_loads_is_busy() {
    let both = Both::new();
    both.changes("", "+");
    let (loaded, report) = both.guest.load(&both.first).unwrap();
    let sentence = "busy: a debug message of";
    assert!(!loaded && report.contains(sentence), "{report}");
    both.no_longer_changes();
    both.turn(false);
    both.apply(&both.first);
    both.undo(&both.first);
    both.guest.log_is_clean().unwrap();
}

#[test]
fn updates_come_and_go_while_the_key_changes() {
    let both = Both::new();
    // That of the kernel's own message.
    both.changes("module kobject ", "+ -");
    for _ in 0..5 {
        both.apply(&both.first);
        both.apply_second();
        both.undo(&both.second);
    }
    both.no_longer_changes();
    assert_eq!(both.says(), "");
    both.turn(true);
    assert_eq!(both.says(), "plain");
    both.guest.log_is_clean().unwrap();
}

/// The kernel does not look at the mark before that.
#[test]
fn a_label_of_a_module_is_held_once_that_has_come() {
    const FUNCTION: &str = "br_hold_timer_expired";
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, "tests/patches/label-in-module.patch").unwrap();
    let package = update.open().unwrap();
    let machine = machine(&target, "max").provide_module("bridge");
    let guest = Guest::start(&machine, &package).unwrap();
    guest.bring(&package).unwrap();
    let id = &package.manifest().id;
    let program = format!("#!/bin/sh\ninsmod /root/{id}.ko\n");
    let program = GuestFile::new("/root/bring", 0o700, program.into_bytes());
    guest.vm.push(&[program]).unwrap();
    guest
        .ok("printf '/root/bring\\nbridge\\n' > /sys/kernel/resplice/awaited; modprobe bridge")
        .unwrap();
    let report = guest.report().unwrap();
    let sentence = "which can be held once bridge has come";
    assert!(report.contains(sentence), "{report}");

    let turn = |sign| {
        let control = "/proc/dynamic_debug/control";
        let command = format!("echo 'module bridge func {FUNCTION} {sign}p' > {control}");
        guest.ok(&command).unwrap();
    };
    for (before, meanwhile) in [("-", "+"), ("+", "-")] {
        turn(before);
        guest.apply(&package).unwrap();
        let report = guest.report().unwrap();
        let held = format!("label: {FUNCTION} begins with a jump label");
        assert!(report.contains(&held), "{report}");
        turn(meanwhile);
        guest.undo(&package).unwrap();
        turn(before);
        turn(meanwhile);
    }
    guest.ok("rmmod bridge").unwrap();
    guest.log_is_clean().unwrap();
}
