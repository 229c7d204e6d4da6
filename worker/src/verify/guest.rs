//! Applying an update to the stock kernel, in a virtual machine.

use super::{Check, idle::without_init};
use crate::{Error, log::Log};
use resplice_package::{LoadReport, Package};
use resplice_target::Target;
use resplice_vm::{GuestFile, Machine, Output, SnapshotCache, Vm, quote};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path, time::Duration};

/// For a module to load, match and apply.
const LOAD: Duration = Duration::from_secs(120);
/// For an update's own check.
const CHECK: Duration = Duration::from_secs(120);
/// For modules to be found and loaded: a large driver takes its time, emulated.
const MODPROBE: Duration = Duration::from_secs(120);
/// Room for a large driver and the match data of many units beside it.
const MEMORY_MIB: u32 = 1024;
/// For everything else.
const SHORT: Duration = Duration::from_secs(30);
/// What the core says in numbers of a whole update, under `updates/ID/`.
const NUMBERS: [&str; 3] = ["pause_ns", "work_ns", "attempts"];
/// What it says in bytes of a part.
const BYTES: &str = "bytes";
/// The kernel itself, as an object.
const VMLINUX: &str = "vmlinux";
/// Exit codes of a check.
const FIXED: i32 = 0;
const VULNERABLE: i32 = 1;

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The update's id in the kernel.
    pub id: String,
    /// `resplice.ko`.
    pub core: Vec<u8>,
    /// The update's parts, by number.
    pub parts: Vec<TrialPart>,
    /// The update's own check.
    pub check: Option<Check>,
    /// QEMU's CPU model.
    pub cpu: String,
}

/// One part of what is to be tried.
#[derive(Debug, Clone)]
pub struct TrialPart {
    /// The module's name.
    pub name: String,
    /// `vmlinux`, or the module that it patches.
    pub object: String,
    /// `<name>.ko`.
    pub module: Vec<u8>,
}

impl Trial {
    /// A finished package, without a check.
    ///
    /// # Errors
    /// If a member is missing.
    pub fn of_package(package: &Package, cpu: &str) -> Result<Self, Error> {
        let missing = |error| Error::internal("read the package", error);
        let parts = package.parts().map_err(missing)?;
        let parts = parts.into_iter().map(|part| TrialPart {
            name: part.name,
            object: part.object.to_owned(),
            module: part.bytes.to_vec(),
        });
        Ok(Self {
            id: package.manifest().id.clone(),
            core: package.core_module().map_err(missing)?.to_vec(),
            parts: parts.collect(),
            check: None,
            cpu: cpu.to_owned(),
        })
    }

    /// The modules that are patched; they are loaded first, with what they
    /// depend on.
    fn patched_modules(&self) -> Vec<String> {
        let objects = self.parts.iter().map(|part| part.object.clone());
        objects.filter(|object| object != VMLINUX).collect()
    }
}

/// What the guest's kernel made of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GuestReport {
    /// QEMU's CPU model.
    pub cpu: String,
    /// Whether the patched modules could be loaded.
    pub modules_loaded: bool,
    /// Those whose init was left out, since it fails without its hardware.
    pub idle_modules: Vec<String>,
    /// Whether the kernel took the update.
    pub applied: bool,
    /// Whether it was undone and unloaded.
    pub undone: bool,
    /// Whether the kernel's log was clean after that.
    pub log_clean: bool,
    /// Lines `name unit old_addr size -> new_addr size`.
    pub functions: Vec<String>,
    /// The core's reports on the loads.
    pub report: String,
    /// `pause_ns`, `work_ns`, `attempts`; `bytes` of all parts together.
    pub numbers: BTreeMap<String, u64>,
    /// Exit codes of the check: before, with the update, after undo.
    pub checks: Vec<i32>,
}

