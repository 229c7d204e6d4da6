//! The kernels' compiler, with the kernels' flags.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;

/// What tells pre and post from the reference object.
pub const SPLIT: [&str; 2] = ["-ffunction-sections", "-fdata-sections"];

/// Flags of Debian's 6.1 kernels that shape code or sections.
const KERNEL: &str = "-std=gnu11 -O2 -nostdinc -fno-strict-aliasing -fno-common -fshort-wchar \
    -fno-PIE -mno-sse -mno-mmx -mno-sse2 -mno-avx -fcf-protection=none -m64 -falign-jumps=1 \
    -falign-loops=1 -mno-80387 -mpreferred-stack-boundary=3 -mskip-rax-setup -mtune=generic \
    -mno-red-zone -mcmodel=kernel -fno-asynchronous-unwind-tables -mindirect-branch=thunk-extern \
    -mindirect-branch-register -mindirect-branch-cs-prefix -mfunction-return=thunk-extern \
    -fno-jump-tables -mharden-sls=all -fno-delete-null-pointer-checks -fno-allow-store-data-races \
    -fstack-protector-strong -ftrivial-auto-var-init=zero -fno-stack-clash-protection -pg \
    -mrecord-mcount -mfentry -fno-strict-overflow -fno-stack-check -fconserve-stack -ffreestanding \
    -Wall -Wno-unused -Werror";

/// Compiles a file.
pub fn compile(source: &Path, flags: &[&str], more: &[String]) -> Result<Vec<u8>, Failed> {
    let directory = tempfile::tempdir()?;
    let object = directory.path().join("unit.o");
    let header = Path::new("tests/cases/kernel.h");
    let output = Command::new("gcc-12")
        .args(KERNEL.split_whitespace())
        .args(flags)
        .args(more)
        .arg("-include")
        .arg(header)
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(&object)
        .output()
        .map_err(|e| format!("gcc-12: {e}; apt-get install gcc-12"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(std::fs::read(object)?)
}

/// What kmod/update brings into every module, in rough.
const FRAME: &str = "int __init init_module(void) { return 0; }\n\
    void __exit cleanup_module(void) { }\n";

/// Joins sections of one name, as kbuild does, with a module's frame in front.
pub fn link(object: &[u8]) -> Result<Vec<u8>, Failed> {
    let directory = tempfile::tempdir()?;
    let source = directory.path().join("frame.c");
    let frame = directory.path().join("frame.o");
    std::fs::write(&source, FRAME)?;
    std::fs::write(&frame, compile(&source, &[], &[])?)?;
    let (from, to) = (
        directory.path().join("in.o"),
        directory.path().join("out.o"),
    );
    std::fs::write(&from, object)?;
    let status = Command::new("ld")
        .arg("-r")
        .arg("-o")
        .arg(&to)
        .arg(&frame)
        .arg(&from)
        .status()?;
    if !status.success() {
        return Err("ld -r failed".into());
    }
    Ok(std::fs::read(to)?)
}
