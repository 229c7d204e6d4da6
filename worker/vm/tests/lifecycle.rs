//! From boot through snapshot and restore to the certain end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{SHORT, alive, descendants, machine, signal, snapshots};
use resplice_vm::{Error, GuestFile, Machine, SnapshotCache};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Polls, for what the kernel does a moment later.
fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_stock_kernel_boots_on_every_cpu_model() {
    let (kernel, _) = common::kernel();
    for cpu in ["max", "EPYC", "Skylake-Server-v4"] {
        let begun = Instant::now();
        let vm = machine().cpu(cpu).cpus(2).boot().unwrap();
        println!("boot with -cpu {cpu}: {:?}", begun.elapsed());
        let output = vm.run_ok(
            "uname -r; nproc; cat /sys/kernel/debug/sched/features",
            SHORT,
        );
        let text = output.unwrap().text();
        let mut lines = text.lines();
        assert!(
            kernel.to_string_lossy().ends_with(lines.next().unwrap()),
            "{text}"
        );
        assert_eq!(lines.next(), Some("2"), "{text}");
        assert_eq!(vm.kernel_problems(), Vec::<String>::new(), "-cpu {cpu}");
    }
}

#[test]
fn a_snapshot_serves_several_guests_that_do_not_share_anything() {
    let dir = tempfile::tempdir().unwrap();
    let cache = SnapshotCache::new(dir.path());
    let machine = machine();
    let begun = Instant::now();
    let made = machine.snapshot(&cache).unwrap();
    println!(
        "boot and snapshot: {:?}, {} MiB",
        begun.elapsed(),
        made.bytes >> 20
    );
    assert!(made.fresh && !machine.snapshot(&cache).unwrap().fresh);
    let other = machine
        .clone()
        .append("resplice.other=1")
        .snapshot_key()
        .unwrap();
    assert_ne!(other, made.key);

    let mut best = Duration::MAX;
    let mut guests = Vec::new();
    for name in ["one", "two"] {
        let begun = Instant::now();
        let vm = machine.restore(&cache).unwrap();
        vm.push(&[GuestFile::new("/job/name", 0o644, name)])
            .unwrap();
        assert_eq!(vm.run_ok("cat /job/name", SHORT).unwrap().text(), name);
        best = best.min(begun.elapsed());
        guests.push(vm);
    }
    println!("restore to the first command's output: {best:?}");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    for (vm, name) in guests.iter().zip(["one", "two"]) {
        assert_eq!(vm.run_ok("cat /job/name", SHORT).unwrap().text(), name);
        let guest_time: u64 = vm
            .run_ok("date +%s", SHORT)
            .unwrap()
            .text()
            .parse()
            .unwrap();
        assert!(
            guest_time.abs_diff(now.as_secs()) < 30,
            "the guest's clock is right"
        );
    }
}

#[test]
fn a_snapshot_that_was_damaged_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = SnapshotCache::new(dir.path());
    let machine = machine().boot_timeout(Duration::from_secs(60));
    let made = machine.snapshot(&cache).unwrap();
    std::fs::write(&made.state, b"this is no migration stream").unwrap();
    let vm = machine.restore(&cache).unwrap();
    vm.run_ok("true", SHORT).unwrap();
    assert!(std::fs::metadata(&made.state).unwrap().len() > 1 << 20);
}

#[test]
fn dropping_a_guest_leaves_neither_process_nor_directory() {
    let vm = machine().restore(&snapshots()).unwrap();
    let pid = vm.pid();
    let directory = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert!(alive(pid) && directory.is_dir());
    drop(vm);
    assert!(!alive(pid) && !directory.exists());
}

#[test]
fn a_guest_outlives_the_thread_that_started_it() {
    let vm = std::thread::spawn(|| machine().restore(&snapshots()).unwrap())
        .join()
        .unwrap();
    vm.run_ok("true", SHORT).unwrap();
}

#[test]
fn qemu_dies_with_a_killed_owner() {
    let (kernel, modules) = common::kernel();
    let mut owner = Command::new(env!("CARGO_BIN_EXE_resplice-vm"))
        .args(["run", "--kernel"])
        .arg(kernel)
        .arg("--modules-dir")
        .arg(modules)
        .args(["--", "sleep 600"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut children = Vec::new();
    eventually("QEMU is started", || {
        children = descendants(owner.id());
        children.iter().any(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.starts_with("qemu-system"))
        })
    });
    signal("KILL", owner.id());
    owner.wait().unwrap();
    eventually("QEMU is gone", || !children.iter().any(|pid| alive(*pid)));
}

#[test]
fn the_guest_reaches_the_one_port_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream
                .write_all(b"HTTP/1.0 200 OK\r\n\r\nhello from the host\n")
                .unwrap();
        }
    });
    let vm = machine().network(port).boot().unwrap();
    for _ in 0..3 {
        let output = vm.run_ok("wget -q -O - http://10.0.2.100/", SHORT).unwrap();
        assert_eq!(output.text(), "hello from the host");
    }
    let direct = vm
        .run(&format!("timeout 3 nc 10.0.2.2 {port} </dev/null"), SHORT)
        .unwrap();
    assert!(!direct.success(), "the host itself is out of reach");
    let relays = descendants(vm.pid());
    drop(vm);
    eventually("the relays are gone", || {
        !relays.iter().any(|pid| alive(*pid))
    });
}

#[test]
fn a_kernel_that_does_not_exist_or_is_none_is_named() {
    let error = Machine::new("/no/such/vmlinuz")
        .boot()
        .unwrap_err()
        .to_string();
    assert!(error.contains("/no/such/vmlinuz"), "{error}");
    let junk = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(junk.path(), b"not a kernel").unwrap();
    let error = Machine::new(junk.path()).boot().unwrap_err();
    assert!(matches!(error, Error::QemuExited { .. }), "{error}");
    assert!(
        error.to_string().contains("PVH") || error.to_string().contains("kernel"),
        "{error}"
    );
}

#[test]
fn a_kernel_that_panics_at_boot_is_reported_as_such() {
    let error = machine()
        .append("init=/none rdinit=/none root=/dev/none")
        .boot()
        .unwrap_err();
    let Error::GuestPanicked { lines, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        lines.iter().any(|line| line.contains("Kernel panic")),
        "{lines:?}"
    );
}
