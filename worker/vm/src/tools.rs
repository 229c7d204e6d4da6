//! Programs of the host that the rig needs, and the libraries they need.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Finds `tool` in PATH and the system directories.
///
/// # Errors
/// [`Error::MissingTool`] naming the Debian package.
pub fn find(tool: &str, package: &'static str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(tool))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Error::MissingTool {
            tool: tool.to_owned(),
            package,
        })
}

/// Runs a helper and returns its stdout as text.
///
/// # Errors
/// [`Error::Tool`] if it cannot be started or fails.
pub fn text_of(tool: &Path, args: &[&str]) -> Result<String> {
    let failed = |status: String, stderr: &[u8]| Error::Tool {
        tool: format!("{} {}", tool.display(), args.join(" ")),
        status,
        stderr: tail(&String::from_utf8_lossy(stderr), 5),
    };
    let output = Command::new(tool)
        .args(args)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| failed("not started".to_owned(), error.to_string().as_bytes()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string(), &output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The shared libraries (with the dynamic loader) that `program` needs, as
/// absolute paths. Empty for a static program.
///
/// # Errors
/// [`Error::Tool`] if `ldd` fails, [`Error::Config`] if a library is missing.
pub fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    if !is_dynamic(program)? {
        return Ok(Vec::new());
    }
    let ldd = find("ldd", "libc-bin")?;
    let listing = text_of(&ldd, &[&program.to_string_lossy()])?;
    if let Some(line) = listing.lines().find(|line| line.contains("not found")) {
        return Err(Error::Config(format!(
            "{} needs a library the host lacks: {}",
            program.display(),
            line.trim()
        )));
    }
    Ok(listing
        .split_whitespace()
        .filter(|word| word.starts_with('/') && word.contains(".so"))
        .map(PathBuf::from)
        .collect())
}

/// Whether an ELF program names an interpreter (`PT_INTERP`).
fn is_dynamic(program: &Path) -> Result<bool> {
    let bytes = std::fs::read(program).map_err(Error::io("read", program))?;
    let half = |at: usize| {
        bytes
            .get(at..at + 2)
            .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))
    };
    if bytes.get(..5) != Some(b"\x7fELF\x02") {
        return Ok(false);
    }
    let (Some(size), Some(count)) = (half(54), half(56)) else {
        return Ok(false);
    };
    let Some(start) = bytes
        .get(32..40)
        .and_then(|b| <[u8; 8]>::try_from(b).ok())
        .and_then(|b| usize::try_from(u64::from_le_bytes(b)).ok())
    else {
        return Ok(false);
    };
    Ok((0..count).any(|i| {
        i.checked_mul(size)
            .and_then(|offset| offset.checked_add(start))
            .and_then(|at| bytes.get(at..)?.get(..4))
            == Some(&[3, 0, 0, 0])
    }))
}

/// The last `lines` lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
