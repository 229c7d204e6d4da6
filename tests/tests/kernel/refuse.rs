//! What must not go in, and that the guest lives on as it was.

use crate::{Shipped, Updated, seg6_check, seg6_guest};
use resplice_target::resolve;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, OTHER_ABI, modules, target, updates};
use resplice_vm::GuestFile;

#[test]
fn a_changed_byte_is_named_and_nothing_is_applied() {
    let (guest, package) = seg6_guest("max");
    let target = target(CLOUD).unwrap();
    let corrupt = modules::build(&target, "rt_corrupt").unwrap();
    guest
        .vm
        .push(&[GuestFile::new("/root/rt_corrupt.ko", 0o600, corrupt)])
        .unwrap();
    // The constant 4 of `cmpb $4, 2(%rdi)`: another type is asked for now.
    let offset = if target.id().series() == "6.1" {
        11
    } else {
        24
    };
    let lowest_bit_flipped =
        format!("insmod /root/rt_corrupt.ko symbol=seg6_validate_srh offset={offset}");
    guest.ok(&lowest_bit_flipped).unwrap();

    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    let line = report
        .lines()
        .find(|line| line.starts_with("mismatch: "))
        .unwrap_or_else(|| panic!("no mismatch: {report}"));
    assert!(
        line.contains(&format!("seg6_validate_srh+{offset:#x} ")),
        "{line}"
    );
    assert!(
        line.contains("expected 04 ") && line.contains("found 05 "),
        "{line}"
    );
    assert_eq!(guest.ok("ls /sys/kernel/resplice/updates").unwrap(), "");

    guest.ok("rmmod rt_corrupt").unwrap();
    assert_eq!(seg6_check(&guest), Shipped);
    guest.apply(&package).unwrap();
    assert_eq!(seg6_check(&guest), Updated);
    guest.log_is_clean().unwrap();
}

#[test]
fn another_abi_refuses_the_module() {
    let built_for = target(CLOUD).unwrap();
    let runs = target(OTHER_ABI).unwrap();
    assert_ne!(built_for.release(), runs.release());
    let package = updates::build(&built_for, crate::SEG6)
        .unwrap()
        .open()
        .unwrap();
    let vm = machine(&runs, "max").boot().unwrap();
    let guest = Guest { vm };
    guest
        .vm
        .push(&[GuestFile::new(
            "/root/resplice.ko",
            0o600,
            package.core_module().unwrap(),
        )])
        .unwrap();
    let output = guest.run("insmod /root/resplice.ko").unwrap();
    assert!(!output.success());
    let log = guest.vm.kernel_log();
    assert!(
        log.contains("version magic") || log.contains("disagrees about version of symbol"),
        "{log}"
    );
    guest.ok("true").unwrap();
}

#[test]
fn the_same_function_is_not_replaced_twice() {
    let (guest, package) = seg6_guest("max");
    guest.apply(&package).unwrap();
    let id = package.manifest().id.clone();
    // The same module under the same name is the kernel's own to refuse.
    let output = guest.run(&format!("insmod /root/{id}.ko")).unwrap();
    assert!(!output.success());
    assert_eq!(guest.state(&package).unwrap(), "applied");
    assert_eq!(seg6_check(&guest), Updated);
}

#[test]
fn an_applied_update_cannot_be_unloaded() {
    let (guest, package) = seg6_guest("max");
    guest.apply(&package).unwrap();
    let id = &package.manifest().id;
    assert!(!guest.run(&format!("rmmod {id}")).unwrap().success());
    assert!(!guest.run("rmmod resplice").unwrap().success());
    assert_eq!(seg6_check(&guest), Updated);
    guest.undo(&package).unwrap();
    guest.ok("rmmod resplice").unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn a_check_changes_nothing() {
    let (guest, package) = seg6_guest("max");
    let id = &package.manifest().id;
    guest.ok(&format!("insmod /root/{id}.ko check=1")).unwrap();
    assert_eq!(guest.state(&package).unwrap(), "loaded");
    assert!(
        guest
            .report()
            .unwrap()
            .contains("matched: net/ipv6/seg6.c .text")
    );
    assert_eq!(seg6_check(&guest), Shipped);
    guest.ok(&format!("rmmod {id}")).unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn targets_of_the_tests_differ() {
    let ids = [CLOUD, OTHER_ABI].map(|spec| resolve(&spec.parse().unwrap()).unwrap());
    assert_ne!(ids[0], ids[1]);
}
