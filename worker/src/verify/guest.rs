//! Applying an update to the stock kernel, in a virtual machine.

use super::Check;
use crate::{Error, log::Log};
use resplice_target::Target;
use resplice_vm::{GuestFile, Machine, Output, SnapshotCache, Vm};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path, time::Duration};

/// For a module to load, match and apply.
const LOAD: Duration = Duration::from_secs(120);
/// For an update's own check.
const CHECK: Duration = Duration::from_secs(120);
/// For everything else.
const SHORT: Duration = Duration::from_secs(30);
/// What the core says in numbers, under `updates/ID/`.
const NUMBERS: [&str; 4] = ["pause_ns", "work_ns", "attempts", "bytes"];
/// Exit codes of a check.
const FIXED: i32 = 0;
const VULNERABLE: i32 = 1;

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The update's id in the kernel.
    pub id: String,
    /// The patched module, if it is not vmlinux.
    pub module: Option<String>,
    /// `resplice.ko`.
    pub core: Vec<u8>,
    /// `<id>.ko`.
    pub update: Vec<u8>,
    /// The update's own check.
    pub check: Option<Check>,
    /// QEMU's CPU model.
    pub cpu: String,
}

/// What the guest's kernel made of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GuestReport {
    /// QEMU's CPU model.
    pub cpu: String,
    /// Lines `name unit old_addr size -> new_addr size`.
    pub functions: Vec<String>,
    /// The core's report on the load.
    pub report: String,
    /// `pause_ns`, `work_ns`, `attempts`, `bytes`.
    pub numbers: BTreeMap<String, u64>,
    /// Exit codes of the check: before, with the update, after undo.
    pub checks: Vec<i32>,
}

/// Applies and undoes an update in the target's stock kernel. Blocks: from
/// async code, use it under `spawn_blocking`.
///
/// # Errors
/// [`Error::Verification`] if the update does not hold what it promises;
/// [`Error::Internal`] if the machine can't be run.
pub fn in_guest(
    target: &Target,
    cache: &Path,
    trial: &Trial,
    log: &Log,
) -> Result<GuestReport, Error> {
    let mut machine = Machine::new(target.bzimage())
        .modules_dir(target.modules_dir())
        .cpu(&trial.cpu);
    if let Some(module) = &trial.module {
        machine = machine.provide_module(module);
    }
    log.line(&format!(
        "booting {} with -cpu {}",
        target.release(),
        trial.cpu
    ));
    let vm = machine.restore(&SnapshotCache::new(cache)).map_err(rig)?;
    let guest = Guest { vm, trial, log };
    guest.run()
}

struct Guest<'a> {
    vm: Vm,
    trial: &'a Trial,
    log: &'a Log,
}

impl Guest<'_> {
    fn run(&self) -> Result<GuestReport, Error> {
        let id = &self.trial.id;
        let mut report = GuestReport {
            cpu: self.trial.cpu.clone(),
            ..GuestReport::default()
        };
        self.push()?;
        if let Some(module) = &self.trial.module {
            self.must(&format!("modprobe {module}"), SHORT)?;
        }
        self.check(VULNERABLE, "before the update", &mut report)?;
        self.must("insmod /job/resplice.ko", LOAD)?;
        self.apply(&mut report)?;
        self.check(FIXED, "with the update", &mut report)?;
        self.must(
            &format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled"),
            LOAD,
        )?;
        self.check(VULNERABLE, "after undo", &mut report)?;
        self.must(&format!("rmmod {id} && rmmod resplice"), SHORT)?;
        let problems = self.vm.kernel_problems();
        if let Some(first) = problems.first() {
            for line in &problems {
                self.log.line(line);
            }
            return Err(Error::Verification(format!(
                "the kernel complained: {first}"
            )));
        }
        self.log.line("undone; the kernel's log is clean");
        Ok(report)
    }

    fn push(&self) -> Result<(), Error> {
        let mut files = vec![
            GuestFile::new("/job/resplice.ko", 0o644, self.trial.core.clone()),
            GuestFile::new(
                format!("/job/{}.ko", self.trial.id),
                0o644,
                self.trial.update.clone(),
            ),
        ];
        files.extend(
            self.trial
                .check
                .iter()
                .flat_map(|check| check.files().iter().cloned()),
        );
        self.vm.push(&files).map_err(rig)
    }

    fn apply(&self, report: &mut GuestReport) -> Result<(), Error> {
        let id = &self.trial.id;
        let output = self
            .vm
            .run(&format!("insmod /job/{id}.ko"), LOAD)
            .map_err(rig)?;
        report.report = self.read("/sys/kernel/resplice/report")?;
        self.log.line(report.report.trim_end());
        if !output.success() {
            self.show(&output);
            let first = report.report.lines().next().unwrap_or("there is no report");
            return Err(Error::Verification(format!(
                "the stock kernel does not take the update: {first}"
            )));
        }
        let file = |name: &str| format!("/sys/kernel/resplice/updates/{id}/{name}");
        let state = self.read(&file("state"))?;
        if state != "applied" {
            return Err(Error::Verification(format!(
                "the update is {state} after loading, not applied"
            )));
        }
        report.functions = self
            .read(&file("functions"))?
            .lines()
            .map(str::to_owned)
            .collect();
        for name in NUMBERS {
            let value = self.read(&file(name))?.parse().unwrap_or_default();
            report.numbers.insert(name.to_owned(), value);
        }
        for function in &report.functions {
            self.log.line(&format!("replaced {function}"));
        }
        Ok(())
    }

    fn check(&self, expected: i32, when: &str, report: &mut GuestReport) -> Result<(), Error> {
        let Some(check) = &self.trial.check else {
            return Ok(());
        };
        let output = self.vm.run(&check.command, CHECK).map_err(rig)?;
        self.show(&output);
        let word = match output.code {
            FIXED => "fixed",
            VULNERABLE => "vulnerable",
            _ => "no answer",
        };
        self.log
            .line(&format!("check {when}: {word} (exit code {})", output.code));
        report.checks.push(output.code);
        if output.code == expected {
            return Ok(());
        }
        Err(Error::Verification(format!(
            "the check says {word} {when} (exit code {}, expected {expected})",
            output.code
        )))
    }

    fn must(&self, script: &str, limit: Duration) -> Result<Output, Error> {
        let output = self.vm.run(script, limit).map_err(rig)?;
        if output.success() {
            return Ok(output);
        }
        self.show(&output);
        for line in self.vm.kernel_problems() {
            self.log.line(&line);
        }
        Err(Error::Verification(format!(
            "`{script}` in the guest ended with exit code {}",
            output.code
        )))
    }

    fn read(&self, path: &str) -> Result<String, Error> {
        let output = self.must(&format!("cat {path}"), SHORT)?;
        Ok(output.text())
    }

    fn show(&self, output: &Output) {
        let text = output.all_text();
        if !text.is_empty() {
            self.log.line(&text);
        }
    }
}

/// What the virtual machine says: a guest that dies is the update's fault, a
/// rig that does not work is the worker's.
fn rig(error: resplice_vm::Error) -> Error {
    use resplice_vm::Error as Vm;
    match error {
        Vm::GuestPanicked { .. }
        | Vm::QemuExited { .. }
        | Vm::CommandTimedOut { .. }
        | Vm::CommandFailed { .. }
        | Vm::Unresponsive { .. } => Error::Verification(error.to_string()),
        _ => Error::internal("run the verification's virtual machine", error),
    }
}
