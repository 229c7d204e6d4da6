//! Updates on stock kernels in QEMU: what `resplice.ko` does, and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apply;
mod busy;
mod coexist;
mod data;
mod faults;
mod hooks;
mod hostile;
mod lockdown;
mod machines;
mod matching;
mod parts;
mod refuse;
mod supersede;
mod tables;

/// The fix that most tests use: two functions of net/ipv6/seg6.c.
const SEG6: &str = "deploy/demo/seg6-srh-length.patch";
/// The reproducer's exit codes.
const FIXED: i32 = 0;
const VULNERABLE: i32 = 1;

/// A guest of the cloud kernel with the fix at hand.
fn seg6_guest(cpu: &str) -> (resplice_tests::guest::Guest, resplice_package::Package) {
    let target = resplice_tests::target(resplice_tests::CLOUD).unwrap();
    let package = resplice_tests::updates::build(&target, SEG6)
        .unwrap()
        .open()
        .unwrap();
    let machine = resplice_tests::guest::machine(&target, cpu);
    let guest = resplice_tests::guest::Guest::start(&machine, &package).unwrap();
    guest.bring(&package).unwrap();
    guest.bring_seg6_check().unwrap();
    (guest, package)
}

/// Runs the reproducer.
fn seg6_check(guest: &resplice_tests::guest::Guest) -> i32 {
    let output = guest.run("/root/seg6-check").unwrap();
    assert!(output.code <= VULNERABLE, "{}", output.all_text());
    output.code
}
