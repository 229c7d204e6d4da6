//! A host without a network, and a file that brings it what a server has released.

use crate::{LEASE, LOADAVG};
use resplice_package::SecretKey;
use resplice_tests::host::Host;
use resplice_tests::programs::{program, run_ok, stdout};
use resplice_tests::service::Resplice;
use resplice_tests::{CLOUD, target};
use resplice_vm::GuestFile;
use std::process::Command;

const BUNDLE: &str = "/root/bundle.tar";

#[test]
fn a_bundle_takes_an_update_to_a_host_that_reaches_no_server() {
    let target = target(CLOUD).unwrap();
    let mut resplice = Resplice::start(LEASE).unwrap();
    let _worker = resplice.worker("worker").unwrap();
    resplice.publish(&target, LOADAVG).unwrap();
    let bundle = resplice.data().join("bundle.tar");
    let mut write = resplice.client("team", &["bundle"]).unwrap();
    write.args(["--target", &target.id().to_string(), "-o"]);
    let said = run_ok(write.arg(&bundle)).unwrap();
    assert!(said.contains("1 update"), "{said}");

    // What an operator takes along, once: root, the log's key, the worker's key.
    let root = std::fs::read(resplice.data().join("repo/metadata/1.root.json")).unwrap();
    let mut key = Command::new(program("resplice-server").unwrap());
    let key = stdout(key.args(["audit", "key", "--data"]).arg(resplice.data())).unwrap();
    let worker = SecretKey::load(&resplice.key("worker")).unwrap().public();
    let host = Host::alone(&target).unwrap();
    let files = [
        GuestFile::new("/root/root.json", 0o600, root),
        GuestFile::from_host(&bundle, BUNDLE).unwrap(),
    ];
    host.guest.vm.push(&files).unwrap();
    let enrol = |log: &str| {
        let words =
            format!("enroll --force --channel edge --root /root/root.json --worker-key {worker}");
        host.guest.ok(&format!("resplice {words} {log}")).unwrap();
    };

    // Whoever does not know the log takes nothing.
    enrol("");
    let (code, outcomes) = host.json(&format!("apply {BUNDLE}")).unwrap();
    assert_eq!((code, &outcomes[0]["code"]), (1, &"log".into()));
    host.is_untouched().unwrap();

    enrol(&format!("--log-key {}", key.trim()));
    let line = || host.guest.ok("cat /proc/loadavg").unwrap();
    assert!(!line().ends_with(" live"));
    let (code, outcomes) = host.json(&format!("apply {BUNDLE}")).unwrap();
    assert_eq!(code, 0, "{outcomes}");
    assert_eq!(outcomes[0]["state"], "applied", "{outcomes}");
    assert!(line().ends_with(" live"));
    let (code, again) = host.json(&format!("apply {BUNDLE}")).unwrap();
    assert_eq!((code, again), (0, serde_json::json!([])));
    host.guest.log_is_clean().unwrap();
}
