//! Packages by hand: those that a host must not take, and one that can not come or go yet.

use crate::LOADAVG;
use resplice_tests::host::Host;
use resplice_tests::updates::{self, Update};
use resplice_tests::{CLOUD, OTHER_ABI, target};
use resplice_vm::GuestFile;

/// The agent's exit code for an update that was refused.
const REFUSED: i32 = 3;
/// Its exit code for one that something is in the way of.
const BUSY: i32 = 4;
const FILE: &str = "/root/update.rspl";

/// Whether the old code runs, by the end of the line that the patch changes.
fn old_code_runs(host: &Host) -> bool {
    let line = host.guest.ok("cat /proc/loadavg").unwrap();
    !line.ends_with(" live")
}

/// A host that trusts the worker, with its package at hand.
fn host_with(patch: &str) -> (Host, Update) {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, patch).unwrap();
    let host = Host::alone(&target).unwrap();
    host.guest
        .ok(&format!("resplice enroll --worker-key {}", update.key))
        .unwrap();
    let file = GuestFile::new(FILE, 0o600, update.bytes.clone());
    host.guest.vm.push(&[file]).unwrap();
    (host, update)
}

fn apply(host: &Host) -> (i32, String) {
    let output = host.agent(&format!("apply --package {FILE}")).unwrap();
    (output.code, output.all_text())
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let (host, update) = host_with(LOADAVG);

    // The head of the archive, each member's middle, and the padding at its end.
    let last = update.bytes.len() - 1;
    let mut places = vec![0, last / 4, last / 2, last];
    let find = |name: &str| {
        let name = name.as_bytes();
        update
            .bytes
            .windows(name.len())
            .position(|bytes| bytes == name)
            .unwrap()
    };
    let id = update.open().unwrap().manifest().id.clone();
    // 512 bytes of header lie before a member's own.
    for (member, within) in [
        ("manifest.json", 600),
        ("modules/resplice.ko", 5000),
        (format!("modules/{id}.ko").as_str(), 5000),
        ("report.json", 600),
        ("signature.json", 600),
    ] {
        places.push(find(member) + within);
    }
    for place in places {
        let write = |byte: u8| {
            let dd = format!("dd of={FILE} bs=1 seek={place} conv=notrunc 2>/dev/null");
            host.guest
                .ok(&format!("printf '\\{byte:03o}' | {dd}"))
                .unwrap();
        };
        write(update.bytes[place] ^ 1);
        let (code, said) = apply(&host);
        assert_eq!(code, REFUSED, "byte {place}: {said}");
        assert!(said.contains("refused (package)"), "byte {place}: {said}");
        assert!(old_code_runs(&host), "byte {place}");
        write(update.bytes[place]);
    }
    host.is_untouched().unwrap();
    assert!(
        !host
            .guest
            .run("test -e /sys/module/resplice")
            .unwrap()
            .success()
    );

    // Put back as it was, the same file is taken.
    let (code, said) = apply(&host);
    assert_eq!(code, 0, "{said}");
    assert!(!old_code_runs(&host));
    host.guest.log_is_clean().unwrap();
}

#[test]
fn an_update_of_another_worker_is_refused() {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, LOADAVG).unwrap();
    let stranger = resplice_package::SecretKey::generate().unwrap().public();
    let host = Host::alone(&target).unwrap();
    host.guest
        .ok(&format!("resplice enroll --worker-key {stranger}"))
        .unwrap();
    host.guest
        .vm
        .push(&[GuestFile::new(FILE, 0o600, update.bytes)])
        .unwrap();
    let (code, said) = apply(&host);
    assert_eq!(code, REFUSED, "{said}");
    assert!(old_code_runs(&host));
    host.is_untouched().unwrap();
}

#[test]
fn an_update_for_another_kernel_is_refused_with_both_names() {
    let (runs, other) = (target(CLOUD).unwrap(), target(OTHER_ABI).unwrap());
    let update = updates::build(&other, LOADAVG).unwrap();
    let host = Host::alone(&runs).unwrap();
    host.guest
        .ok(&format!("resplice enroll --worker-key {}", update.key))
        .unwrap();
    host.guest
        .vm
        .push(&[GuestFile::new(FILE, 0o600, update.bytes)])
        .unwrap();
    let (code, said) = apply(&host);
    assert_eq!(code, REFUSED, "{said}");
    let targets = format!("for the target {}, this host is {}", other.id(), runs.id());
    assert!(said.contains(&targets), "{said}");
    assert!(old_code_runs(&host));

    // Nor does it help to have enrolled as the other one.
    let lie = format!(
        "resplice enroll --force --target {} --worker-key {}",
        other.id(),
        update.key
    );
    host.guest.ok(&lie).unwrap();
    let (code, said) = apply(&host);
    assert_eq!(code, REFUSED, "{said}");
    let releases = format!(
        "for the kernel {}, this host runs {}",
        other.release(),
        runs.release()
    );
    assert!(said.contains(&releases), "{said}");
    assert!(old_code_runs(&host));
    host.is_untouched().unwrap();
    assert!(
        !host
            .guest
            .run("test -e /sys/module/resplice")
            .unwrap()
            .success()
    );
}

#[test]
fn what_is_in_the_way_of_an_update_is_named_and_waited_for() {
    let (host, update) = host_with("tests/patches/pipe-read.patch");
    let id = update.open().unwrap().manifest().id.clone();
    let busy = |words: &str, sentence: &str| {
        let output = host.agent(words).unwrap();
        let text = output.all_text();
        assert_eq!(output.code, BUSY, "{text}");
        assert!(text.contains(sentence), "{text}");
    };
    host.guest
        .ok("mkfifo /f; sleep 1000 >/f & echo $! >/w; cat /f >/dev/null & sleep 1")
        .unwrap();
    busy(&format!("apply --package {FILE}"), "] is in pipe_read+0x");
    host.guest.ok("kill $(cat /w); sleep 1").unwrap();
    let (code, said) = apply(&host);
    assert_eq!(code, 0, "{said}");

    let tracing = "/sys/kernel/tracing";
    host.guest
        .ok(&format!(
            "cd {tracing}; echo 'p:it pipe_read+5' > kprobe_events; \
             echo 1 > events/kprobes/it/enable"
        ))
        .unwrap();
    let undo = format!("undo {id}");
    busy(&undo, "a kprobe sits at pipe_read+0x5: remove it first");
    host.guest
        .ok(&format!(
            "cd {tracing}; echo 0 > events/kprobes/it/enable; echo > kprobe_events"
        ))
        .unwrap();
    let output = host.agent(&undo).unwrap();
    assert_eq!(output.code, 0, "{}", output.all_text());
    host.guest.log_is_clean().unwrap();
}
