//! A host of the fleet: a stock kernel in QEMU with the agent inside.

use crate::guest::{Guest, LIMIT, machine};
use crate::modules;
use crate::programs::{program, run_ok};
use anyhow::{Context, Result, ensure};
use resplice_target::{Cache, Target};
use resplice_vm::{GUEST_SERVER_ADDRESS, GuestFile, Output, SnapshotCache};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the agent lies in the guest.
const AGENT: &str = "/usr/bin/resplice";
/// Where it keeps its state.
const STATE: &str = "/var/lib/resplice";

/// Enough for a journal and some packages.
const DISK_BYTES: u64 = 64 << 20;

/// A booted host; nothing of Resplice is in its kernel yet.
pub struct Host {
    /// The guest.
    pub guest: Guest,
}

impl Host {
    /// A host that reaches nothing but the server at a port of this machine.
    pub fn start(target: &Target, port: u16) -> Result<Self> {
        let snapshots = SnapshotCache::new(&Cache::from_env().root().join("vm"));
        let vm = machine(target, "max").network(port).restore(&snapshots)?;
        vm.push(&GuestFile::program(&program("resplice")?, AGENT)?)?;
        Ok(Self {
            guest: Guest { vm },
        })
    }

    /// A host that takes packages by hand.
    pub fn alone(target: &Target) -> Result<Self> {
        Self::alone_with(target, &[])
    }

    /// Such a host that can load these modules.
    pub fn alone_with(target: &Target, modules: &[&str]) -> Result<Self> {
        let snapshots = SnapshotCache::new(&Cache::from_env().root().join("vm"));
        let mut machine = machine(target, "max");
        for module in modules {
            machine = machine.provide_module(*module);
        }
        let vm = machine.restore(&snapshots)?;
        vm.push(&GuestFile::program(&program("resplice")?, AGENT)?)?;
        Ok(Self {
            guest: Guest { vm },
        })
    }

    /// Boots a host whose state lies on a disk, made by [`kept_disk`]. Dropping the
    /// host is a power cut.
    pub fn boot(target: &Target, port: u16, disk: &Path) -> Result<Self> {
        let machine = machine(target, "max").network(port);
        let vm = machine.load_module("ext4").kept_disk(disk).boot()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        // Nothing reaches the disk unless it is asked to.
        let lazy = "echo 0 >/proc/sys/vm/dirty_writeback_centisecs";
        let mount = format!("mount -o commit=3600 /dev/vdb {STATE} && chmod 700 {STATE}");
        vm.run_ok(
            &format!("mkdir -p {STATE} && {lazy} && {mount} && date -s @{now}"),
            LIMIT,
        )?;
        vm.push(&GuestFile::program(&program("resplice")?, AGENT)?)?;
        Ok(Self {
            guest: Guest { vm },
        })
    }

    /// Enrols at the server as `host-1`.
    pub fn enrol(&self, token: &Path) -> Result<()> {
        self.enrol_as("host-1", token)
    }

    /// Enrols at the server with the token in a file of this machine.
    pub fn enrol_as(&self, name: &str, token: &Path) -> Result<()> {
        let token = std::fs::read(token).with_context(|| format!("read {}", token.display()))?;
        let file = GuestFile::new("/root/enrol.token", 0o600, token);
        self.guest.vm.push(&[file])?;
        self.guest.ok(&format!(
            "resplice enroll --server http://{GUEST_SERVER_ADDRESS} \
             --token-file /root/enrol.token --name {name} --channel edge"
        ))?;
        Ok(())
    }

    /// Runs the agent.
    pub fn agent(&self, words: &str) -> Result<Output> {
        Ok(self.guest.vm.run(&format!("resplice {words}"), LIMIT)?)
    }

    /// Runs the agent with `--json`; returns its exit code and what it says.
    pub fn json(&self, words: &str) -> Result<(i32, Value)> {
        let output = self.agent(&format!("--json {words}"))?;
        let said = output.all_text();
        let value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("resplice {words} ended with {}: {said}", output.code))?;
        Ok((output.code, value))
    }

    /// Changes the byte at an offset of a kernel function.
    pub fn corrupt(&self, target: &Target, function: &str, offset: u32) -> Result<()> {
        let module = modules::build(target, "rt_corrupt")?;
        let file = GuestFile::new("/root/rt_corrupt.ko", 0o600, module);
        self.guest.vm.push(&[file])?;
        let insert = format!("insmod /root/rt_corrupt.ko symbol={function} offset={offset}");
        self.guest.ok(&insert)?;
        Ok(())
    }

    /// Puts the byte back.
    pub fn repair(&self) -> Result<()> {
        self.guest.ok("rmmod rt_corrupt")?;
        Ok(())
    }

    /// Fails if anything of Resplice is in effect, or the kernel complained.
    pub fn is_untouched(&self) -> Result<()> {
        let updates = self
            .guest
            .ok("ls /sys/kernel/resplice/updates 2>/dev/null || true")?;
        ensure!(updates.is_empty(), "in the kernel: {updates}");
        self.guest.log_is_clean()
    }
}

/// Makes an empty file system in a directory, for [`Host::boot`].
pub fn kept_disk(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("host.img");
    File::create(&path)?.set_len(DISK_BYTES)?;
    run_ok(Command::new("mkfs.ext4").arg("-q").arg(&path))?;
    Ok(path)
}
