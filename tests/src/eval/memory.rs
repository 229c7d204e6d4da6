//! What a booted stock kernel says of units: `resplice.ko` and a match-only
//! module of the units are loaded, and the core's report is read.

use crate::guest::{LIMIT, machine};
use anyhow::{Context, Result, ensure};
use resplice_target::{Cache, Target};
use resplice_vm::{GuestFile, SnapshotCache, quote};
use resplice_worker::matching::Matched;
use std::time::Duration;

/// For a module that matches tens of units, in an emulated guest.
const MATCH_LIMIT: Duration = Duration::from_secs(600);
/// Objects of the units and the images made from them are some megabytes.
const MEMORY_MIB: u32 = 1024;

/// Boots the target on a CPU model and gives the core's report for each object.
///
/// # Errors
/// If the guest can't be run, a module can't be loaded, or the kernel complains.
pub fn reports(target: &Target, cpu: &str, matched: &[Matched]) -> Result<Vec<String>> {
    let modules = || {
        let names = matched.iter().map(|object| object.object.as_str());
        names.filter(|name| *name != "vmlinux")
    };
    let mut machine = machine(target, cpu).memory_mib(MEMORY_MIB);
    for module in modules() {
        machine = machine.provide_module(module);
    }
    let vm = machine.restore(&SnapshotCache::new(&Cache::from_env().root().join("vm")))?;
    for module in modules() {
        vm.run_ok(&format!("modprobe {}", quote(module)), LIMIT)?;
    }
    let core = matched.first().context("no unit was asked for")?;
    vm.push(&[GuestFile::new("/job/resplice.ko", 0o600, core.core.clone())])?;
    vm.run_ok("insmod /job/resplice.ko", LIMIT)?;
    let mut reports = Vec::new();
    for object in matched {
        let path = format!("/job/{}.ko", object.id);
        vm.push(&[GuestFile::new(&path, 0o600, object.update.clone())])?;
        let loaded = vm.run(&format!("insmod {path}"), MATCH_LIMIT)?;
        let report = vm.pull("/sys/kernel/resplice/report")?;
        let report = String::from_utf8_lossy(&report).into_owned();
        ensure!(
            loaded.success(),
            "{} does not load with -cpu {cpu}: {}\n{report}",
            object.id,
            loaded.all_text()
        );
        vm.run_ok(&format!("rmmod {}", object.id), LIMIT)?;
        reports.push(report);
    }
    let problems = vm.kernel_problems();
    ensure!(problems.is_empty(), "the kernel's log: {problems:#?}");
    Ok(reports)
}
