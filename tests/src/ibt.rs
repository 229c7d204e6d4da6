//! A machine whose processor has indirect branch tracking, which QEMU does not emulate
//! and Bochs does. Slow, and only for scripts: what they say is on the serial line.

use crate::programs::{run_ok, stdout};
use anyhow::{Context, Result, ensure};
use resplice_target::Target;
use std::path::Path;
use std::process::Command;

/// Seconds for boot and script; a quiet machine needs 40 for the first.
const LIMIT: &str = "400";
const BEGIN: &str = "=== begin";
const END: &str = "=== end";

const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
exec >/dev/ttyS0 2>&1 </dev/ttyS0
# What the kernel says goes to the log, not in between.
dmesg -n 1
echo "=== begin"; sh /root/script; dmesg | grep -E 'CET|ENDBR|BUG|resplice'; echo "=== end"
# The line is slower than the shell.
sleep 2; echo o > /proc/sysrq-trigger; sleep 60
"#;

const ISOLINUX: &str = "DEFAULT linux\nLABEL linux\n  KERNEL /vmlinuz\n  INITRD /initrd\n  APPEND console=ttyS0 quiet panic=-1\n";

/// Tiger Lake was the first with it.
const BOCHS: &str = "\
display_library: term
cpu: model=tigerlake, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=512, host=512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path=boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial.txt
log: bochs.log
panic: action=fatal
";

/// Boots a kernel, runs a script as root beside these files of `/root`, and returns what
/// it said, and behind it what the kernel's log has of the processor, of updates and of faults.
pub fn run(target: &Target, script: &str, files: &[(String, Vec<u8>)]) -> Result<String> {
    let work = tempfile::tempdir()?;
    let at = |name: &str| work.path().join(name);
    let root = at("root");
    for directory in ["bin", "dev", "proc", "sys", "root"] {
        std::fs::create_dir_all(root.join(directory))?;
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).context("busybox-static")?;
    std::fs::write(root.join("init"), INIT)?;
    run_ok(Command::new("chmod").arg("755").arg(root.join("init")))?;
    std::fs::write(root.join("root/script"), script)?;
    for (name, bytes) in files {
        std::fs::write(root.join("root").join(name), bytes)?;
    }
    write_disc(target, work.path())?;
    std::fs::write(at("bochsrc"), BOCHS)?;
    std::fs::write(at("commands"), "continue\n")?;
    // It wants a terminal to draw the machine's screen on.
    run_ok(
        Command::new("timeout")
            .current_dir(work.path())
            .env("TERM", "xterm")
            .args([LIMIT, "script", "--quiet", "--command"])
            .args(["bochs -q -f bochsrc -rc commands", "/dev/null"]),
    )
    .with_context(|| said(&at("serial.txt")))?;
    let said = said(&at("serial.txt"));
    let text = said
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END));
    ensure!(text.is_some(), "the machine did not get so far:\n{said}");
    Ok(text.unwrap_or_default().0.replace('\r', ""))
}

fn said(serial: &Path) -> String {
    let bytes = std::fs::read(serial).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A disc that the machine's firmware starts from: kernel, and an initramfs of `root`.
fn write_disc(target: &Target, work: &Path) -> Result<()> {
    let disc = work.join("disc");
    std::fs::create_dir_all(disc.join("isolinux"))?;
    std::fs::copy(target.bzimage(), disc.join("vmlinuz"))?;
    for file in [
        "/usr/lib/ISOLINUX/isolinux.bin",
        "/usr/lib/syslinux/modules/bios/ldlinux.c32",
    ] {
        let name = Path::new(file).file_name().unwrap_or_default();
        std::fs::copy(file, disc.join("isolinux").join(name)).context(file)?;
    }
    std::fs::write(disc.join("isolinux/isolinux.cfg"), ISOLINUX)?;
    let pack = "cd root && find . | cpio --quiet -o -H newc > ../disc/initrd";
    stdout(Command::new("sh").current_dir(work).args(["-ec", pack]))?;
    run_ok(
        Command::new("xorriso")
            .current_dir(work)
            .args(["-as", "mkisofs", "-quiet", "-o", "boot.iso"])
            .args(["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat"])
            .args(["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"])
            .arg("disc"),
    )?;
    Ok(())
}
