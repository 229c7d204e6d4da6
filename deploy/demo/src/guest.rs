//! The host of the demo: Debian's kernel in QEMU, with the agent inside.

use crate::{say, service::program};
use anyhow::{Result, ensure};
use resplice_target::Target;
use resplice_vm::{GuestFile, Machine, Vm};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
/// The check's exit codes.
pub const FIXED: i32 = 0;
/// See [`FIXED`].
pub const VULNERABLE: i32 = 1;

/// A booted host.
pub struct Host {
    vm: Vm,
}

impl Host {
    /// Boots the target's kernel; the guest reaches nothing but the server.
    pub fn boot(target: &Target, port: u16, enrol_token: &Path, check: &Path) -> Result<Self> {
        let vm = Machine::new(target.bzimage())
            .modules_dir(target.modules_dir())
            .hostname("host-1")
            .network(port)
            .files(GuestFile::program(
                &program("resplice")?,
                "/usr/bin/resplice",
            )?)
            .file(GuestFile::from_host(check, "/root/check")?)
            .file(GuestFile::new(
                "/root/enrol.token",
                0o600,
                std::fs::read(enrol_token)?,
            ))
            .boot()?;
        Ok(Self { vm })
    }

    fn value(&self, script: &str) -> Result<String> {
        Ok(self.vm.run_ok(script, LIMIT)?.text())
    }

    /// `uname -sr`.
    pub fn kernel(&self) -> Result<String> {
        self.value("uname -sr")
    }

    /// Seconds since boot.
    pub fn uptime(&self) -> Result<String> {
        self.value("cut -d. -f1 /proc/uptime")
    }

    /// Another one for every boot.
    pub fn boot_id(&self) -> Result<String> {
        self.value("cat /proc/sys/kernel/random/boot_id")
    }

    /// Runs the reproducer, which must say what is expected.
    pub fn check(&self, expected: i32) -> Result<()> {
        let output = self.vm.run("/root/check", LIMIT)?;
        say::verdict(&output.all_text(), output.code == FIXED);
        ensure!(
            output.code == expected,
            "the reproducer exited with {}, expected {expected}",
            output.code
        );
        Ok(())
    }

    /// Runs the agent, which must succeed.
    pub fn agent(&self, words: &str) -> Result<()> {
        say::command(&format!("resplice {words}"), "on the host");
        let output = self.vm.run(&format!("resplice {words}"), LIMIT)?;
        say::printed(&output.all_text());
        ensure!(
            output.success(),
            "resplice {words} exited with {}",
            output.code
        );
        Ok(())
    }

    /// Fails if the kernel complained.
    pub fn log_is_clean(&self) -> Result<()> {
        let problems = self.vm.kernel_problems();
        ensure!(problems.is_empty(), "the kernel's log: {problems:?}");
        Ok(())
    }
}
