//! Parts for modules that are not loaded: each goes in before its module's init runs.

use resplice_package::Package;
use resplice_target::Cache;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::host::Host;
use resplice_tests::{CLOUD, modules, target, updates};
use resplice_vm::{GuestFile, SnapshotCache};

/// Changes what the init of the module dummy makes, and xen_netfront, whose init fails
/// here: neither is loaded.
const PATCH: &str = "tests/patches/modules-to-come.patch";
const CORE: &str = "/sys/kernel/resplice";
/// What shows whether dummy's init ran the new code: 1234 then, 1500 otherwise.
const MTU: &str = "cat /sys/class/net/dummy0/mtu";

/// What is called when a module comes: it loads that one's part, as the agent does.
fn program(parts: &[String; 2]) -> String {
    let [dummy, netfront] = parts;
    format!(
        "#!/bin/sh
        echo \"$@ $(grep -c \"^$2 .* Loading\" /proc/modules)\" >> /root/calls
        case $2 in dummy) part={dummy} ;; *) part={netfront} ;; esac
        insmod /root/$part.ko && echo 1 > {CORE}/updates/$part/enabled
        "
    )
}

/// A guest with neither module, and with the update at hand.
fn guest(program: impl Fn(&[String; 2]) -> String) -> (Guest, [String; 2]) {
    let target = target(CLOUD).unwrap();
    let package: Package = updates::build(&target, PATCH).unwrap().open().unwrap();
    let parts = package.parts().unwrap();
    let objects: Vec<&str> = parts.iter().map(|part| part.object).collect();
    assert_eq!(objects, ["dummy", "xen_netfront"]);
    let names = [parts[0].name.clone(), parts[1].name.clone()];
    let machine = machine(&target, "max")
        .provide_module("dummy")
        .provide_module("xen-netfront");
    let guest = Guest::start(&machine, &package).unwrap();
    guest.bring(&package).unwrap();
    let program = GuestFile::new("/root/bring", 0o700, program(&names).into_bytes());
    guest.vm.push(&[program]).unwrap();
    (guest, names)
}

fn waits_for(guest: &Guest, text: &str) {
    guest
        .ok(&format!("printf '{text}' > {CORE}/awaited"))
        .unwrap();
}

