//! A stock kernel that Secure Boot has locked down: it takes no module but
//! those signed by a key that its firmware knows.

use crate::{SEG6, Shipped, Updated, seg6_check};
use resplice_target::{Cache, Target};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::programs::run_ok;
use resplice_tests::{CLOUD, target, updates};
use resplice_vm::{Firmware, GuestFile, Vm};
use std::path::Path;
use std::process::Command;

/// Whose keys they are: any will do.
const OWNER: &str = "77fa9abd-0359-4d32-bd60-28f4e78f784b";
/// Debian's firmware, 4 MB.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const EMPTY: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// Secure Boot is on, and the certificate is the only one in `db`.
fn locked_down(target: &Target, certificate: &Path) -> Vm {
    let work = tempfile::tempdir().unwrap();
    let variables = work.path().join("variables.fd");
    let tool = Cache::from_env()
        .root()
        .join("tools/firmware/bin/virt-fw-vars");
    let key = |role: &str| {
        let path = certificate.as_os_str().to_owned();
        [role.into(), OWNER.into(), path]
    };
    run_ok(
        Command::new(tool)
            .args(["-i", EMPTY, "--sb", "-o"])
            .arg(&variables)
            .args(["--set-pk", "--add-kek", "--add-db"].map(key).concat()),
    )
    .unwrap();
    let firmware = Firmware {
        code: CODE.into(),
        variables,
    };
    machine(target, "max").firmware(firmware).boot().unwrap()
}

#[test]
fn a_locked_down_kernel_takes_signed_updates_and_no_others() {
    let target = target(CLOUD).unwrap();
    let signed = updates::build_signed(&target, SEG6)
        .unwrap()
        .open()
        .unwrap();
    let unsigned = updates::build(&target, SEG6).unwrap().open().unwrap();
    let (_, certificate) = updates::module_key().unwrap();

    let vm = locked_down(&target, &certificate);
    let state = vm.run_ok(
        "mount -t securityfs none /sys/kernel/security; cat /sys/kernel/security/lockdown",
        resplice_tests::guest::LIMIT,
    );
    assert!(state.unwrap().text().contains("[integrity]"));
    let stranger = GuestFile::new("/root/stranger.ko", 0o600, unsigned.core_module().unwrap());
    vm.push(&[stranger]).unwrap();
    let refused = vm.run("insmod /root/stranger.ko", resplice_tests::guest::LIMIT);
    assert!(!refused.unwrap().success(), "an unsigned core was loaded");

    let guest = Guest::with_core(vm, &signed).unwrap();
    guest.bring(&unsigned).unwrap();
    let (loaded, _) = guest.load(&unsigned).unwrap();
    assert!(!loaded, "an unsigned update was loaded");
    guest.bring(&signed).unwrap();
    guest.bring_seg6_check().unwrap();
    assert_eq!(seg6_check(&guest), Shipped);
    guest.apply(&signed).unwrap();
    assert_eq!(seg6_check(&guest), Updated);
    guest.undo(&signed).unwrap();
    assert_eq!(seg6_check(&guest), Shipped);
    guest.ok("rmmod resplice").unwrap();
    guest.log_is_clean().unwrap();
}
