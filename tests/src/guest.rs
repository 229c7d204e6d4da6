//! A stock kernel in QEMU with an update at hand.

use crate::programs::compile;
use crate::repository;
use anyhow::{Context, Result, ensure};
use resplice_package::Package;
use resplice_target::{Cache, Flavour, Target};
use resplice_vm::{GuestFile, Machine, Output, SnapshotCache, Vm, kernel_problems};
use std::time::Duration;

/// How often a busy update is tried.
const TRIES: u32 = 3;
/// For a command of the tests.
pub const LIMIT: Duration = Duration::from_secs(120);

/// What kernels that check themselves need: an eighth of it shadows the rest.
const DEBUG_MEMORY_MIB: u32 = 1024;
/// How long they may take to boot.
const DEBUG_BOOT: Duration = Duration::from_secs(300);

/// A machine for the target's kernel as it was shipped, or built.
pub fn machine(target: &Target, cpu: &str) -> Machine {
    let machine = Machine::new(target.bzimage())
        .modules_dir(target.modules_dir())
        .cpu(cpu);
    if target.flavour() != Flavour::Own {
        return machine;
    }
    machine
        .memory_mib(DEBUG_MEMORY_MIB)
        // Reading the firmware's routes for interrupts takes it longer than the interpreter allows.
        .append("pci=noacpi")
        // Else the generator of random numbers is ready at any time, and changes the kernel's text then.
        .append("random.trust_cpu=on")
        // So that the console has what a test takes out of the log.
        .append("ignore_loglevel")
        .boot_timeout(DEBUG_BOOT)
}

/// What kernels that check themselves know beside their log: lockdep is off after its first report, and reports leave
/// taints (5 KASAN's, 7 an oops, 9 a WARN, 14 a lockup). Memory that nobody refers to is reported from an age of five
/// seconds on.
const CHECKERS: &str = "\
    [ -e /proc/lockdep_stats ] || exit 0
    grep 'debug_locks: *0' /proc/lockdep_stats
    taint=$(cat /proc/sys/kernel/tainted)
    [ $((taint & (1 << 5 | 1 << 7 | 1 << 9 | 1 << 14))) = 0 ] || echo \"tainted: $taint\"
    leaks=/sys/kernel/debug/kmemleak
    sleep 6; echo scan >$leaks; cat $leaks";

/// A booted guest with `resplice.ko` loaded.
pub struct Guest {
    /// The machine.
    pub vm: Vm,
}

impl Guest {
    /// Restores a booted machine and loads the core that the package brings.
    pub fn start(machine: &Machine, package: &Package) -> Result<Self> {
        let snapshots = SnapshotCache::new(&Cache::from_env().root().join("vm"));
        Self::start_from(&snapshots, machine, package)
    }

    /// As [`Self::start`], with the snapshot in another place.
    pub fn start_from(
        snapshots: &SnapshotCache,
        machine: &Machine,
        package: &Package,
    ) -> Result<Self> {
        Self::with_core(machine.restore(snapshots)?, package)
    }

    /// Loads the core that the package brings into a machine.
    pub fn with_core(vm: Vm, package: &Package) -> Result<Self> {
        let guest = Self { vm };
        guest.vm.push(&[GuestFile::new(
            "/root/resplice.ko",
            0o600,
            package.core_module()?,
        )])?;
        guest.ok("insmod /root/resplice.ko")?;
        Ok(guest)
    }

    /// Brings an update's modules into the guest, without loading them.
    pub fn bring(&self, package: &Package) -> Result<()> {
        let parts = package.parts()?;
        let files: Vec<GuestFile> = parts
            .iter()
            .map(|part| GuestFile::new(format!("/root/{}.ko", part.name), 0o600, part.bytes))
            .collect();
        Ok(self.vm.push(&files)?)
    }

    /// Brings the demo's reproducer of CVE-2026-72400.
    pub fn bring_seg6_check(&self) -> Result<()> {
        self.bring_program("deploy/demo/seg6-check.c", "seg6-check")
    }

