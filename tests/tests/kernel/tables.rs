//! Tables of new code whose keys lie elsewhere: in the kernel, in the patched
//! module, in the update itself.

use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};

fn guest(patch: &str, cpu: &str, module: Option<&str>) -> (Guest, resplice_package::Package) {
    let target = target(CLOUD).unwrap();
    let package = updates::build(&target, &format!("tests/patches/{patch}.patch"))
        .unwrap()
        .open()
        .unwrap();
    let mut machine = machine(&target, cpu);
    if let Some(module) = module {
        machine = machine.provide_module(module);
    }
    let guest = Guest::start(&machine, &package).unwrap();
    guest.bring(&package).unwrap();
    (guest, package)
}

#[test]
fn static_branches_and_calls_follow_their_keys() {
    let (guest, package) = guest("kernel-keys", "max", None);
    let lines = || guest.ok("tail -n 2 /proc/loadavg").unwrap();
    guest.apply(&package).unwrap();
    for round in ["odd 0 first", "odd 1 second", "odd 0 first"] {
        assert_eq!(lines(), format!("schedstats off\n{round}"));
    }
    guest.ok("sysctl -w kernel.sched_schedstats=1").unwrap();
    assert_eq!(lines(), "schedstats on\nodd 1 second");
    guest.undo(&package).unwrap();
    assert!(!lines().contains("schedstats"));
    // Somebody may still hold the address that it gave to static_call_update().
    let stays = format!(
        "/sys/kernel/resplice/updates/{}/stays",
        package.manifest().id
    );
    assert_eq!(guest.ok(&format!("cat {stays}")).unwrap(), "1");
    // The key still knows the sites of an update that is undone but loaded.
    guest.ok("sysctl -w kernel.sched_schedstats=0").unwrap();
    assert!(!lines().contains("schedstats"));
    guest.log_is_clean().unwrap();
}

#[test]
fn a_static_branch_follows_a_key_of_the_patched_module() {
    let (guest, package) = guest("module-key", "max", Some("bridge"));
    guest.ok("modprobe bridge && brctl addbr br0").unwrap();
    let bridge = "/sys/class/net/br0/bridge";
    let state = || guest.ok(&format!("cat {bridge}/stp_state")).unwrap();
    assert_eq!(state(), "0");
    guest.apply(&package).unwrap();
    assert_eq!(state(), "0 off");
    for want in ["0 on", "0 off", "0 on", "0 off"] {
        guest.ok(&format!("cat {bridge}/ageing_time")).unwrap();
        assert_eq!(state(), want);
    }
    guest.undo(&package).unwrap();
    assert_eq!(state(), "0");
    guest.ok("brctl delbr br0 && rmmod bridge").unwrap();
    guest.log_is_clean().unwrap();
}

/// With the feature the alternative takes the place of the call; without it the
/// call must lead to the kernel's emulation.
#[test]
fn a_late_reference_under_an_alternative_is_filled_in_where_it_is_used() {
    for cpu in ["max", "max,-cx16"] {
        let (guest, package) = guest("slub-emulation", cpu, None);
        guest.apply(&package).unwrap();
        guest
            .ok("for i in 1 2 3 4; do ls -lR /sys/kernel >/dev/null; done")
            .unwrap();
        guest.undo(&package).unwrap();
        guest.log_is_clean().unwrap();
    }
}
