//! The next series of kernels through the same code: its functions begin with an endbr,
//! which boot may seal, and its alternatives have flags and do paravirt's work.

use crate::apply::shows_on;
use crate::parts::{self, both_parts_go_in_and_out};
use object::{Object, ObjectSection};
use resplice_package::Package;
use resplice_target::Target;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{NEWER, ibt, modules, target, updates};
use resplice_vm::GuestFile;
use std::time::Duration;

/// A guest with the core, for an update of the patch of that name.
fn guest_for(patch: &str) -> (Target, Package, Guest) {
    let target = target(NEWER).unwrap();
    let update = updates::build(&target, &format!("tests/patches/{patch}.patch")).unwrap();
    let package = update.open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    (target, package, guest)
}

#[test]
fn a_constant_that_changes_under_return_thunks() {
    shows_on(
        (NEWER, "EPYC"),
        "mm-tmpfs-namelen",
        "stat -f -c %l /tmp",
        |text| text == "255",
        |text| text == "200",
    );
}

#[test]
fn a_function_with_a_tracepoint_under_its_thunks() {
    shows_on(
        (NEWER, "Skylake-Server-v4"),
        "fs-task-name",
        "sh -c 'printf abc >/proc/self/comm; read n </proc/self/comm; echo $n'",
        |text| text == "abc",
        |text| text == "Abc",
    );
}

#[test]
fn where_calls_are_counted_the_core_is_not_loaded() {
    let target = target(NEWER).unwrap();
    let package = updates::build(&target, "tests/patches/fs-loadavg.patch")
        .unwrap()
        .open()
        .unwrap();
    let machine = machine(&target, "Skylake-Server-v4").append("retbleed=stuff");
    let vm = machine.boot().unwrap();
    let core = package.core_module().unwrap();
    vm.push(&[GuestFile::new("/root/resplice.ko", 0o600, core)])
        .unwrap();
    let ask = |script: &str| vm.run(script, Duration::from_secs(60)).unwrap().all_text();
    let mitigation = ask("cat /sys/devices/system/cpu/vulnerabilities/retbleed");
    assert_eq!(mitigation.trim(), "Mitigation: Stuffing");
    let refused = ask("insmod /root/resplice.ko; dmesg | grep resplice:");
    assert!(refused.contains("Operation not supported"), "{refused}");
    assert!(refused.contains("call depth tracking"), "{refused}");
}

/// The module with a word of its first constant changed, at this offset of `struct resplice_late`.
fn tampered(module: &[u8], offset: usize, word: u32) -> Vec<u8> {
    const ENTRY: usize = 32;
    const TYPE: usize = 20;
    const CONSTANTS: std::ops::RangeInclusive<u32> = 0x100..=0x101;
    let file = object::File::parse(module).unwrap();
    let late = file.section_by_name(".init.resplice.late").unwrap();
    let is_constant = |entry: &[u8]| {
        CONSTANTS.contains(&u32::from_le_bytes(
            entry[TYPE..TYPE + 4].try_into().unwrap(),
        ))
    };
    let first = late.data().unwrap().chunks(ENTRY).position(is_constant);
    let start = usize::try_from(late.file_range().unwrap().0).unwrap();
    let at = start + first.expect("the update has no constants") * ENTRY + offset;
    let mut module = module.to_vec();
    module[at..at + 4].copy_from_slice(&word.to_le_bytes());
    module
}

#[test]
fn constants_that_boot_fills_in_are_filled_in_in_new_code_or_refused() {
    const ADDEND: usize = 8;
    const FEATURE: usize = 24;
    let (_, package, guest) = guest_for("fs-dentry-constants");
    let part = &package.parts().unwrap()[0];
    for (offset, word) in [(ADDEND, 1), (FEATURE, 0)] {
        let module = tampered(part.bytes, offset, word);
        let file = GuestFile::new(format!("/root/{}.ko", part.name), 0o600, module);
        guest.vm.push(&[file]).unwrap();
        let (loaded, report) = guest.load(&package).unwrap();
        let sentence = "format: a constant of the kernel has an addend or a feature";
        assert!(!loaded && report.contains(sentence), "{report}");
    }
    let negative = "awk '{print $5}' /proc/sys/fs/dentry-state";
    guest.bring(&package).unwrap();
    guest.apply(&package).unwrap();
    assert_eq!(guest.ok(negative).unwrap(), "1000003");
    guest.undo(&package).unwrap();
    assert!(guest.ok(negative).unwrap().parse::<u32>().unwrap() < 1_000_000);
    guest.log_is_clean().unwrap();
}

