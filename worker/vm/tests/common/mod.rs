//! The stock kernel that the tests boot.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use resplice_vm::{Machine, SnapshotCache};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For commands that take no time.
pub const SHORT: Duration = Duration::from_secs(60);

fn cache() -> PathBuf {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("RESPLICE_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("resplice")))
        .or_else(|| Some(set("HOME")?.join(".cache/resplice")))
        .expect("one of RESPLICE_CACHE, XDG_CACHE_HOME and HOME is set")
}

/// Kernel and modules: `RESPLICE_TEST_KERNEL` with `RESPLICE_TEST_MODULES`,
/// or the first cloud (else any) target in the cache.
pub fn kernel() -> (PathBuf, PathBuf) {
    if let Some(kernel) = std::env::var_os("RESPLICE_TEST_KERNEL") {
        let modules = std::env::var_os("RESPLICE_TEST_MODULES")
            .expect("RESPLICE_TEST_MODULES goes with RESPLICE_TEST_KERNEL");
        return (kernel.into(), modules.into());
    }
    let targets = cache().join("targets");
    let mut found: Vec<(PathBuf, PathBuf)> = std::fs::read_dir(&targets)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let release = entry.file_name().into_string().ok()?;
            let root = entry.path().join("root");
            let kernel = root.join(format!("boot/vmlinuz-{release}"));
            let modules = ["lib", "usr/lib"]
                .map(|lib| root.join(lib).join("modules").join(&release))
                .into_iter()
                .find(|dir| dir.is_dir())?;
            kernel.is_file().then_some((kernel, modules))
        })
        .collect();
    found.sort_by_key(|(kernel, _)| (!kernel.to_string_lossy().contains("cloud"), kernel.clone()));
    found.into_iter().next().unwrap_or_else(|| {
        panic!(
            "no stock kernel in {}: run `make setup`, or set RESPLICE_TEST_KERNEL and \
             RESPLICE_TEST_MODULES",
            targets.display()
        )
    })
}

/// A machine with the test kernel.
pub fn machine() -> Machine {
    let (kernel, modules) = kernel();
    Machine::new(kernel).modules_dir(modules)
}

/// The snapshot cache that tests share.
pub fn snapshots() -> SnapshotCache {
    SnapshotCache::new(&cache())
}

/// Whether a process of that id exists and is not a zombie.
pub fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .trim_start()
            .starts_with('Z')
    })
}

/// Processes that descend from `pid`.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let tasks = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"));
    for task in tasks.into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
        {
            all.push(child);
            all.extend(descendants(child));
        }
    }
    all
}

/// Sends a signal to one process.
pub fn signal(name: &str, pid: u32) {
    let done = std::process::Command::new("busybox")
        .args(["kill", &format!("-{name}"), &pid.to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}
