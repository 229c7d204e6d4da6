//! What follows from a machine's description: its QEMU.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::machine::{GUEST_SERVER_ADDRESS, Machine};
use crate::qemu::{self, Qemu, STATE_FILE_ENV};
use crate::scratch::Scratch;
use crate::tools;
use crate::vm::Vm;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Always on the kernel's command line. A panic ends the machine at once.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 tsc=reliable no_timer_check quiet";
/// Raise when the arguments below change in a way that snapshots depend on.
const SHAPE: &str = "resplice-vm shape 1";

/// A machine whose inputs have been checked and built.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub machine: Machine,
    pub kernel: PathBuf,
    pub initramfs: Vec<u8>,
}

impl Prepared {
    /// Boots from nothing.
    pub fn boot(&self) -> Result<Vm> {
        let vm = self.start(&self.arguments()?, None)?;
        vm.await_ready(self.machine.boot_timeout)?;
        Ok(vm)
    }

    /// Boots a machine whose state is to be saved to the file `state`.
    pub fn boot_for(&self, state: &Path) -> Result<Vm> {
        let vm = self.start(&self.arguments()?, Some(state))?;
        vm.await_ready(self.machine.boot_timeout)?;
        Ok(vm)
    }

    /// Continues from a state file.
    pub fn resume(&self, state: &Path) -> Result<Vm> {
        let mut arguments = self.arguments()?;
        arguments.push("-incoming".into());
        arguments.push(format!("exec:cat \"${STATE_FILE_ENV}\"").into());
        let vm = self.start(&arguments, Some(state))?;
        vm.resumed(self.machine.boot_timeout)?;
        Ok(vm)
    }

    /// What a snapshot of this machine depends on, as hex SHA-256.
    pub fn snapshot_key(&self) -> Result<String> {
        if self.machine.firmware.is_some() {
            return Err(Error::Config(
                "a machine with firmware has no snapshot: boot it".to_owned(),
            ));
        }
        let kernel = std::fs::read(&self.kernel).map_err(Error::io("read kernel", &self.kernel))?;
        let machine = &self.machine;
        let description = serde_json::json!([
            SHAPE,
            qemu::version()?,
            hex::encode(Sha256::digest(&kernel)),
            hex::encode(Sha256::digest(&self.initramfs)),
            machine.cpu,
            machine.cpus,
            machine.in_turn,
            machine.memory_mib,
            self.command_line(),
            machine.host_port.is_some(),
            machine.kept.is_some(),
        ]);
        Ok(hex::encode(Sha256::digest(
            description.to_string().as_bytes(),
        )))
    }

    fn command_line(&self) -> String {
        let mut words = COMMAND_LINE.to_owned();
        for word in &self.machine.append {
            words.push(' ');
            words.push_str(word);
        }
        words
    }

    fn start(&self, arguments: &[OsString], state: Option<&Path>) -> Result<Vm> {
        let scratch = Scratch::create()?;
        let path = scratch.join("initramfs");
        std::fs::write(&path, &self.initramfs).map_err(Error::io("write", &path))?;
        if let Some(firmware) = &self.machine.firmware {
            firmware.copy_variables(&scratch)?;
        }
        let disk = Disk::create(&scratch.join("exchange.img"))?;
        let log = self.machine.console_log.as_deref();
        let started = Qemu::start(arguments, &scratch, state, log)?;
        Vm::assemble(scratch, started, disk)
    }

    /// File names are relative to the scratch directory, where QEMU runs.
    fn arguments(&self) -> Result<Vec<OsString>> {
        let machine = &self.machine;
        let cpus = machine.cpus.to_string();
        let memory = format!("{}M", machine.memory_mib);
        let line = self.command_line();
        let mut words: Vec<OsString> = [
            "-accel",
            if machine.in_turn {
                "tcg,thread=single"
            } else {
                "tcg,thread=multi"
            },
            "-machine",
            "pc",
            "-cpu",
            &machine.cpu,
            "-smp",
            &cpus,
            "-m",
            &memory,
            "-display",
            "none",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-name",
            "resplice-vm",
            "-chardev",
            "stdio,id=console,signal=off",
            "-serial",
            "chardev:console",
            "-chardev",
            "socket,id=command,path=command.sock",
            "-serial",
            "chardev:command",
            "-chardev",
            "socket,id=monitor,path=monitor.sock",
            "-mon",
            "chardev=monitor,mode=control",
            "-drive",
            "if=none,id=exchange,format=raw,cache=unsafe,file=exchange.img,file.locking=off",
            "-device",
            "virtio-blk-pci,drive=exchange,addr=4",
            "-initrd",
            "initramfs",
            "-append",
            &line,
        ]
        .map(OsString::from)
        .to_vec();
        if let Some(port) = machine.host_port {
            words.extend(network(port)?);
        }
        if let Some(file) = &machine.kept {
            words.extend(kept_disk(file)?);
        }
        if let Some(firmware) = &machine.firmware {
            words.extend(firmware.arguments()?);
        }
        words.push("-kernel".into());
        words.push(self.kernel.clone().into_os_string());
        Ok(words)
    }
}

/// A network in which one port of this machine can be reached.
fn network(port: u16) -> Result<[OsString; 4]> {
    let busybox = escape(&tools::find("busybox", "busybox-static")?);
    let netdev = format!(
        "user,id=net,restrict=on,ipv6=off,\
         guestfwd=tcp:{GUEST_SERVER_ADDRESS}-cmd:{busybox} nc 127.0.0.1 {port}"
    );
    Ok([
        "-netdev".into(),
        netdev.into(),
        "-device".into(),
        "virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,romfile=,addr=5".into(),
    ])
}

/// A disk whose flushes are left out: this machine does not lose its power.
fn kept_disk(file: &Path) -> Result<[OsString; 4]> {
    let file = escape(&file.canonicalize().map_err(Error::io("find disk", file))?);
    let drive = format!("if=none,id=kept,format=raw,cache=unsafe,file={file}");
    Ok([
        "-drive".into(),
        drive.into(),
        "-device".into(),
        "virtio-blk-pci,drive=kept,addr=6".into(),
    ])
}

/// A path within one of QEMU's comma-separated arguments.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}
