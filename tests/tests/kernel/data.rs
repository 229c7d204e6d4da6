//! Read-only data that is exchanged in place, in vmlinux and in a module.

use resplice_package::Package;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, modules, target, updates};
use resplice_vm::{GuestFile, Machine};

/// Fails as the device's operations say.
const SET_ADDRESS: &str = "ip link set dev dummy0 address 02:00:00:00:00:07 2>&1";
const LAST_CAP: &str = "cat /proc/sys/kernel/cap_last_cap";

fn guest_with(patch: &str) -> (Guest, Package) {
    start(patch, |machine| machine)
}

fn start(patch: &str, more: impl Fn(Machine) -> Machine) -> (Guest, Package) {
    let target = target(CLOUD).unwrap();
    let package = updates::build(&target, &format!("tests/patches/{patch}.patch"))
        .unwrap()
        .open()
        .unwrap();
    let machine = more(machine(&target, "max"));
    let guest = Guest::start(&machine, &package).unwrap();
    guest.bring(&package).unwrap();
    (guest, package)
}

/// A guest with a dummy device.
fn guest_with_device(patch: &str) -> (Guest, Package) {
    let (guest, package) = start(patch, |machine| machine.provide_module("dummy"));
    guest
        .ok("modprobe dummy && { ip link show dummy0 >/dev/null 2>&1 || ip link add dummy0 type dummy; }")
        .unwrap();
    (guest, package)
}

fn bring_corruption(guest: &Guest) {
    let corrupt = modules::build(&target(CLOUD).unwrap(), "rt_corrupt").unwrap();
    guest
        .vm
        .push(&[GuestFile::new("/root/rt_corrupt.ko", 0o600, corrupt)])
        .unwrap();
}

#[test]
fn constant_operations_of_a_module_change_for_devices_that_exist() {
    let (guest, package) = guest_with_device("data-ops-module");
    guest.ok(SET_ADDRESS).unwrap();
    guest.apply(&package).unwrap();
    assert!(!guest.run(SET_ADDRESS).unwrap().success());
    guest.undo(&package).unwrap();
    guest.ok(SET_ADDRESS).unwrap();
    guest.ok("rmmod dummy").unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn an_update_whose_code_others_may_call_stays_loaded_when_it_is_undone() {
    let (guest, package) = guest_with_device("data-ops-new-code");
    guest.apply(&package).unwrap();
    assert!(!guest.run(SET_ADDRESS).unwrap().success());
    // Checks that the module can't be unloaded.
    guest.undo(&package).unwrap();
    guest.ok(SET_ADDRESS).unwrap();
    let id = &package.manifest().id;
    let stays = guest
        .ok(&format!("cat /sys/kernel/resplice/updates/{id}/stays"))
        .unwrap();
    assert_eq!(stays, "1");
    guest.log_is_clean().unwrap();
}

#[test]
fn running_data_that_differ_are_named_and_nothing_is_applied() {
    let (guest, package) = guest_with("data-number");
    bring_corruption(&guest);
    guest
        .ok("insmod /root/rt_corrupt.ko symbol=cap_last_cap offset=0")
        .unwrap();
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    let line = report.lines().find(|l| l.starts_with("data: ")).unwrap();
    assert!(line.contains("cap_last_cap+0x0: expected 28"), "{line}");
    assert!(line.contains("found 29"), "{line}");
    assert_eq!(guest.ok("ls /sys/kernel/resplice/updates").unwrap(), "");
    guest.ok("rmmod rt_corrupt").unwrap();
    assert_eq!(guest.ok(LAST_CAP).unwrap(), "40");
    guest.apply(&package).unwrap();
    assert_eq!(guest.ok(LAST_CAP).unwrap(), "41");
    guest.log_is_clean().unwrap();
}

#[test]
fn a_pointer_that_leads_to_another_string_is_named_and_nothing_is_applied() {
    let (guest, package) = guest_with("data-strings");
    bring_corruption(&guest);
    guest
        .ok("insmod /root/rt_corrupt.ko symbol=task_state_array offset=8")
        .unwrap();
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    assert!(
        report.contains("data: task_state_array+0x8 does not point to what it should"),
        "{report}"
    );
    guest.ok("rmmod rt_corrupt").unwrap();
    guest.apply(&package).unwrap();
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn data_that_somebody_else_changed_are_not_undone() {
    let (guest, package) = guest_with("data-number");
    let id = package.manifest().id.clone();
    bring_corruption(&guest);
    guest.apply(&package).unwrap();
    guest
        .ok("insmod /root/rt_corrupt.ko symbol=cap_last_cap offset=0")
        .unwrap();
    let undo = format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled");
    assert!(!guest.run(&undo).unwrap().success());
    let report = guest.report().unwrap();
    assert!(
        report.contains("changed: the data of cap_last_cap"),
        "{report}"
    );
    assert_eq!(guest.state(&package).unwrap(), "applied");
    guest.ok("rmmod rt_corrupt").unwrap();
    guest.undo(&package).unwrap();
    assert_eq!(guest.ok(LAST_CAP).unwrap(), "40");
    guest.log_is_clean().unwrap();
}

#[test]
fn a_value_that_the_administrator_has_set_is_not_replaced() {
    const LIMIT: &str = "cat /proc/sys/fs/pipe-max-size";
    let (guest, package) = guest_with("declared-pipe-limit");
    guest
        .ok("echo 524288 > /proc/sys/fs/pipe-max-size")
        .unwrap();
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    assert!(report.contains("data: pipe_max_size+0x"), "{report}");
    assert_eq!(guest.ok(LIMIT).unwrap(), "524288");
    guest
        .ok("echo 1048576 > /proc/sys/fs/pipe-max-size")
        .unwrap();
    guest.apply(&package).unwrap();
    assert_eq!(guest.ok(LIMIT).unwrap(), "2097152");
    guest.undo(&package).unwrap();
    assert_eq!(guest.ok(LIMIT).unwrap(), "1048576");
    guest.log_is_clean().unwrap();
}
