//! Updates of several kinds do in the running kernel what their patches say.

use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};

fn shows(patch: &str, command: &str, before: impl Fn(&str) -> bool, after: impl Fn(&str) -> bool) {
    shows_on((CLOUD, "max"), patch, command, before, after);
}

/// Applies a patch on a kernel and a CPU model, compares what a command prints before,
/// during and after.
pub fn shows_on(
    (kernel, cpu): (&str, &str),
    patch: &str,
    command: &str,
    before: impl Fn(&str) -> bool,
    after: impl Fn(&str) -> bool,
) {
    let target = target(kernel).unwrap();
    let package = updates::build(&target, &format!("tests/patches/{patch}.patch"))
        .unwrap()
        .open()
        .unwrap();
    let guest = Guest::start(&machine(&target, cpu), &package).unwrap();
    guest.bring(&package).unwrap();
    let old = guest.ok(command).unwrap();
    assert!(before(&old), "before: {old}");
    guest.apply(&package).unwrap();
    let new = guest.ok(command).unwrap();
    assert!(after(&new), "applied: {new}");
    guest.undo(&package).unwrap();
    let old = guest.ok(command).unwrap();
    assert!(before(&old), "undone: {old}");
    guest.log_is_clean().unwrap();
}

#[test]
fn a_string_that_changes() {
    shows(
        "fs-loadavg",
        "cat /proc/loadavg",
        |text| !text.contains("live"),
        |text| text.ends_with(" live"),
    );
}

#[test]
fn a_constant_that_changes() {
    shows(
        "mm-tmpfs-namelen",
        "stat -f -c %l /tmp",
        |text| text == "255",
        |text| text == "200",
    );
}

#[test]
fn code_of_a_library_archive() {
    shows(
        "lib-uuid",
        "cat /proc/sys/kernel/random/boot_id",
        |text| !text.contains('_'),
        |text| text.contains('_'),
    );
}

#[test]
fn a_function_with_a_tracepoint() {
    shows(
        "fs-task-name",
        "sh -c 'printf abc >/proc/self/comm; read n </proc/self/comm; echo $n'",
        |text| text == "abc",
        |text| text == "Abc",
    );
}

#[test]
fn a_static_function_with_namesakes() {
    shows(
        "kernel-fscaps",
        "cat /sys/kernel/fscaps",
        |text| text == "1",
        |text| text == "1 live",
    );
}

#[test]
fn a_new_variable() {
    shows(
        "added-data",
        "cat /sys/kernel/fscaps",
        |text| text == "1",
        |text| text.starts_with("1 read "),
    );
}

#[test]
fn a_new_function() {
    shows(
        "added-function",
        "cat /proc/loadavg",
        |text| !text.contains("idle") && !text.contains("busy"),
        |text| text.ends_with(" idle") || text.ends_with(" busy"),
    );
}

#[test]
fn two_units() {
    shows(
        "two-units",
        "cat /proc/loadavg /sys/kernel/fscaps",
        |text| !text.contains("live"),
        |text| text.matches("live").count() == 2,
    );
}

#[test]
fn a_header_that_the_patch_adds() {
    shows(
        "new-header",
        "cat /proc/loadavg",
        |text| !text.contains("load"),
        |text| text.starts_with("load: "),
    );
}

#[test]
fn a_header_that_many_units_include() {
    shows(
        "header-change",
        "ls /proc/sys | wc -l",
        |text| text != "0",
        |text| text != "0",
    );
}

#[test]
fn user_memory_access() {
    let open_descriptors = "ls /proc/self/fd | wc -l";
    shows(
        "net-cmsg",
        open_descriptors,
        |text| !text.is_empty(),
        |text| !text.is_empty(),
    );
}

#[test]
fn a_pointer_in_a_constant_table_of_strings() {
    // kthreadd has nothing to do.
    shows(
        "data-strings",
        "grep State: /proc/2/status",
        |text| text.ends_with("S (sleeping)"),
        |text| text.ends_with("S (sleeping live)"),
    );
}

#[test]
fn a_read_only_number_and_no_code() {
    shows(
        "data-number",
        "cat /proc/sys/kernel/cap_last_cap",
        |text| text == "40",
        |text| text == "41",
    );
}

#[test]
fn a_variable_that_the_description_of_the_patch_declares() {
    shows(
        "declared-pipe-limit",
        "cat /proc/sys/fs/pipe-max-size",
        |text| text == "1048576",
        |text| text == "2097152",
    );
}

#[test]
fn two_updates_side_by_side() {
    let target = target(CLOUD).unwrap();
    let open = |patch: &str| updates::build(&target, patch).unwrap().open().unwrap();
    let first = open("tests/patches/fs-loadavg.patch");
    let second = open("tests/patches/kernel-fscaps.patch");
    let guest = Guest::start(&machine(&target, "max"), &first).unwrap();
    guest.bring(&first).unwrap();
    guest.bring(&second).unwrap();
    guest.apply(&first).unwrap();
    guest.apply(&second).unwrap();
    let both = "cat /proc/loadavg /sys/kernel/fscaps";
    assert_eq!(guest.ok(both).unwrap().matches("live").count(), 2);
    // In the order of their coming, not the reverse: they do not touch.
    guest.undo(&first).unwrap();
    assert_eq!(guest.ok(both).unwrap().matches("live").count(), 1);
    guest.undo(&second).unwrap();
    assert_eq!(guest.ok(both).unwrap().matches("live").count(), 0);
    guest.log_is_clean().unwrap();
}
