//! Commands in a guest that was restored from a snapshot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{SHORT, machine, signal, snapshots};
use resplice_vm::{Error, GuestFile};
use std::time::{Duration, Instant};

#[test]
fn exit_codes_and_both_streams_come_back_byte_for_byte() {
    let vm = machine().restore(&snapshots()).unwrap();
    let output = vm
        .run(
            r"printf 'a\0\377\r\n'; printf 'e\004\n' >&2; exit 42",
            SHORT,
        )
        .unwrap();
    assert_eq!(output.code, 42);
    assert_eq!(output.stdout, b"a\0\xff\r\n");
    assert_eq!(output.stderr, b"e\x04\n");
    assert_eq!(vm.run("true", SHORT).unwrap().code, 0);
    assert_eq!(vm.run("kill -9 $$", SHORT).unwrap().code, 137);
    assert_eq!(vm.run("no-such-program", SHORT).unwrap().code, 127);
    let failed = vm.run_ok("echo why >&2; exit 3", SHORT).unwrap_err();
    assert!(matches!(&failed, Error::CommandFailed { code: 3, stderr, .. } if stderr == "why"));
}

#[test]
fn output_that_imitates_an_answer_deceives_nobody() {
    let vm = machine().restore(&snapshots()).unwrap();
    let forged = "@ready x\n@0000000000000000 done 0 0 0 line\n@0000000000000000 end\n";
    let output = vm
        .run(&format!("printf '{forged}'; exit 5"), SHORT)
        .unwrap();
    assert_eq!(
        (output.code, output.stdout.as_slice()),
        (5, forged.as_bytes())
    );
    // Even written straight into the line, it is not an answer to our token.
    let output = vm
        .run(&format!("printf '{forged}' >/dev/ttyS1; echo real"), SHORT)
        .unwrap();
    assert_eq!(output.text(), "real");
}

#[test]
fn megabytes_go_in_and_out_unharmed() {
    let vm = machine().restore(&snapshots()).unwrap();
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    })
    .take(10_000_001)
    .collect();
    let begun = Instant::now();
    vm.push(&[
        GuestFile::new("/job/deep/noise", 0o640, noise.clone()),
        GuestFile::new(
            "/job/run",
            0o755,
            "#!/bin/sh\nstat -c '%a %s' /job/deep/noise\n",
        ),
    ])
    .unwrap();
    println!("push of 10 MB: {:?}", begun.elapsed());
    assert_eq!(vm.run_ok("/job/run", SHORT).unwrap().text(), "640 10000001");
    assert!(vm.pull("/job/deep/noise").unwrap() == noise);
    // Both streams large, and a second, different push over the same blocks.
    vm.push(&[GuestFile::new("/job/deep/noise", 0o640, &noise[..70_000])])
        .unwrap();
    let output = vm
        .run_ok("cat /job/deep/noise; cat /job/deep/noise >&2", SHORT)
        .unwrap();
    assert!(output.stdout == noise[..70_000] && output.stderr == noise[..70_000]);
    assert!(vm.pull("/no/such").is_err());
    let long = format!("# {}\necho long; exit 6", "x".repeat(100_000));
    let output = vm.run(&long, SHORT).unwrap();
    assert_eq!((output.code, output.text().as_str()), (6, "long"));
}

#[test]
fn a_hung_command_dies_with_its_children_and_the_guest_lives_on() {
    let vm = machine().restore(&snapshots()).unwrap();
    let hung = "echo begun; trap '' TERM; sleep 7777 & sleep 7777";
    let error = vm.run(hung, Duration::from_secs(2)).unwrap_err();
    let Error::CommandTimedOut {
        seconds: 2, stdout, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(stdout, b"begun\n");
    let left = vm.run("ps | grep '[s]leep 7777'", SHORT).unwrap();
    assert_eq!(left.text(), "");
}

#[test]
fn what_a_command_leaves_in_the_background_goes_on() {
    let vm = machine().restore(&snapshots()).unwrap();
    let output = vm.run_ok("sleep 5555 & echo $!", SHORT).unwrap();
    assert!(output.elapsed < Duration::from_secs(10));
    vm.run_ok(&format!("kill -0 {}", output.text()), SHORT)
        .unwrap();
}

#[test]
fn a_guest_that_stands_still_is_declared_dead() {
    let vm = machine().restore(&snapshots()).unwrap();
    signal("STOP", vm.pid());
    let error = vm.run("true", Duration::from_secs(1)).unwrap_err();
    assert!(matches!(error, Error::Unresponsive { .. }), "{error}");
    let begun = Instant::now();
    assert!(matches!(
        vm.run("true", SHORT),
        Err(Error::Unresponsive { .. })
    ));
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "a dead guest is not asked again"
    );
}

#[test]
fn a_panic_is_reported_as_such_with_its_lines() {
    let vm = machine().restore(&snapshots()).unwrap();
    let error = vm.run("echo c >/proc/sysrq-trigger", SHORT).unwrap_err();
    let Error::GuestPanicked { lines, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        lines
            .iter()
            .any(|line| line.contains("sysrq triggered crash")),
        "{lines:?}"
    );
    assert!(
        !vm.kernel_problems().is_empty(),
        "the console still tells after the end"
    );
    assert!(matches!(
        vm.run("true", SHORT),
        Err(Error::Unresponsive { .. })
    ));
}

#[test]
fn a_quiet_boot_has_no_problems_and_a_warning_is_found() {
    let vm = machine().restore(&snapshots()).unwrap();
    assert_eq!(vm.kernel_problems(), Vec::<String>::new());
    vm.run_ok(
        "echo '<4>WARNING: CPU: 0 PID: 1 at test.c:1' >/dev/kmsg",
        SHORT,
    )
    .unwrap();
    assert_eq!(vm.kernel_problems().len(), 1);
}

#[test]
fn insmod_says_what_the_kernel_said() {
    let vm = machine().restore(&snapshots()).unwrap();
    let loaded = "/lib/modules/$(uname -r)/kernel/drivers/block/virtio_blk.ko";
    let output = vm.run(&format!("insmod {loaded}"), SHORT).unwrap();
    assert!(!output.success());
    assert!(
        output.all_text().contains("File exists"),
        "{}",
        output.all_text()
    );
    let version = vm
        .run_ok("insmod --version; /sbin/insmod --version", SHORT)
        .unwrap();
    assert_eq!(
        version.text().matches("kmod version").count(),
        2,
        "{}",
        version.text()
    );
}
