//! The same update on kernels whose running text differs; `make matrix` tries more of
//! them. Another flavour and another version are in the fleet of `service/waves.rs`.

use crate::{SEG6, Updated, seg6_check};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, seg6, target, updates};

fn goes_in_and_out(cpu: &str, cpus: u32) {
    let target = target(CLOUD).unwrap();
    let package = updates::build(&target, SEG6).unwrap().open().unwrap();
    let guest = Guest::start(&machine(&target, cpu).cpus(cpus), &package).unwrap();
    seg6::in_and_out(&guest, &package).unwrap();
}

#[test]
fn plain_returns_on_two_cpus() {
    goes_in_and_out("max", 2);
}

#[test]
fn return_thunks() {
    goes_in_and_out("EPYC", 1);
}

#[test]
fn its_thunks_and_page_table_isolation() {
    goes_in_and_out("Skylake-Server-v4", 1);
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
    assert_eq!(seg6_check(&guest), Updated);
}
