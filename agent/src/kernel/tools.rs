//! `insmod` and `rmmod`, and the files they load.

use anyhow::{Context, Result, bail};
use rustix::fs::{MemfdFlags, memfd_create};
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Most bytes of a tool's complaint that are kept.
const MAX_STDERR_BYTES: u64 = 2000;
const TOOL_DIRS: [&str; 4] = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"];

/// What to do about a tool's complaint.
#[must_use]
pub fn hint(stderr: &str) -> &'static str {
    let has = |text: &str| stderr.to_ascii_lowercase().contains(text);
    if has("key was rejected") || has("required key") {
        " (this host only takes signed modules: enrol the signing key in its MOK list)"
    } else if has("not permitted") || has("permission denied") {
        " (run as root; on a host in lockdown the modules must be signed)"
    } else {
        ""
    }
}

/// A module file that is removed again.
pub struct ModuleFile {
    /// Where it is.
    pub path: PathBuf,
}

impl ModuleFile {
    /// Writes a module into a private directory.
    pub fn write(dir: &Path, name: &str, module: &[u8]) -> Result<Self> {
        let path = dir.join(format!("{name}.ko"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("can't remove {}", path.display()));
            }
            _ => {}
        }
        let file = Self { path };
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file.path)
            .and_then(|mut out| out.write_all(module))
            .with_context(|| format!("can't write {}", file.path.display()))?;
        Ok(file)
    }
}

impl Drop for ModuleFile {
    fn drop(&mut self) {
        // A left-over is private, and removed when the agent comes up again.
        let _ = fs::remove_file(&self.path);
    }
}

/// `insmod` or `rmmod`, or `kmod` in their place.
pub fn tool(chosen: Option<&Path>, name: &str) -> Result<Command> {
    let find = |name: &str| {
        TOOL_DIRS
            .iter()
            .map(|dir| Path::new(dir).join(name))
            .find(|p| p.is_file())
    };
    let mut command = if let Some(path) = chosen {
        Command::new(path)
    } else if let Some(path) = find(name) {
        Command::new(path)
    } else if let Some(path) = find("kmod") {
        let mut command = Command::new(path);
        command.arg(name);
        command
    } else {
        bail!(
            "there is no {name} in {}: install the package kmod",
            TOOL_DIRS.join(", ")
        );
    };
    command
        .env_clear()
        .env("PATH", TOOL_DIRS.join(":"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}

/// Runs a tool; whether it succeeded, and what it complained of.
///
/// Its complaints go into a file in memory. Whoever waits for a pipe sleeps in the
/// kernel's `pipe_read`, and would be in the way of an update of that.
pub fn run(mut command: Command) -> Result<(bool, String)> {
    let mut complaints = memfd_create("complaints", MemfdFlags::CLOEXEC)
        .map(File::from)
        .context("can't make a file in memory for a tool's complaints")?;
    let status = complaints
        .try_clone()
        .and_then(|file| command.stderr(file).status())
        .with_context(|| format!("can't run {}", command.get_program().display()))?;
    let mut bytes = Vec::new();
    complaints
        .rewind()
        .and_then(|()| {
            let mut start = (&mut complaints).take(MAX_STDERR_BYTES);
            start.read_to_end(&mut bytes)
        })
        .with_context(|| {
            let tool = command.get_program().display();
            format!("can't read what {tool} complained of")
        })?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    let text = match status.code() {
        Some(_) if !text.is_empty() => text,
        Some(code) => format!("it ended with exit code {code}"),
        None => "it was killed".to_owned(),
    };
    Ok((status.success(), text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn complaints_come_with_a_remedy() {
        assert!(hint("insmod: Key was rejected by service").contains("MOK"));
        assert!(hint("Operation not permitted").contains("root"));
        assert_eq!(hint("Invalid module format"), "");
    }
}
