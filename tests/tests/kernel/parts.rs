//! One update of the kernel and a module: both parts or neither.

use object::{Object, ObjectSection};
use resplice_package::Package;
use resplice_target::Target;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, jump_offset, modules, target, updates};
use resplice_vm::GuestFile;

/// Changes a string of vmlinux and one of the module binfmt_misc.
pub const PATCH: &str = "tests/patches/kernel-and-module.patch";
/// Adds a function to vmlinux that the module binfmt_misc calls.
const LENT: &str = "tests/patches/lent-function.patch";
/// What both changes show in.
const BOTH: &str = "cat /proc/loadavg /mnt/status";
/// Changes a string of that module, and its exit.
const EXIT: &str = "tests/patches/module-exit.patch";
const UPDATES: &str = "/sys/kernel/resplice/updates";

/// A guest that has the module, with the update at hand.
fn guest(patch: &str) -> (Guest, Package) {
    guest_of(&target(CLOUD).unwrap(), patch)
}

fn guest_of(target: &Target, patch: &str) -> (Guest, Package) {
    let package = updates::build(target, patch).unwrap().open().unwrap();
    let machine = machine(target, "max").provide_module("binfmt_misc");
    let guest = Guest::start(&machine, &package).unwrap();
    guest
        .ok("modprobe binfmt_misc && mkdir -p /mnt && mount -t binfmt_misc none /mnt")
        .unwrap();
    guest.bring(&package).unwrap();
    assert_eq!(live(&guest), 0);
    (guest, package)
}

/// How many of the two files show the change.
fn live(guest: &Guest) -> usize {
    guest.ok(BOTH).unwrap().matches("live").count()
}

/// The names of the two parts' modules.
fn names(package: &Package) -> [String; 2] {
    let parts = package.parts().unwrap();
    assert_eq!(
        parts.iter().map(|part| part.object).collect::<Vec<_>>(),
        ["vmlinux", "binfmt_misc"]
    );
    [parts[0].name.clone(), parts[1].name.clone()]
}

#[test]
fn both_parts_go_in_with_one_stop_and_out_with_one() {
    both_parts_go_in_and_out(&target(CLOUD).unwrap(), PATCH);
}