/// Applies and undoes an update in the target's stock kernel; `report` is
/// filled in as far as it comes. Blocks: from async code, use it under
/// `spawn_blocking`.
///
/// # Errors
/// [`Error::Verification`] if the update does not hold what it promises;
/// [`Error::Internal`] if the machine can't be run.
pub fn in_guest(
    target: &Target,
    cache: &Path,
    trial: &Trial,
    log: &Log,
    report: &mut GuestReport,
) -> Result<(), Error> {
    let machine = Machine::new(target.bzimage())
        .modules_dir(target.modules_dir())
        .memory_mib(MEMORY_MIB)
        .cpu(&trial.cpu);
    // Not in the machine from the start: so all updates share one snapshot.
    let modules = match trial.patched_modules().as_slice() {
        [] => Vec::new(),
        names => machine.module_files(names).map_err(rig)?,
    };
    log.line(&format!(
        "booting {} with -cpu {}",
        target.release(),
        trial.cpu
    ));
    let vm = machine.restore(&SnapshotCache::new(cache)).map_err(rig)?;
    report.cpu.clone_from(&trial.cpu);
    let guest = Guest { vm, trial, log };
    guest.run(modules, report)
}

struct Guest<'a> {
    vm: Vm,
    trial: &'a Trial,
    log: &'a Log,
}