    /// Compiles a C program of the repository and brings it to `/root`.
    pub fn bring_program(&self, source: &str, name: &str) -> Result<()> {
        let work = tempfile::tempdir()?;
        let program = work.path().join(name);
        compile(&repository(source), &program)?;
        let file = GuestFile::from_host(&program, format!("/root/{name}"))?;
        Ok(self.vm.push(&[file])?)
    }

    /// Runs a script.
    pub fn run(&self, script: &str) -> Result<Output> {
        Ok(self.vm.run(script, LIMIT)?)
    }

    /// Runs a script that must end well; returns its stdout.
    pub fn ok(&self, script: &str) -> Result<String> {
        Ok(self.vm.run_ok(script, LIMIT)?.text())
    }

    /// Loads the parts of an update that was brought, up to the first that is
    /// refused; the last report comes back in any case.
    pub fn load(&self, package: &Package) -> Result<(bool, String)> {
        let mut loaded = true;
        for part in package.parts()? {
            loaded = loaded
                && self
                    .run(&format!("insmod /root/{}.ko", part.name))?
                    .success();
        }
        Ok((loaded, self.report()?))
    }

    /// Loads an update that must go in; as agents do, a busy one is tried again.
    pub fn apply(&self, package: &Package) -> Result<()> {
        let (mut loaded, mut report) = self.load(package)?;
        for _ in 1..TRIES {
            if loaded || !report.contains("\nbusy: ") {
                break;
            }
            for part in package.parts()?.iter().rev() {
                self.run(&format!("rmmod {}; sleep 0.2", part.name))?;
            }
            (loaded, report) = self.load(package)?;
        }
        ensure!(loaded, "the update was not applied:\n{report}");
        ensure!(self.state(package)? == "applied", "not applied:\n{report}");
        Ok(())
    }

    /// Undoes an update and unloads it, unless it has to stay.
    pub fn undo(&self, package: &Package) -> Result<()> {
        let id = &package.manifest().id;
        let undone = self.run(&format!(
            "echo 0 > /sys/kernel/resplice/updates/{id}/enabled"
        ))?;
        ensure!(undone.success(), "not undone:\n{}", self.report()?);
        ensure!(self.state(package)? == "undone", "its state says otherwise");
        for part in package.parts()?.iter().rev() {
            let directory = format!("/sys/kernel/resplice/updates/{}", part.name);
            let stays = self.ok(&format!("cat {directory}/stays"))?;
            let unloaded = self.run(&format!("rmmod {}", part.name))?.success();
            ensure!(
                unloaded == (stays == "0"),
                "{}: stays: {stays}, rmmod: {unloaded}",
                part.name
            );
        }
        Ok(())
    }

    /// What the core says of an update: the state of all of its parts, or the
    /// states by part if they differ.
    pub fn state(&self, package: &Package) -> Result<String> {
        let mut states = Vec::new();
        for part in package.parts()? {
            let path = format!("/sys/kernel/resplice/updates/{}/state", part.name);
            states.push(self.ok(&format!("cat {path}"))?);
        }
        states.dedup();
        Ok(states.join(" "))
    }

    /// The core's report of the last load or undo.
    pub fn report(&self) -> Result<String> {
        self.ok("cat /sys/kernel/resplice/report")
            .context("read the core's report")
    }

    /// Fails if the kernel's log holds an oops, a WARN or the like, or if a kernel that checks itself has found
    /// anything.
    pub fn log_is_clean(&self) -> Result<()> {
        let mut problems = self.vm.kernel_problems();
        problems.extend(kernel_problems(&self.vm.console()));
        ensure!(problems.is_empty(), "the kernel's log: {problems:#?}");
        let found = self.ok(CHECKERS)?;
        ensure!(
            found.is_empty(),
            "{found}\nthe kernel's log:\n{}",
            self.vm.kernel_log()
        );
        Ok(())
    }
}
