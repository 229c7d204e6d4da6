//! An update of hot functions, in and out again and again on a machine that is
//! busy in them.

use crate::guest::{Guest, machine};
use crate::{modules, updates};
use anyhow::{Context, Result, ensure};
use resplice_target::Target;
use resplice_vm::GuestFile;
use std::time::Duration;

const PATCH: &str = "tests/patches/hot-functions.patch";
/// For as many cycles as are done by one command of the guest.
const LIMIT: Duration = Duration::from_secs(600);

/// A guest with the update and all that it is tortured with.
pub struct Torture {
    guest: Guest,
    command: String,
    traces: bool,
}

impl Torture {
    /// Boots the guest, with two CPUs: one is unplugged from time to time. They run in turn if tracers and probes are
    /// to be switched, for these rewrite code all the time.
    pub fn start(target: &Target, traces: bool) -> Result<Self> {
        let package = updates::build(target, PATCH)?.open()?;
        let machine = machine(target, "max").cpus(2).memory_mib(1024);
        let machine = if traces {
            machine.cpus_in_turn()
        } else {
            machine
        };
        let guest = Guest::start(&machine, &package)?;
        guest.bring(&package)?;
        guest.bring_program("tests/guest/torture.c", "torture")?;
        let other = modules::build(target, "rt_bench")?;
        let other = GuestFile::new("/root/rt_bench.ko", 0o600, other);
        guest.vm.push(&[other])?;
        let id = &package.manifest().id;
        let command = format!("/root/torture /root/{id}.ko {id} /root/rt_bench.ko");
        Ok(Self {
            guest,
            command,
            traces,
        })
    }

    /// So many cycles; what was done meanwhile comes back, in one line.
    pub fn cycles(&self, count: u32) -> Result<String> {
        let trace = if self.traces { " trace" } else { "" };
        let command = format!("{} {count}{trace}", self.command);
        let output = self.guest.vm.run(&command, LIMIT);
        let output = output.with_context(|| self.guest.vm.console())?;
        ensure!(
            output.success(),
            "{}\n{}",
            output.all_text(),
            self.guest.vm.kernel_log()
        );
        self.guest.log_is_clean()?;
        let text = output.text();
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }
}
