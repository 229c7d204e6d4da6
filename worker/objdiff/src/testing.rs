//! Small objects for tests, made by the compiler and assembler of the kernels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

fn build(extension: &str, source: &str, flags: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join(format!("unit.{extension}"));
    let output = dir.path().join("unit.o");
    std::fs::write(&input, source).unwrap();
    let status = Command::new("gcc-12")
        .args(flags)
        .arg("-c")
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .status()
        .expect("gcc-12 is needed by these tests: apt-get install gcc-12");
    assert!(status.success());
    std::fs::read(output).unwrap()
}

/// Assembles x86-64 source.
pub fn assemble(source: &str) -> Vec<u8> {
    build("s", source, &[])
}

/// Compiles C with flags like the kernel's.
pub fn compile(source: &str, more: &[&str]) -> Vec<u8> {
    let mut flags = vec![
        "-O2",
        "-mcmodel=kernel",
        "-fno-pic",
        "-mno-sse",
        "-ffreestanding",
        "-fno-asynchronous-unwind-tables",
        "-fcf-protection=none",
        "-mno-red-zone",
        "-fno-stack-protector",
    ];
    flags.extend_from_slice(more);
    build("c", source, &flags)
}

/// Links objects with `ld` and these flags.
pub fn link(objects: &[&[u8]], flags: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("linked");
    let mut command = Command::new("ld");
    command.args(flags).arg("-o").arg(&output);
    for (index, object) in objects.iter().enumerate() {
        let path = dir.path().join(format!("{index}.o"));
        std::fs::write(&path, object).unwrap();
        command.arg(path);
    }
    assert!(
        command
            .status()
            .expect("ld (binutils) is needed by these tests")
            .success()
    );
    std::fs::read(output).unwrap()
}