#[test]
fn a_module_is_patched_before_its_init() {
    let (guest, [dummy, _]) = guest(program);
    waits_for(&guest, "/root/bring now\nxen_netfront\ndummy\n");
    guest.ok("modprobe dummy").unwrap();
    assert_eq!(guest.ok(MTU).unwrap().trim(), "1234");
    // It was called once, by all its words, while the module was still loading.
    assert_eq!(guest.ok("cat /root/calls").unwrap().trim(), "now dummy 1");
    let state = guest.ok(&format!("cat {CORE}/updates/{dummy}/state"));
    assert_eq!(state.unwrap().trim(), "applied");
    assert!(!guest.run("rmmod dummy").unwrap().success());
    guest
        .ok(&format!(
            "echo 0 > {CORE}/updates/{dummy}/enabled && rmmod {dummy} dummy"
        ))
        .unwrap();
    // Nobody awaits it any more.
    waits_for(&guest, "\n");
    guest.ok("modprobe dummy").unwrap();
    assert_eq!(guest.ok(MTU).unwrap().trim(), "1500");
    guest.ok("rmmod dummy resplice").unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn a_part_goes_with_a_module_whose_init_fails() {
    let (guest, [_, netfront]) = guest(program);
    waits_for(&guest, "/root/bring now\nxen_netfront\n");
    for _ in 0..2 {
        assert!(!guest.run("modprobe xen-netfront").unwrap().success());
        let log = guest.vm.kernel_log();
        assert!(log.contains("applied: 1 functions"), "{log}");
        let state = guest.ok(&format!("cd {CORE}/updates/{netfront}; cat state object"));
        assert_eq!(state.unwrap().trim(), "undone\nxen_netfront");
        let again = format!("echo 1 > {CORE}/updates/{netfront}/enabled");
        assert!(!guest.run(&again).unwrap().success());
        guest.ok(&format!("rmmod {netfront}")).unwrap();
    }
    assert_eq!(guest.ok("wc -l < /root/calls").unwrap().trim(), "2");
    guest.ok("rmmod resplice").unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn a_module_comes_as_it_is_when_nobody_brings_its_part() {
    let (guest, [dummy, _]) = guest(|_| "#!/bin/sh\nexit 3\n".to_owned());
    for (program, words) in [
        ("/root/nothing", "/root/nothing ended with -2"),
        ("/root/bring", "/root/bring ended with 3"),
    ] {
        waits_for(&guest, &format!("{program}\ndummy\n"));
        guest.ok("modprobe dummy").unwrap();
        assert_eq!(guest.ok(MTU).unwrap().trim(), "1500");
        let log = guest.vm.kernel_log();
        assert!(
            log.contains(&format!("dummy is not patched: {words}")),
            "{log}"
        );
        guest.ok("rmmod dummy").unwrap();
    }
    assert!(
        !guest
            .run(&format!("lsmod | grep {dummy}"))
            .unwrap()
            .success()
    );
    guest.log_is_clean().unwrap();
}

#[test]
fn a_module_does_not_wait_for_ever() {
    let (guest, [dummy, _]) = guest(|parts| {
        let program = program(parts);
        program.replace("insmod", "sleep 15; insmod")
    });
    waits_for(&guest, "/root/bring now\ndummy\n");
    guest.ok("modprobe dummy").unwrap();
    assert_eq!(guest.ok(MTU).unwrap().trim(), "1500");
    assert!(guest.vm.kernel_log().contains("not patched after 10 s"));
    // Who was called is not stopped, and the core does not go before it has ended.
    guest
        .ok(&format!(
            "until grep -q applied {CORE}/updates/{dummy}/state; do sleep 1; done"
        ))
        .unwrap();
    guest
        .ok(&format!(
            "echo 0 > {CORE}/updates/{dummy}/enabled && rmmod {dummy} dummy resplice"
        ))
        .unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn what_is_awaited_is_read_as_strictly_as_it_is_meant() {
    let (guest, _) = guest(program);
    let awaited = format!("{CORE}/awaited");
    assert_eq!(
        guest.ok(&format!("stat -c %a {awaited}")).unwrap().trim(),
        "600"
    );
    waits_for(&guest, "/root/bring now\ndummy\n");
    let kept = "/root/bring now\ndummy";
    let long = "x".repeat(56);
    for bad in [
        "root/bring\ndummy\n",
        "dummy\n",
        "/root/bring\n\ndummy\n",
        "/root/bring\n../dummy\n",
        "/root/bring\nxen-netfront\n",
        &format!("/root/bring\n{long}\n"),
        "/root/bring\ndu\\0mmy\n",
    ] {
        let written = guest.run(&format!("printf '{bad}' > {awaited}")).unwrap();
        assert!(!written.success(), "{bad}");
        assert_eq!(guest.ok(&format!("cat {awaited}")).unwrap().trim(), kept);
    }
    guest.ok(&format!("echo > {awaited}")).unwrap();
    assert_eq!(guest.ok(&format!("cat {awaited}")).unwrap(), "");
    guest.log_is_clean().unwrap();
}

#[test]
fn the_agent_brings_the_part_in() {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, PATCH).unwrap();
    let host = Host::alone_with(&target, &["dummy", "xen-netfront"]).unwrap();
    let file = GuestFile::new("/root/update.rspl", 0o600, update.bytes.clone());
    host.guest.vm.push(&[file]).unwrap();
    host.guest
        .ok(&format!("resplice enroll --worker-key {}", update.key))
        .unwrap();
    // None of its modules is there: nothing is changed, and both are awaited.
    let said = host.agent("apply --package /root/update.rspl").unwrap();
    assert!(
        said.all_text().contains("refused (absent)"),
        "{}",
        said.all_text()
    );
    host.guest.ok("modprobe dummy").unwrap();
    assert_eq!(host.guest.ok(MTU).unwrap().trim(), "1234");
    let status = host.agent("status").unwrap().text();
    assert!(status.contains("waits for xen_netfront"), "{status}");
    // What its init takes back itself leaves nothing behind, and comes again.
    for _ in 0..2 {
        assert!(!host.guest.run("modprobe xen-netfront").unwrap().success());
    }
    let log = host.guest.vm.kernel_log();
    assert_eq!(log.matches(" undone: 1 functions").count(), 2, "{log}");
    assert!(host.agent("undo --all").unwrap().success());
    host.guest.ok("rmmod dummy && modprobe dummy").unwrap();
    assert_eq!(host.guest.ok(MTU).unwrap().trim(), "1500");
    host.guest.log_is_clean().unwrap();
}

/// Goes on as long as a fault comes; `$left` is 0 if one did.
const FAULTS: &str = r"
    cd /sys/kernel/resplice; fault=/sys/module/resplice/parameters/fault_at
    printf '/root/old\n' > awaited
    for number in $(seq 50); do
        echo $number > $fault
        printf '/root/bring\ndummy\n' > awaited; failed=$?
        left=$(cat $fault); echo 0 > $fault
        [ $left != 0 ] && break
        [ $failed != 0 ] || { echo fault $number of writing had no effect; exit 1; }
        [ $(cat awaited) = /root/old ] || { echo fault $number of writing had one; exit 1; }
    done
    [ $number -gt 1 ] || { echo writing can not fail; exit 1; }
    for number in $(seq 50); do
        echo $number > $fault
        modprobe dummy || { echo fault $number: dummy does not come; exit 1; }
        left=$(cat $fault); echo 0 > $fault
        rmmod dummy
        [ $left != 0 ] && break
    done
    [ $number -gt 1 ] && [ $number -lt 50 ]";

#[test]
fn whatever_fails_a_module_comes() {
    let target = target(CLOUD).unwrap();
    let machine = machine(&target, "max").provide_module("dummy");
    let snapshots = SnapshotCache::new(&Cache::from_env().root().join("vm"));
    let guest = Guest {
        vm: machine.restore(&snapshots).unwrap(),
    };
    let core = modules::build_core_with_faults(&target).unwrap();
    let program = "#!/bin/sh\necho $1 >> /root/calls\n";
    guest
        .vm
        .push(&[
            GuestFile::new("/root/resplice.ko", 0o600, core),
            GuestFile::new("/root/bring", 0o700, program),
        ])
        .unwrap();
    guest.ok("insmod /root/resplice.ko").unwrap();
    guest.ok(FAULTS).unwrap();
    // Only the last time nothing was in the way of calling it.
    assert_eq!(guest.ok("cat /root/calls").unwrap().trim(), "dummy");
    let log = guest.vm.kernel_log();
    assert!(log.contains("no memory to patch dummy"), "{log}");
    guest.ok("rmmod resplice").unwrap();
    guest.log_is_clean().unwrap();
}
