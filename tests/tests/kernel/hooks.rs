//! Hooks and shadow variables of patch authors, in the running kernel.

use resplice_package::Package;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};

/// A guest with the update of a patch at hand.
fn guest_with(patch: &str) -> (Guest, Package) {
    let target = target(CLOUD).unwrap();
    let package = updates::build(&target, &format!("tests/patches/{patch}.patch"))
        .unwrap()
        .open()
        .unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring(&package).unwrap();
    (guest, package)
}

/// The hooks that ran since the last question, in order.
fn hooks(guest: &Guest) -> Vec<String> {
    let log = guest
        .ok("dmesg | sed -n 's/.*hook: \\([a-z_]*\\) vmlinux$/\\1/p'; dmesg -c >/dev/null")
        .unwrap();
    log.lines().map(str::to_owned).collect()
}

/// Makes the hook of that number refuse; 0: none.
fn refuse(guest: &Guest, number: u32) {
    guest
        .ok(&format!(
            "echo {number} > /proc/sys/kernel/print-fatal-signals"
        ))
        .unwrap();
}

fn is_live(guest: &Guest) -> bool {
    guest.ok("cat /proc/loadavg").unwrap().ends_with(" live")
}

const APPLIED: [&str; 5] = [
    "pre_apply_first",
    "pre_apply_second",
    "check_apply",
    "apply",
    "post_apply",
];
const UNDONE: [&str; 4] = ["pre_reverse", "check_reverse", "reverse", "post_reverse"];

#[test]
fn hooks_run_around_the_exchange_in_order() {
    let (guest, package) = guest_with("hooks-loadavg");
    guest.apply(&package).unwrap();
    assert!(is_live(&guest));
    assert_eq!(hooks(&guest), APPLIED);
    guest.undo(&package).unwrap();
    assert!(!is_live(&guest));
    assert_eq!(hooks(&guest), UNDONE);
    guest.log_is_clean().unwrap();
}

#[test]
fn a_hook_that_refuses_leaves_the_kernel_as_it_was() {
    let (guest, package) = guest_with("hooks-loadavg");
    let cases: [(u32, &[&str], &str); 2] = [
        // The second one refuses: only what the first did is undone.
        (
            1,
            &["pre_apply_first", "pre_apply_second", "fail_apply_first"],
            "hook: pre_apply_second",
        ),
        (
            2,
            &[
                "pre_apply_first",
                "pre_apply_second",
                "check_apply",
                "fail_apply_second",
                "fail_apply_first",
            ],
            "hook: check_apply",
        ),
    ];
    for (number, expected, reason) in cases {
        refuse(&guest, number);
        let before = guest.ok("wc -l </proc/modules").unwrap();
        hooks(&guest);
        let (loaded, report) = guest.load(&package).unwrap();
        assert!(!loaded, "{report}");
        assert!(report.contains(reason), "{report}");
        assert!(report.contains("refused with error -84"), "{report}");
        // busybox tries each insmod twice.
        let ran = hooks(&guest);
        assert_eq!(ran.len() % expected.len(), 0, "{ran:?}");
        for run in ran.chunks(expected.len()) {
            assert_eq!(run, expected);
        }
        assert!(!is_live(&guest));
        assert_eq!(guest.ok("wc -l </proc/modules").unwrap(), before);
    }
    refuse(&guest, 0);
    guest.apply(&package).unwrap();
    assert_eq!(hooks(&guest), APPLIED);

    // The same for undo: the update stays as it is.
    let id = &package.manifest().id;
    let undo = format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled");
    let cases: [(u32, &[&str], &str); 2] = [
        (3, &["pre_reverse"], "hook: pre_reverse"),
        (
            4,
            &["pre_reverse", "check_reverse", "fail_reverse"],
            "hook: check_reverse",
        ),
    ];
    for (number, expected, reason) in cases {
        refuse(&guest, number);
        assert!(!guest.run(&undo).unwrap().success());
        let report = guest.report().unwrap();
        assert!(report.contains(reason), "{report}");
        assert_eq!(hooks(&guest), expected);
        assert_eq!(guest.state(&package).unwrap(), "applied");
        assert!(is_live(&guest));
    }
    refuse(&guest, 0);
    guest.undo(&package).unwrap();
    assert_eq!(hooks(&guest), UNDONE);
    assert!(!is_live(&guest));
    guest.log_is_clean().unwrap();
}

#[test]
fn what_init_code_did_is_taken_back_by_a_hook() {
    let (guest, package) = guest_with("code-bdev-hidden");
    let is_offered = || {
        guest
            .run("grep -qw bdev /proc/filesystems")
            .unwrap()
            .success()
    };
    assert!(is_offered());
    guest.apply(&package).unwrap();
    assert!(!is_offered());
    let mount = guest.run("mkdir -p /m && mount -t bdev none /m").unwrap();
    assert!(!mount.success());
    guest.undo(&package).unwrap();
    assert!(is_offered());
    guest.log_is_clean().unwrap();
}

