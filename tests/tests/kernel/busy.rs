//! Tasks that sleep in what is to be replaced.

use resplice_package::Package;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};

#[test]
fn a_sleeper_is_named_and_when_it_leaves_the_update_goes_in() {
    let target = target(CLOUD).unwrap();
    let package = updates::build(&target, "tests/patches/pipe-read.patch")
        .unwrap()
        .open()
        .unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring(&package).unwrap();
    let pids = guest
        .ok("mkfifo /f; sleep 1000 >/f & writer=$!; cat /f >/dev/null & echo $! $writer; sleep 1")
        .unwrap();
    let (reader, writer) = pids.split_once(' ').unwrap();

    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded, "{report}");
    let busy = format!("busy: cat[{reader}] is in pipe_read+0x");
    assert!(report.contains(&busy), "{report}");

    guest.ok(&format!("kill {writer}; sleep 1")).unwrap();
    guest.apply(&package).unwrap();
    assert_eq!(guest.ok("echo through | cat").unwrap(), "through");

    // Now a sleeper in the new code holds up undoing.
    guest
        .ok("sleep 1000 >/f & echo $! >/w; cat /f >/dev/null & sleep 1")
        .unwrap();
    let id = &package.manifest().id;
    let undo = format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled");
    assert!(!guest.run(&undo).unwrap().success());
    let conflicts = guest
        .ok(&format!("cat /sys/kernel/resplice/updates/{id}/conflicts"))
        .unwrap();
    assert!(conflicts.contains(" cat pipe_read.rsp+0x"), "{conflicts}");
    assert_eq!(guest.state(&package).unwrap(), "applied");

    guest.ok("kill $(cat /w); sleep 1").unwrap();
    guest.undo(&package).unwrap();
    assert_eq!(guest.ok("echo through | cat").unwrap(), "through");
    guest.log_is_clean().unwrap();
}

#[test]
fn a_task_that_has_left_every_list_is_still_waited_for() {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, "tests/patches/pipe-free.patch").unwrap();
    let package = update.open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring(&package).unwrap();
    guest
        .bring_program("tests/guest/leaver.c", "leaver")
        .unwrap();
    guest.apply(&package).unwrap();
    assert_eq!(guest.ok("/root/leaver").unwrap(), "left");

    // It sleeps in the new code now, and wakes up there.
    let id = &package.manifest().id;
    let undo = format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled");
    assert!(!guest.run(&undo).unwrap().success());
    let words = "tasks at the end of their exit: 1";
    let report = guest.report().unwrap();
    assert!(report.contains(&format!("busy: {words}")), "{report}");
    let conflicts = format!("cat /sys/kernel/resplice/updates/{id}/conflicts");
    assert_eq!(guest.ok(&conflicts).unwrap(), words);
    assert_eq!(guest.state(&package).unwrap(), "applied");

    guest
        .ok(&format!(
            "for i in $(seq 60); do {undo} && exit; sleep 1; done; exit 1"
        ))
        .unwrap();
    guest.ok(&format!("rmmod {id}")).unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn words_that_are_no_way_back_into_the_code_hold_nothing_up() {
    let (guest, package) = guest_with_holder("fs-loadavg");
    let address = |symbol: &str| {
        let line = format!("awk '$3 == \"{symbol}\" {{ print $1 }}' /proc/kallsyms");
        let start = u64::from_str_radix(&guest.ok(&line).unwrap(), 16).unwrap();
        format!("{:x}", start + 16)
    };

    let hold = |symbol: &str, how: &str| {
        let hold = format!("/root/holder {} {how} >/held & echo $!", address(symbol));
        let wait = "until grep -q held /held; do sleep 0.1; done; sleep 0.5";
        guest.ok(&format!("{hold}; {wait}")).unwrap()
    };

    // In registers of user space, which the kernel keeps at the end of the stack,
    // and in a frame, but not as a return address.
    guest.ok("mkfifo /f").unwrap();
    hold("loadavg_proc_show", "pause");
    let reader = hold("loadavg_proc_show", "read /f");
    let stack = guest.ok(&format!("cat /proc/{reader}/stack")).unwrap();
    assert!(stack.contains("pipe_read"), "{stack}");
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(loaded, "{report}");

    // On the stack of the task that asks for the undo.
    hold("loadavg_proc_show.rsp", "pause");
    hold("loadavg_proc_show.rsp", "read /f");
    undo_by_holder(&guest, &package, &address("loadavg_proc_show.rsp"));
    guest.log_is_clean().unwrap();
}

#[test]
fn who_undoes_what_it_is_in_itself_is_named() {
    let (guest, package) = guest_with_holder("fs-write");
    guest.apply(&package).unwrap();
    let id = &package.manifest().id;
    let undo = format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled");
    assert!(!guest.run(&undo).unwrap().success());
    let report = guest.report().unwrap();
    assert!(report.contains("is in vfs_write.rsp+0x"), "{report}");
    assert_eq!(guest.state(&package).unwrap(), "applied");

    // Asynchronous I/O does not write through vfs_write().
    undo_by_holder(&guest, &package, "0");
    guest.log_is_clean().unwrap();
}

fn guest_with_holder(patch: &str) -> (Guest, Package) {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, &format!("tests/patches/{patch}.patch")).unwrap();
    let package = update.open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring(&package).unwrap();
    guest
        .bring_program("tests/guest/holder.c", "holder")
        .unwrap();
    (guest, package)
}

fn undo_by_holder(guest: &Guest, package: &Package, held: &str) {
    let id = &package.manifest().id;
    let file = format!("/sys/kernel/resplice/updates/{id}/enabled");
    let undone = guest
        .run(&format!("/root/holder {held} write {file} 0"))
        .unwrap();
    assert!(undone.success(), "{}", guest.report().unwrap());
    assert_eq!(guest.state(package).unwrap(), "undone");
}
