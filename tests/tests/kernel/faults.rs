//! Each call of the core that can fail does, one after the other.

use resplice_package::Package;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, modules, target, updates};
use resplice_vm::{GuestFile, SnapshotCache};
use std::time::Duration;

/// For all faults of one update, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(1200);

/// The core's state and the kernel's text are compared after each fault by the
/// program in the guest; here it is only told what to do.
fn each_fault_is_survived(patch: &str, older: Option<&str>) {
    let target = target(CLOUD).unwrap();
    let open = |patch: &str, supersedes: &[&str]| -> Package {
        let patch = format!("tests/patches/{patch}.patch");
        updates::build_superseding(&target, &patch, supersedes)
            .unwrap()
            .open()
            .unwrap()
    };
    let older = older.map(|patch| open(patch, &[]));
    let ids: Vec<&str> = older.iter().map(|p| p.manifest().id.as_str()).collect();
    let package = open(patch, &ids);
    let snapshots = SnapshotCache::new(&resplice_target::Cache::from_env().root().join("vm"));
    let guest = Guest {
        vm: machine(&target, "max").restore(&snapshots).unwrap(),
    };
    let core = modules::build_core_with_faults(&target).unwrap();
    let core = GuestFile::new("/root/resplice.ko", 0o600, core);
    guest.vm.push(&[core]).unwrap();
    guest
        .bring_program("tests/guest/faults.c", "faults")
        .unwrap();
    let mut words = String::new();
    for package in std::iter::once(&package).chain(&older) {
        guest.bring(package).unwrap();
        let id = &package.manifest().id;
        words.push_str(&format!(" /root/{id}.ko {id}"));
    }
    let command = format!("/root/faults /root/resplice.ko{words}");
    let output = guest.vm.run(&command, LIMIT).unwrap();
    println!("{}", output.all_text());
    assert!(output.success(), "{}", output.all_text());
    guest.log_is_clean().unwrap();
    no_memory_is_lost(&guest);
}

/// Kernels that watch for it say what nobody refers to any more.
fn no_memory_is_lost(guest: &Guest) {
    let lost = guest
        .ok(
            "f=/sys/kernel/debug/kmemleak; [ -e $f ] || exit 0; rmmod resplice; \
             echo scan > $f; sleep 6; echo scan > $f; cat $f",
        )
        .unwrap();
    assert_eq!(lost, "");
}

#[test]
fn of_functions_and_hooks() {
    each_fault_is_survived("hooks-loadavg", None);
}

/// Both hold the same jump label.
#[test]
fn of_an_update_that_supersedes() {
    each_fault_is_survived("label-at-entry-newer", Some("label-at-entry"));
}
