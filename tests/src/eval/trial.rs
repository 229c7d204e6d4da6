//! Applying and undoing a built update on the stock kernel.

use super::attempt::{Attempt, Attempts};
use crate::guest::{Guest, machine};
use crate::updates::worker_key;
use anyhow::{Context, Result, ensure};
use resplice_package::{Package, SecretKey};
use resplice_target::Target;
use resplice_vm::{Machine, SnapshotCache, quote};
use std::collections::BTreeSet;
use std::path::Path;

/// Room for the modules that are tried, all in one machine's initial memory.
const MEMORY_MIB: u32 = 1024;

/// A machine for all updates of an evaluation: one snapshot serves them all.
pub struct Bench {
    machine: Machine,
    snapshots: SnapshotCache,
    key: SecretKey,
}

impl Bench {
    /// A machine that has the modules which the attempts patch.
    ///
    /// # Errors
    /// If the key of the tests can't be read.
    pub fn new(target: &Target, directory: &Path, attempts: &[Attempt]) -> Result<Self> {
        let objects: BTreeSet<&str> = attempts.iter().map(|a| a.object.as_str()).collect();
        let mut machine = machine(target, "max").memory_mib(MEMORY_MIB);
        for module in objects.into_iter().filter(|object| is_module(object)) {
            machine = machine.provide_module(module);
        }
        Ok(Self {
            machine,
            snapshots: SnapshotCache::new(directory),
            key: SecretKey::load(&worker_key()?)?,
        })
    }

    /// Tries a built update and writes down what came of it. An update that is
    /// not taken or not given back is no error here.
    ///
    /// # Errors
    /// If the package can't be read, or the machine can't be started.
    pub fn run(&self, attempts: &Attempts, attempt: &mut Attempt) -> Result<()> {
        let path = attempts.package(&attempt.patch)?;
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let package = Package::open(&bytes, &[self.key.public()])?;
        let guest = Guest::start_from(&self.snapshots, &self.machine, &package)?;
        attempt.applied = Some(false);
        attempt.undone = Some(false);
        attempt.log_clean = Some(false);
        attempt.trouble = match self.in_and_out(&guest, &package, attempt) {
            Ok(()) => String::new(),
            Err(error) => format!("{error:#}"),
        };
        Ok(())
    }

    fn in_and_out(&self, guest: &Guest, package: &Package, attempt: &mut Attempt) -> Result<()> {
        if is_module(&attempt.object) {
            guest.ok(&format!("modprobe {}", quote(&attempt.object)))?;
        }
        // A driver without its hardware may have complained already.
        let before = guest.vm.kernel_problems().len();
        guest.bring(package)?;
        guest.apply(package)?;
        attempt.applied = Some(true);
        let id = &package.manifest().id;
        let pause = guest.ok(&format!("cat /sys/kernel/resplice/updates/{id}/pause_ns"))?;
        attempt.pause_ns = pause.parse().ok();
        guest.undo(package)?;
        attempt.undone = Some(true);
        guest.ok("rmmod resplice")?;
        let problems = guest.vm.kernel_problems().split_off(before);
        attempt.log_clean = Some(problems.is_empty());
        ensure!(
            problems.is_empty(),
            "the kernel's log: {}",
            problems.join("; ")
        );
        Ok(())
    }
}

fn is_module(object: &str) -> bool {
    !object.is_empty() && object != "vmlinux"
}
