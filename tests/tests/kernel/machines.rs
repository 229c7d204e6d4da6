//! The same update on kernels whose running text differs. Another flavour and another
//! version are in the fleet of `service/waves.rs`.

use crate::{FIXED, SEG6, VULNERABLE, seg6_check};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};

/// Vulnerable, applied: fixed, undone: vulnerable; twice, and a clean log.
fn goes_in_and_out(spec: &str, cpu: &str, cpus: u32) {
    let target = target(spec).unwrap();
    let package = updates::build(&target, SEG6).unwrap().open().unwrap();
    let guest = Guest::start(&machine(&target, cpu).cpus(cpus), &package).unwrap();
    guest.bring(&package).unwrap();
    guest.bring_seg6_check().unwrap();
    for _ in 0..2 {
        assert_eq!(seg6_check(&guest), VULNERABLE);
        guest.apply(&package).unwrap();
        assert_eq!(seg6_check(&guest), FIXED);
        guest.undo(&package).unwrap();
    }
    assert_eq!(seg6_check(&guest), VULNERABLE);
    guest.ok("rmmod resplice").unwrap();
    guest.log_is_clean().unwrap();
}

#[test]
fn plain_returns_on_two_cpus() {
    goes_in_and_out(CLOUD, "max", 2);
}

#[test]
fn return_thunks() {
    goes_in_and_out(CLOUD, "EPYC", 1);
}

#[test]
fn its_thunks_and_page_table_isolation() {
    goes_in_and_out(CLOUD, "Skylake-Server-v4", 1);
}

#[test]
fn a_kernel_at_a_random_address() {
    let (guest, package) = crate::seg6_guest("max");
    let text = guest.ok("grep ' T _text$' /proc/kallsyms").unwrap();
    assert!(
        !text.starts_with("ffffffff81000000"),
        "KASLR did not move the kernel: {text}"
    );
    guest.apply(&package).unwrap();
    assert_eq!(seg6_check(&guest), FIXED);
}