#[test]
fn a_field_that_a_struct_has_no_room_for_is_a_shadow_variable() {
    let (guest, package) = guest_with("code-shmem-asked");
    guest
        .ok("mkdir -p /a /b; mount -t tmpfs none /a; mount -t tmpfs none /b")
        .unwrap();
    let asked = |directory: &str| guest.ok(&format!("stat -f -c %l {directory}")).unwrap();
    assert_eq!(asked("/a"), "255");
    guest.apply(&package).unwrap();
    // Each file system counts for itself, also those that were there before.
    assert_eq!(
        [asked("/a"), asked("/a"), asked("/b")],
        ["254", "253", "254"]
    );
    guest.ok("dmesg -c >/dev/null; umount /a").unwrap();
    let log = guest.ok("dmesg -c").unwrap();
    assert!(log.contains("shmem: asked 2 times"), "{log}");
    // The next file system, at the same address perhaps, begins anew.
    guest.ok("mount -t tmpfs none /a").unwrap();
    assert_eq!(asked("/a"), "254");
    guest.undo(&package).unwrap();
    let log = guest.ok("dmesg -c").unwrap();
    assert_eq!(log.matches("shmem: asked 1 times").count(), 2, "{log}");
    assert_eq!([asked("/a"), asked("/b")], ["255", "255"]);
    guest.ok("umount /a; umount /b").unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn a_changed_initialiser_reaches_the_running_variable_by_a_hook() {
    let (guest, package) = guest_with("code-pipe-limit");
    let limit = || guest.ok("cat /proc/sys/fs/pipe-max-size").unwrap();
    assert_eq!(limit(), "1048576");
    guest.apply(&package).unwrap();
    assert_eq!(limit(), "2097152");
    guest.undo(&package).unwrap();
    assert_eq!(limit(), "1048576");
    // What an administrator chose stays.
    let chosen = "echo 65536 > /proc/sys/fs/pipe-max-size";
    guest.ok(chosen).unwrap();
    guest.apply(&package).unwrap();
    assert_eq!(limit(), "65536");
    guest.undo(&package).unwrap();
    assert_eq!(limit(), "65536");
    guest.log_is_clean().unwrap();
}

#[test]
fn a_patch_written_for_kpatch_runs_its_callbacks_and_keeps_its_shadow_variables() {
    let (guest, package) = guest_with("kpatch-loadavg");
    let read = || guest.ok("cat /proc/loadavg >/dev/null").unwrap();
    // The pre-patch callback refuses: no other is called.
    refuse(&guest, 1);
    hooks(&guest);
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded, "{report}");
    assert!(
        report.contains("hook: kpatch_pre_patch_pre_patch"),
        "{report}"
    );
    let ran = hooks(&guest);
    assert!(
        !ran.is_empty() && ran.iter().all(|name| name == "pre_patch"),
        "{ran:?}"
    );
    refuse(&guest, 0);
    guest.apply(&package).unwrap();
    assert_eq!(hooks(&guest), ["pre_patch", "post_patch"]);
    read();
    read();
    // Of the kernel's own shadow variables: the second reading finds the first's.
    let log = guest.ok("dmesg -c").unwrap();
    assert!(
        log.contains("read_101") && log.contains("read_102"),
        "{log}"
    );
    guest.undo(&package).unwrap();
    assert_eq!(hooks(&guest), ["pre_unpatch", "post_unpatch"]);
    guest.log_is_clean().unwrap();
}

#[test]
fn a_patch_written_for_ksplice_runs_its_hooks() {
    let (guest, package) = guest_with("ksplice-loadavg");
    refuse(&guest, 2);
    hooks(&guest);
    assert!(!guest.load(&package).unwrap().0);
    let ran = hooks(&guest);
    assert_eq!(ran[..3], ["pre_apply", "check_apply", "fail_apply"]);
    assert!(!is_live(&guest));
    refuse(&guest, 0);
    guest.apply(&package).unwrap();
    assert_eq!(
        hooks(&guest),
        ["pre_apply", "check_apply", "apply", "post_apply"]
    );
    assert!(is_live(&guest));
    refuse(&guest, 4);
    let id = &package.manifest().id;
    let undo = format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled");
    assert!(!guest.run(&undo).unwrap().success());
    assert_eq!(
        hooks(&guest),
        ["pre_reverse", "check_reverse", "fail_reverse"]
    );
    refuse(&guest, 0);
    guest.undo(&package).unwrap();
    assert_eq!(hooks(&guest), UNDONE);
    guest.log_is_clean().unwrap();
}

#[test]
fn a_system_call_is_replaced_under_its_name_for_kpatch() {
    let (guest, package) = guest_with("kpatch-syscall");
    let umask = || guest.ok("sh -c 'umask 0; umask'").unwrap();
    assert_eq!(umask(), "0000");
    guest.apply(&package).unwrap();
    assert_eq!(umask(), "0001");
    guest.undo(&package).unwrap();
    assert_eq!(umask(), "0000");
    guest.log_is_clean().unwrap();
}