impl Guest<'_> {
    fn run(&self, modules: Vec<GuestFile>, report: &mut GuestReport) -> Result<(), Error> {
        let id = &self.trial.id;
        self.push(&modules)?;
        self.load_modules(&modules, report)?;
        report.modules_loaded = true;
        self.check(VULNERABLE, "before the update", report)?;
        self.must("insmod /job/resplice.ko", LOAD)?;
        self.apply(report)?;
        report.applied = true;
        self.check(FIXED, "with the update", report)?;
        self.must(
            &format!("echo 0 > /sys/kernel/resplice/updates/{id}/enabled"),
            LOAD,
        )?;
        self.all_are("undone", "after undo")?;
        self.check(VULNERABLE, "after undo", report)?;
        // What others may hold addresses of stays loaded, and with it the core.
        let mut stays = false;
        for part in self.trial.parts.iter().rev() {
            let name = &part.name;
            let flag = format!("cat /sys/kernel/resplice/updates/{name}/stays");
            if self.must(&flag, SHORT)?.text().trim() == "1" {
                stays = true;
            } else {
                self.must(&format!("rmmod {name}"), SHORT)?;
            }
        }
        if !stays {
            self.must("rmmod resplice", SHORT)?;
        }
        report.undone = true;
        let problems = self.vm.kernel_problems();
        if let Some(first) = problems.first() {
            for line in &problems {
                self.log.line(line);
            }
            return Err(Error::Verification(format!(
                "the kernel complained: {first}"
            )));
        }
        report.log_clean = true;
        self.log.line("undone; the kernel's log is clean");
        Ok(())
    }

    /// What a driver without its hardware says as it is loaded is not the
    /// update's fault: the log is judged from here on.
    fn load_modules(&self, files: &[GuestFile], report: &mut GuestReport) -> Result<(), Error> {
        let modules = self.trial.patched_modules();
        if modules.is_empty() {
            return Ok(());
        }
        self.must("depmod", MODPROBE)?;
        let names: Vec<String> = modules.iter().map(|name| quote(name)).collect();
        let script = format!("modprobe -a {}", names.join(" "));
        let output = self.vm.run(&script, MODPROBE).map_err(rig)?;
        if !output.success() {
            self.show(&output);
            self.load_idle(files, report)?;
        }
        for line in self.vm.kernel_problems() {
            self.log.line(&format!("before the update: {line}"));
        }
        self.must("dmesg -c >/dev/null", SHORT)?;
        Ok(())
    }

    /// Loads what modprobe could not, without what would look for hardware; so
    /// also what depends on such a module, which would find it unprepared.
    fn load_idle(&self, files: &[GuestFile], report: &mut GuestReport) -> Result<(), Error> {
        for file in files {
            let name = module_name(&file.path);
            let loaded = format!("grep -q '^{name} ' /proc/modules");
            if self.vm.run(&loaded, SHORT).map_err(rig)?.success() {
                continue;
            }
            let idle = without_init(&file.contents)
                .map_err(|error| Error::internal(format!("read the module {name}"), error))?;
            let path = format!("/job/idle/{name}.ko");
            self.vm
                .push(&[GuestFile::new(&path, 0o644, idle)])
                .map_err(rig)?;
            self.must(&format!("insmod {path}"), MODPROBE)?;
            self.log.line(&format!(
                "{name} is loaded without its init: its hardware is not here"
            ));
            report.idle_modules.push(name);
        }
        Ok(())
    }

    fn push(&self, modules: &[GuestFile]) -> Result<(), Error> {
        let mut files = modules.to_vec();
        files.push(GuestFile::new(
            "/job/resplice.ko",
            0o644,
            self.trial.core.clone(),
        ));
        files.extend(self.trial.parts.iter().map(|part| {
            GuestFile::new(format!("/job/{}.ko", part.name), 0o644, part.module.clone())
        }));
        files.extend(
            self.trial
                .check
                .iter()
                .flat_map(|check| check.files().iter().cloned()),
        );
        self.vm.push(&files).map_err(rig)
    }

    /// Loads all parts; with the last one, all of them go in.
    fn apply(&self, report: &mut GuestReport) -> Result<(), Error> {
        for part in &self.trial.parts {
            let load = format!("insmod /job/{}.ko", part.name);
            let output = self.vm.run(&load, LOAD).map_err(rig)?;
            let said = self.read("/sys/kernel/resplice/report")?;
            self.log.line(said.trim_end());
            if !output.success() {
                self.show(&output);
                return Err(Error::Verification(complaint(&said, &part.object)));
            }
            report.report.push_str(&said);
            report.report.push('\n');
        }
        self.all_are("applied", "after loading")?;
        let mut bytes = 0;
        for part in &self.trial.parts {
            let functions = self.read(&file(&part.name, "functions"))?;
            for function in functions.lines() {
                self.log.line(&format!("replaced {function}"));
                report.functions.push(function.to_owned());
            }
            bytes += self.number(&part.name, BYTES)?;
        }
        report.numbers.insert(BYTES.to_owned(), bytes);
        for name in NUMBERS {
            let value = self.number(&self.trial.id, name)?;
            report.numbers.insert(name.to_owned(), value);
        }
        Ok(())
    }

    fn all_are(&self, expected: &str, when: &str) -> Result<(), Error> {
        for part in &self.trial.parts {
            let state = self.read(&file(&part.name, "state"))?;
            if state != expected {
                return Err(Error::Verification(format!(
                    "the part for {} is {state} {when}, not {expected}",
                    part.object
                )));
            }
        }
        Ok(())
    }

    fn number(&self, part: &str, name: &str) -> Result<u64, Error> {
        let path = file(part, name);
        let text = self.read(&path)?;
        text.parse()
            .map_err(|_| Error::Verification(format!("{path} holds no number, but {text:?}")))
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

/// What the core says of a part.
fn file(part: &str, name: &str) -> String {
    format!("/sys/kernel/resplice/updates/{part}/{name}")
}

/// Why a part was not taken, by the core's report; the module loader itself says nothing there.
fn complaint(report: &str, object: &str) -> String {
    match LoadReport::parse(report).reason() {
        Some(reason) => format!("{reason} (the stock kernel does not take the part for {object})"),
        None => format!("load: the stock kernel does not load the part for {object}"),
    }
}

/// `/lib/modules/R/kernel/arch/x86/kvm/kvm-intel.ko` is `kvm_intel` to the kernel.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".ko").unwrap_or(file).replace('-', "_")
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
