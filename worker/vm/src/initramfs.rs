//! The guest's root: dash, busybox, kmod, drivers, `/init`, and the caller's files.

use crate::cpio::Archive;
use crate::error::{Error, Result};
use crate::files::{GuestFile, check_path};
use crate::modules::ModuleTree;
use crate::tools;
use std::path::Path;

const INIT: &[u8] = include_bytes!("guest/init.sh");
/// kmod's commands: busybox's insmod tries twice and hides the error.
const KMOD: [&str; 6] = ["insmod", "rmmod", "modprobe", "lsmod", "modinfo", "depmod"];
/// An initramfs above this would not leave a small guest room to work.
const MAX_BYTES: usize = 256 << 20;

/// What goes into an initramfs.
#[derive(Debug, Default, Clone)]
pub(crate) struct Contents<'a> {
    pub modules_dir: Option<&'a Path>,
    /// loaded at boot, with their dependencies
    pub load: &'a [String],
    /// there for `modprobe`
    pub available: &'a [String],
    pub files: &'a [GuestFile],
    pub hostname: &'a str,
    pub network: bool,
}

/// Builds the archive; the same contents give the same bytes.
pub(crate) fn build(contents: &Contents<'_>) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for dir in [
        "proc", "sys", "dev", "tmp", "run", "root", "mnt", "var/lib", "var/log", "etc",
    ] {
        archive.directory(dir);
    }
    // The kernel opens /dev/console before /init mounts devtmpfs.
    archive.character_device("dev/console", 0o600, 5, 1);
    archive.character_device("dev/null", 0o666, 1, 3);
    archive.file("init", 0o755, INIT);
    archive.file(
        "etc/hostname",
        0o644,
        format!("{}\n", contents.hostname).as_bytes(),
    );
    archive.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n::1 localhost\n");
    archive.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    );
    archive.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
    if contents.network {
        archive.file("etc/resplice-vm/network", 0o644, b"");
    }
    // Before busybox: a caller's program takes the place of an applet.
    for file in contents.files {
        check_path(&file.path)?;
        add(&mut archive, &file.path, file.mode, &file.contents);
    }
    shell(&mut archive)?;
    kmod(&mut archive)?;
    busybox(&mut archive)?;
    modules(&mut archive, contents)?;
    let bytes = archive.finish();
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooBig {
            what: "the guest's initramfs".to_owned(),
            bytes: bytes.len() as u64,
            limit: MAX_BYTES as u64,
        });
    }
    Ok(bytes)
}

fn add(archive: &mut Archive, path: &str, mode: u32, contents: &[u8]) {
    if !archive.contains(path) {
        archive.file(path, mode, contents);
    }
}

/// Busybox's own shell runs its applets without asking PATH, so that neither
/// kmod nor a caller's program would be found.
fn shell(archive: &mut Archive) -> Result<()> {
    let host = tools::find("dash", "dash")?;
    for file in GuestFile::program(&host, "/bin/dash")? {
        add(archive, &file.path, 0o755, &file.contents);
    }
    if !archive.contains("bin/sh") {
        archive.symlink("bin/sh", "/bin/dash");
    }
    Ok(())
}

fn busybox(archive: &mut Archive) -> Result<()> {
    let host = tools::find("busybox", "busybox-static")?;
    for file in GuestFile::program(&host, "/bin/busybox")? {
        add(archive, &file.path, 0o755, &file.contents);
    }
    for path in tools::text_of(&host, &["--list-full"])?.lines() {
        let applet = path.rsplit('/').next().unwrap_or(path);
        if !archive.contains(path) && !KMOD.contains(&applet) && applet != "init" {
            archive.symlink(path, "/bin/busybox");
        }
    }
    Ok(())
}

fn kmod(archive: &mut Archive) -> Result<()> {
    let host = tools::find("kmod", "kmod")?;
    for file in GuestFile::program(&host, "/bin/kmod")? {
        add(archive, &file.path, 0o755, &file.contents);
    }
    for name in KMOD {
        archive.symlink(&format!("sbin/{name}"), "/bin/kmod");
    }
    Ok(())
}

fn modules(archive: &mut Archive, contents: &Contents<'_>) -> Result<()> {
    let mut load_list = String::new();
    let mut available_list = String::new();
    if let Some(dir) = contents.modules_dir {
        let tree = ModuleTree::open(dir)?;
        let root = format!("lib/modules/{}", tree.release());
        let load = tree.closure(contents.load)?;
        let available = tree.closure(contents.available)?;
        for path in load.iter().chain(&available) {
            let module = tree.read(path)?;
            let place = format!("{root}/{}", module.path);
            let list = if load.contains(path) {
                &mut load_list
            } else {
                &mut available_list
            };
            if !archive.contains(&place) {
                list.push_str(&format!("/{place}\n"));
                archive.file(&place, 0o644, &module.bytes);
            }
        }
        for name in ["modules.builtin", "modules.order"] {
            if let Ok(bytes) = std::fs::read(dir.join(name)) {
                archive.file(&format!("{root}/{name}"), 0o644, &bytes);
            }
        }
    }
    archive.file("etc/resplice-vm/load", 0o644, load_list.as_bytes());
    archive.file(
        "etc/resplice-vm/available",
        0o644,
        available_list.as_bytes(),
    );
    Ok(())
}
