//! The debug kernel: what the other tests would hear of there.

use resplice_tests::guest::{Guest, machine};
use resplice_tests::{debug_kernel, modules};
use resplice_vm::{GuestFile, SnapshotCache};

#[test]
#[ignore = "builds a kernel: make debug-kernel"]
fn each_kind_of_fault_is_noticed() {
    let target = debug_kernel().unwrap();
    let module = modules::build(&target, "rt_faulty").unwrap();
    let module = GuestFile::new("/root/rt_faulty.ko", 0o600, module);
    let snapshots = SnapshotCache::new(&resplice_target::Cache::from_env().root().join("vm"));
    for (fault, report) in [
        ("nothing", None),
        ("memory", Some("KASAN: slab-out-of-bounds")),
        ("sleep", Some("BUG: scheduling while atomic")),
        ("locks", Some("possible circular locking dependency")),
        ("rcu", Some("suspicious RCU usage")),
        ("leak", Some("unreferenced object")),
    ] {
        let guest = Guest {
            vm: machine(&target, "max").restore(&snapshots).unwrap(),
        };
        guest.vm.push(std::slice::from_ref(&module)).unwrap();
        guest
            .ok(&format!("insmod /root/rt_faulty.ko fault={fault}"))
            .unwrap();
        let heard = guest.log_is_clean().err().map(|error| error.to_string());
        match (heard, report) {
            (None, None) => {}
            (Some(heard), Some(report)) => assert!(heard.contains(report), "{fault}: {heard}"),
            (heard, _) => panic!("{fault}: {heard:?}"),
        }
        // What the log does not hold any more is still known.
        if report.is_some() && fault != "leak" {
            guest.ok("dmesg -c >/dev/null").unwrap();
            assert!(guest.log_is_clean().is_err(), "{fault}: forgotten");
        }
    }
}
