//! An update that takes another's place, in one stop.

use resplice_package::Package;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, jump_offset, modules, target, updates};
use resplice_vm::GuestFile;

const FIRST: &str = "tests/patches/superseded.patch";
const SECOND: &str = "tests/patches/superseding.patch";
/// What the first changes, then what the second changes beside that.
const FILES: &str = "sed 's/.* //;s/^[0-9]*$/-/' /proc/loadavg; \
    cat /proc/sys/kernel/cap_last_cap /sys/kernel/fscaps /mnt/status";
const STOCK: [&str; 4] = ["-", "40", "1", "enabled"];
const OLD: [&str; 4] = ["live", "41", "1", "enabled"];
const NEW: [&str; 4] = ["newer", "42", "1 newer", "enabled newer"];
const UPDATES: &str = "/sys/kernel/resplice/updates";

struct Both {
    guest: Guest,
    first: Package,
    second: Package,
}

impl Both {
    /// The first is applied; the second is at hand, as `supersedes` has it built.
    fn new(supersedes: bool) -> Self {
        let target = target(CLOUD).unwrap();
        let first = updates::build(&target, FIRST).unwrap().open().unwrap();
        let ids = [first.manifest().id.as_str()];
        let ids = if supersedes { &ids[..] } else { &[] };
        let second = updates::build_superseding(&target, SECOND, ids).unwrap();
        let second = second.open().unwrap();
        let machine = machine(&target, "max").provide_module("binfmt_misc");
        let guest = Guest::start(&machine, &first).unwrap();
        guest
            .ok("modprobe binfmt_misc && mkdir -p /mnt && mount -t binfmt_misc none /mnt")
            .unwrap();
        guest.bring(&first).unwrap();
        guest.bring(&second).unwrap();
        let both = Self {
            guest,
            first,
            second,
        };
        both.shows(&STOCK);
        both.guest.apply(&both.first).unwrap();
        both.shows(&OLD);
        both
    }

    fn shows(&self, expected: &[&str; 4]) {
        let text = self.guest.ok(FILES).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    fn state_of(&self, package: &Package) -> String {
        self.guest.state(package).unwrap()
    }
}

#[test]
fn a_newer_update_takes_the_place_of_an_older_one_in_one_stop() {
    let both = Both::new(true);
    let (guest, old, new) = (&both.guest, &both.first, &both.second);
    let id = &old.manifest().id;
    guest.apply(new).unwrap();
    let report = guest.report().unwrap();
    for line in [
        "applied: 3 functions and 1 data in 2 of 2 parts",
        &format!("superseded: {id}"),
    ] {
        assert!(report.contains(line), "{report}");
    }
    both.shows(&NEW);
    assert_eq!(both.state_of(old), "superseded");
    let named = guest
        .ok(&format!("cat {UPDATES}/{}/supersedes", new.manifest().id))
        .unwrap();
    assert_eq!(named, *id);
    // It can neither come back nor is anybody in its code.
    for command in [
        format!("echo 1 > {UPDATES}/{id}/enabled"),
        format!("echo 0 > {UPDATES}/{id}/enabled"),
    ] {
        assert!(!guest.run(&command).unwrap().success(), "{command}");
    }
    guest.ok(&format!("rmmod {id}")).unwrap();
    let (loaded, report) = guest.load(old).unwrap();
    assert!(!loaded && report.contains("superseded: "), "{report}");
    // What is undone leads to the kernel as it was shipped, not to the older update.
    guest.undo(new).unwrap();
    both.shows(&STOCK);
    guest.apply(old).unwrap();
    guest.undo(old).unwrap();
    both.shows(&STOCK);
    guest.log_is_clean().unwrap();
}

#[test]
fn an_update_that_does_not_supersede_leaves_the_older_one_in_force() {
    let both = Both::new(false);
    let (loaded, report) = both.guest.load(&both.second).unwrap();
    assert!(!loaded, "{report}");
    let id = &both.first.manifest().id;
    assert!(
        report.contains(&format!("is already replaced by {id}")),
        "{report}"
    );
    both.shows(&OLD);
    both.guest.undo(&both.first).unwrap();
    both.shows(&STOCK);
    both.guest.log_is_clean().unwrap();
}

#[test]
fn what_cannot_come_in_leaves_the_older_one_as_it_was() {
    let both = Both::new(true);
    let guest = &both.guest;
    let parts = both.second.parts().unwrap();
    let corrupt = modules::build(&target(CLOUD).unwrap(), "rt_corrupt").unwrap();
    let corrupt = GuestFile::new("/root/rt_corrupt.ko", 0o600, corrupt);
    guest.vm.push(&[corrupt]).unwrap();
    // The first part is prepared; then what it relies on changes.
    guest
        .ok(&format!("insmod /root/{}.ko", parts[0].name))
        .unwrap();
    let last = format!("insmod /root/{}.ko", parts[1].name);
    let offset = jump_offset(&target(CLOUD).unwrap());
    let change = format!("insmod /root/rt_corrupt.ko symbol=fscaps_show offset={offset}");
    guest.ok(&change).unwrap();
    assert!(!guest.run(&last).unwrap().success());
    let report = guest.report().unwrap();
    let changed = format!("changed: fscaps_show+{offset:#x}");
    assert!(report.contains(&changed), "{report}");
    assert_eq!(both.state_of(&both.first), "applied");
    guest.ok("rmmod rt_corrupt").unwrap();
    both.shows(&OLD);
    // A probe on that place is named before anything is stopped.
    guest
        .ok(&format!(
            "cd /sys/kernel/tracing && echo 'p:held fscaps_show+{offset}' > kprobe_events && \
            echo 1 > events/kprobes/held/enable"
        ))
        .unwrap();
    assert!(!guest.run(&last).unwrap().success());
    let report = guest.report().unwrap();
    let sentence = format!("a kprobe sits at fscaps_show+{offset:#x}");
    assert!(report.contains(&sentence), "{report}");
    both.shows(&OLD);
    guest
        .ok("cd /sys/kernel/tracing && echo 0 > events/kprobes/held/enable && echo > kprobe_events")
        .unwrap();
    guest.ok(&last).unwrap();
    both.shows(&NEW);
    guest.undo(&both.second).unwrap();
    both.shows(&STOCK);
    guest.log_is_clean().unwrap();
}

#[test]
fn a_string_that_stays_is_superseded_too() {
    let target = target(CLOUD).unwrap();
    let first = updates::build(&target, "tests/patches/data-strings.patch").unwrap();
    let first = first.open().unwrap();
    let patch = "tests/patches/data-strings-newer.patch";
    let second = updates::build_superseding(&target, patch, &[&first.manifest().id]).unwrap();
    let second = second.open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &first).unwrap();
    guest.bring(&first).unwrap();
    guest.bring(&second).unwrap();
    let says = |word: &str| {
        let text = guest.ok("grep State: /proc/2/status").unwrap();
        assert!(text.ends_with(&format!("S ({word})")), "{text}");
    };
    guest.apply(&first).unwrap();
    says("sleeping live");
    guest.apply(&second).unwrap();
    says("sleeping newer");
    // Somebody may still hold the older string's address.
    assert_eq!(guest.state(&first).unwrap(), "superseded");
    let id = &first.manifest().id;
    assert!(!guest.run(&format!("rmmod {id}")).unwrap().success());
    guest.undo(&second).unwrap();
    says("sleeping");
    guest.log_is_clean().unwrap();
}