/// How a sealed entry and an open one begin.
const SEALED: u8 = 0x66;
const ENDBR: u8 = 0xf3;

/// The first byte of a function that nobody enters meanwhile, which must be this one.
fn begins_with(guest: &Guest, function: &str, byte: u8) -> bool {
    guest
        .ok(&format!(
            "insmod /root/rt_corrupt.ko symbol={function} offset=0 value={byte}; rmmod rt_corrupt; \
             dmesg | grep '{function}+0x0: ' | tail -n 1"
        ))
        .unwrap()
        .contains(&format!(" {byte:#04x} -> {byte:#04x}"))
}

#[test]
fn an_entry_that_boot_has_sealed_is_opened_for_whom_takes_its_address() {
    let (target, package, guest) = guest_for("fs-sealed-entry");
    let corrupt = modules::build(&target, "rt_corrupt").unwrap();
    let corrupt = GuestFile::new("/root/rt_corrupt.ko", 0o600, corrupt);
    guest.vm.push(&[corrupt]).unwrap();
    guest.bring(&package).unwrap();
    assert!(begins_with(&guest, "get_avenrun", SEALED));

    let id = &package.manifest().id;
    guest.ok(&format!("insmod /root/{id}.ko check=1")).unwrap();
    let report = guest.report().unwrap();
    assert!(report.contains("sealed: get_avenrun"), "{report}");
    guest.ok(&format!("rmmod {id}")).unwrap();
    assert!(begins_with(&guest, "get_avenrun", SEALED));

    guest.apply(&package).unwrap();
    assert!(begins_with(&guest, "get_avenrun", ENDBR));
    assert!(guest.ok("cat /proc/loadavg").unwrap().ends_with(" asked"));
    // Somebody may hold the address by now.
    guest.undo(&package).unwrap();
    assert!(begins_with(&guest, "get_avenrun", ENDBR));
    assert!(!guest.ok("cat /proc/loadavg").unwrap().contains("asked"));
    guest.apply(&package).unwrap();
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}

/// Each call that can fail does, while the update is prepared and no more.
#[test]
fn whatever_fails_a_sealed_entry_stays_sealed() {
    let (target, package, guest) = guest_for("fs-sealed-entry");
    guest.bring(&package).unwrap();
    let file = |name: &str, bytes| GuestFile::new(format!("/root/{name}.ko"), 0o600, bytes);
    let corrupt = modules::build(&target, "rt_corrupt").unwrap();
    let faults = modules::build_core_with_faults(&target).unwrap();
    let files = [file("rt_corrupt", corrupt), file("faults", faults)];
    guest.vm.push(&files).unwrap();
    let id = &package.manifest().id;
    let said = guest
        .ok(&format!(
            "rmmod resplice; insmod /root/faults.ko; at=/sys/module/resplice/parameters/fault_at; n=0; \
             while n=$((n + 1)); do echo $n > $at; loaded=; \
               insmod /root/{id}.ko check=1 2>/dev/null && loaded=1; left=$(cat $at); echo 0 > $at; \
               grep -h 'the entry of' /sys/kernel/resplice/report; \
               [ -z $loaded ] || rmmod {id}; [ $left = 0 ] || break; \
             done; echo $n calls"
        ))
        .unwrap();
    assert!(
        said.contains("cannot map the entry of get_avenrun"),
        "{said}"
    );
    assert!(begins_with(&guest, "get_avenrun", SEALED));
    guest.ok("rmmod resplice").unwrap();
    guest.log_is_clean().unwrap();
}

