//! Resplice's own programs, as a user runs them.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One of the programs, which are built beside the tests.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let found = here
        .ancestors()
        .skip(1)
        .take(3)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run the tests by `make test`"))
}

/// How a program ended.
pub struct Ended {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Stdout and stderr, one after the other.
    pub text: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Result<Ended> {
    let name = format!("{command:?}");
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {name}"))?;
    Ok(Ended {
        code: out.status.code().unwrap_or(-1),
        text: format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        ),
    })
}

/// Runs a command that must end well.
pub fn run_ok(command: &mut Command) -> Result<String> {
    let ended = run(command)?;
    if ended.code != 0 {
        bail!("{command:?} ended with {}:\n{}", ended.code, ended.text);
    }
    Ok(ended.text)
}

/// Runs a command that must end well; returns its stdout alone.
pub fn stdout(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {name}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{name} ended with {}:\n{said}", out.status);
    }
    String::from_utf8(out.stdout).with_context(|| format!("read what {name} says"))
}

/// Compiles a C program of the repository statically, for a guest.
pub fn compile(source: &Path, out: &Path) -> Result<()> {
    run_ok(
        Command::new("gcc-12")
            .args(["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([out, source]),
    )?;
    Ok(())
}