pub fn both_parts_go_in_and_out(target: &Target, patch: &str) {
    let (guest, package) = guest_of(target, patch);
    let [first, second] = names(&package);
    guest.apply(&package).unwrap();
    assert_eq!(live(&guest), 2);
    let report = guest.report().unwrap();
    assert!(
        report.contains("applied: 2 functions and 0 data in 2 of 2 parts"),
        "{report}"
    );
    // Neither the parts nor what they patch can go.
    for module in [&first, &second, "binfmt_misc", "resplice"] {
        assert!(!guest.run(&format!("rmmod {module}")).unwrap().success());
    }
    // What is written to one part is done with both.
    guest
        .ok(&format!("echo 0 > {UPDATES}/{second}/enabled"))
        .unwrap();
    assert_eq!(guest.state(&package).unwrap(), "undone");
    assert_eq!(live(&guest), 0);
    guest
        .ok(&format!(
            "rmmod {second} && rmmod {first} && rmmod resplice"
        ))
        .unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn a_module_whose_exit_would_be_another_stays_also_after_undo() {
    let (guest, package) = guest(EXIT);
    let part = &package.parts().unwrap()[0].name;
    guest.apply(&package).unwrap();
    assert_eq!(live(&guest), 1);
    guest.undo(&package).unwrap();
    assert_eq!(live(&guest), 0);
    let report = guest.report().unwrap();
    assert!(
        report.contains(&format!("stays: {part} remains loaded")),
        "{report}"
    );
    guest.ok("umount /mnt").unwrap();
    for module in [part.as_str(), "binfmt_misc"] {
        assert!(!guest.run(&format!("rmmod {module}")).unwrap().success());
    }
    guest.log_is_clean().unwrap();
}

#[test]
fn a_part_alone_waits_until_it_is_asked_for() {
    let (guest, package) = guest(PATCH);
    let [first, second] = names(&package);
    guest.ok(&format!("insmod /root/{first}.ko")).unwrap();
    let state = guest.ok(&format!("cat {UPDATES}/{first}/state")).unwrap();
    assert_eq!(state, "loaded");
    assert!(guest.report().unwrap().contains("waiting: "));
    assert_eq!(live(&guest), 0);
    guest
        .ok(&format!("echo 1 > {UPDATES}/{first}/enabled"))
        .unwrap();
    assert_eq!(live(&guest), 1);
    // The other one joins it, in a stop of its own.
    guest.ok(&format!("insmod /root/{second}.ko")).unwrap();
    assert_eq!(guest.state(&package).unwrap(), "applied");
    assert_eq!(live(&guest), 2);
    guest.undo(&package).unwrap();
    assert_eq!(live(&guest), 0);
    guest.log_is_clean().unwrap();
}

#[test]
fn a_part_for_an_absent_module_is_refused_and_the_other_one_only_waits() {
    let target = target(CLOUD).unwrap();
    let package = updates::build(&target, PATCH).unwrap().open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring(&package).unwrap();
    let [first, _] = names(&package);
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    assert!(report.contains("absent: "), "{report}");
    assert!(!guest.ok("cat /proc/loadavg").unwrap().contains("live"));
    guest.ok(&format!("rmmod {first}")).unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn a_module_calls_a_function_that_the_kernels_part_lends_it() {
    let (guest, package) = guest(LENT);
    let [lender, borrower] = names(&package);
    // Without the lender the module loader does not take the other part.
    let alone = guest.ok(&format!("insmod /root/{borrower}.ko 2>&1 || true"));
    assert!(alone.unwrap().to_lowercase().contains("unknown symbol"));
    guest.apply(&package).unwrap();
    // The lender replaces nothing, and is in all the same.
    assert!(guest.report().unwrap().contains("in 2 of 2 parts"));
    assert_eq!(guest.ok("cat /mnt/status").unwrap().trim(), "enabled live");
    guest.undo(&package).unwrap();
    assert_eq!(guest.ok("cat /mnt/status").unwrap().trim(), "enabled");
    for module in [&borrower, &lender] {
        assert!(
            !guest
                .run(&format!("lsmod | grep -q {module}"))
                .unwrap()
                .success()
        );
    }
    guest.log_is_clean().unwrap();
}

/// The second part with a byte of its matched code changed.
fn tampered(module: &[u8]) -> Vec<u8> {
    let file = object::File::parse(module).unwrap();
    let image = file.section_by_name(".init.resplice.match").unwrap();
    let (start, size) = image.file_range().unwrap();
    let mut tampered = module.to_vec();
    // The byte pool is the image's last table; what lies in its middle is text. A move
    // between registers is no field, whose bytes here would count for nothing.
    let middle = usize::try_from(start + size - size / 8).unwrap();
    let at = tampered[middle..]
        .windows(2)
        .position(|two| two == [0x48, 0x89]);
    tampered[middle + at.unwrap()] ^= 0x5a;
    tampered
}

#[test]
fn a_part_that_does_not_match_leaves_everything_as_it_was() {
    let (guest, package) = guest(PATCH);
    let [first, second] = names(&package);
    let file = GuestFile::new(
        format!("/root/{second}.ko"),
        0o600,
        tampered(package.parts().unwrap()[1].bytes),
    );
    guest.vm.push(&[file]).unwrap();
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    assert!(report.contains("mismatch: "), "{report}");
    assert_eq!(live(&guest), 0);
    let listed = guest.ok(&format!("ls {UPDATES}")).unwrap();
    assert_eq!(listed, first);
    guest.ok(&format!("rmmod {first}")).unwrap();
    // Nothing is left of it: the good one goes in.
    guest.bring(&package).unwrap();
    guest.apply(&package).unwrap();
    assert_eq!(live(&guest), 2);
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn bytes_that_change_under_a_waiting_part_keep_all_parts_out() {
    let (guest, package) = guest(PATCH);
    let [first, second] = names(&package);
    let corrupt = modules::build(&target(CLOUD).unwrap(), "rt_corrupt").unwrap();
    guest
        .vm
        .push(&[GuestFile::new("/root/rt_corrupt.ko", 0o600, corrupt)])
        .unwrap();
    guest.ok(&format!("insmod /root/{first}.ko")).unwrap();
    // Where the jump is to go: nobody runs the function meanwhile.
    let offset = jump_offset(&target(CLOUD).unwrap());
    let change = format!("insmod /root/rt_corrupt.ko symbol=loadavg_proc_show offset={offset}");
    guest.ok(&change).unwrap();
    let joined = guest.run(&format!("insmod /root/{second}.ko")).unwrap();
    assert!(!joined.success());
    assert!(guest.report().unwrap().contains("changed: "));
    guest.ok("rmmod rt_corrupt").unwrap();
    assert_eq!(live(&guest), 0);
    let state = guest.ok(&format!("cat {UPDATES}/{first}/state")).unwrap();
    assert_eq!(state, "loaded");
    guest.ok(&format!("insmod /root/{second}.ko")).unwrap();
    assert_eq!(live(&guest), 2);
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn a_part_of_an_update_of_other_size_is_foreign() {
    let (guest, package) = guest(PATCH);
    let [first, second] = names(&package);
    let module = package.parts().unwrap()[1].bytes;
    let file = object::File::parse(module).unwrap();
    let header = file.section_by_name(".init.resplice.update").unwrap();
    let (start, size) = header.file_range().unwrap();
    let mut foreign = module.to_vec();
    // How many parts there are: before the superseded updates, which end the header.
    let at = usize::try_from(start + size).unwrap() - 20;
    foreign[at..at + 4].copy_from_slice(&3_u32.to_le_bytes());
    guest
        .vm
        .push(&[GuestFile::new(format!("/root/{second}.ko"), 0o600, foreign)])
        .unwrap();
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    assert!(report.contains("foreign: "), "{report}");
    assert_eq!(live(&guest), 0);
    guest.ok(&format!("rmmod {first}")).unwrap();
    guest.log_is_clean().unwrap();
}