/// One that boot has sealed, and one that the loader has as the module came.
#[test]
fn sealed_entries_of_the_kernel_and_of_a_module_are_opened_together() {
    let target = target(NEWER).unwrap();
    let update = updates::build(&target, "tests/patches/sealed-entries.patch").unwrap();
    let package = update.open().unwrap();
    let machine = machine(&target, "max").provide_module("bridge");
    let guest = Guest::start(&machine, &package).unwrap();
    let corrupt = modules::build(&target, "rt_corrupt").unwrap();
    let corrupt = GuestFile::new("/root/rt_corrupt.ko", 0o600, corrupt);
    guest.vm.push(&[corrupt]).unwrap();
    guest.bring(&package).unwrap();
    guest.ok("modprobe bridge && brctl addbr br0").unwrap();
    let [first, second] = [0, 1].map(|part| package.parts().unwrap()[part].name.clone());
    let asked = || {
        let both = guest.ok("cat /proc/loadavg /sys/class/net/br0/bridge/hello_timer");
        both.unwrap().matches("asked").count()
    };
    let both_begin_with = |byte| {
        ["get_avenrun", "br_timer_value"]
            .iter()
            .all(|function| begins_with(&guest, function, byte))
    };
    assert!(both_begin_with(SEALED));

    // One becomes another instruction while its part waits: neither is written over.
    guest.ok(&format!("insmod /root/{first}.ko")).unwrap();
    let change = "insmod /root/rt_corrupt.ko symbol=get_avenrun offset=0 value=0x90";
    guest.ok(change).unwrap();
    let joined = guest.run(&format!("insmod /root/{second}.ko")).unwrap();
    let report = guest.report().unwrap();
    let sentence = "changed: the entry of get_avenrun";
    assert!(!joined.success() && report.contains(sentence), "{report}");
    guest.ok("rmmod rt_corrupt").unwrap();
    assert!(both_begin_with(SEALED));

    guest.ok(&format!("insmod /root/{second}.ko")).unwrap();
    assert!(both_begin_with(ENDBR));
    assert_eq!(asked(), 2);
    guest.undo(&package).unwrap();
    assert!(both_begin_with(ENDBR));
    assert_eq!(asked(), 0);
    guest.ok("brctl delbr br0 && rmmod bridge").unwrap();
    guest.log_is_clean().unwrap();
}

/// An update in and out of it, for a shell; each command must work.
fn in_and_out(id: &str, ask: &str) -> String {
    let core = "/sys/kernel/resplice";
    format!("insmod /root/{id}.ko\n{ask}\necho 0 > {core}/updates/{id}/enabled\nrmmod {id}\n")
}

#[test]
fn a_processor_that_lets_no_pointer_lead_to_what_is_sealed() {
    let target = target(NEWER).unwrap();
    let mut script = "set -e\ninsmod /root/resplice.ko\n".to_owned();
    let mut files = Vec::new();
    for (patch, ask) in [
        ("fs-loadavg", "cat /proc/loadavg"),
        ("fs-sealed-entry", "cat /proc/loadavg"),
        ("fs-dentry-constants", "cat /proc/sys/fs/dentry-state"),
        ("hooks-loadavg", "cat /proc/loadavg"),
        ("hot-functions", "cat /proc/loadavg"),
    ] {
        let patch = format!("tests/patches/{patch}.patch");
        let package = updates::build(&target, &patch).unwrap().open().unwrap();
        let core = package.core_module().unwrap();
        files.push(("resplice.ko".to_owned(), core.to_vec()));
        let part = &package.parts().unwrap()[0];
        files.push((format!("{}.ko", part.name), part.bytes.to_vec()));
        script.push_str(&in_and_out(&part.name, ask));
    }
    script.push_str("rmmod resplice\necho all of it\n");
    let said = ibt::run(&target, &script, &files).unwrap();
    // The kernel has tried by then whether the processor does it.
    for line in [
        "CET detected: Indirect Branch Tracking enabled",
        " live\n",
        " asked\n",
        "\t1000003\t",
        "all of it\n",
    ] {
        assert!(said.contains(line), "no {line:?}: {said}");
    }
    assert!(!said.contains("Missing ENDBR"), "{said}");
    assert_eq!(said.matches(" applied: ").count(), 5, "{said}");
    assert_eq!(said.matches(" undone: ").count(), 5, "{said}");
}

#[test]
fn a_module_together_with_the_kernel() {
    both_parts_go_in_and_out(&target(NEWER).unwrap(), parts::PATCH);
}
