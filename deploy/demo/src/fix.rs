//! Which patch the demo shows, with the program that tells whether it is in force.

use crate::service::output;
use anyhow::{Result, ensure};
use resplice_target::Target;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A patch of ours and its check.
pub struct Fix {
    /// One line for people.
    pub name: &'static str,
    /// CVE ids that it closes.
    pub cves: &'static [&'static str],
    /// File name of the patch.
    pub patch: &'static str,
    /// C source of the check.
    check: &'static str,
    /// Why this one is shown.
    pub why: &'static str,
}

const SEG6: Fix = Fix {
    name: "ipv6: check the segment routing header's length",
    cves: &["CVE-2026-72400"],
    patch: "seg6-srh-length.patch",
    check: "seg6-check.c",
    why: "this kernel reads a routing header before it knows its length",
};

const PIPE: Fix = Fix {
    name: "pipe: refuse a pipe of size zero",
    cves: &[],
    patch: "fallback/pipe-zero-size.patch",
    check: "fallback/pipe-check.c",
    why: "this kernel has the fix for CVE-2026-72400 already, so a change of our own is shown, which fixes no fault",
};

impl Fix {
    /// The first patch that this kernel does not have yet.
    pub fn choose(target: &Target) -> Result<Self> {
        if SEG6.applies(target)? {
            return Ok(SEG6);
        }
        ensure!(
            PIPE.applies(target)?,
            "neither {} nor {} applies to {}",
            SEG6.patch,
            PIPE.patch,
            target.id()
        );
        Ok(PIPE)
    }

    /// Where the patch lies.
    pub fn path(&self) -> PathBuf {
        folder().join(self.patch)
    }

    fn applies(&self, target: &Target) -> Result<bool> {
        let status = Command::new("patch")
            .args(["-p1", "--fuzz=0", "--dry-run", "--batch", "--forward", "-d"])
            .arg(target.source_dir())
            .stdin(File::open(self.path())?)
            .stdout(Stdio::null())
            .status()?;
        Ok(status.success())
    }

    /// Builds the check as a static program named `check`.
    pub fn compile_check(&self, data: &Path) -> Result<PathBuf> {
        let out = data.join("check");
        let mut gcc = Command::new("gcc-12");
        output(
            gcc.args(["-static", "-O2", "-o"])
                .arg(&out)
                .arg(folder().join(self.check)),
        )?;
        Ok(out)
    }
}

/// Several checkouts may share what is compiled: where this one is, who runs it says.
fn folder() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    here.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}
