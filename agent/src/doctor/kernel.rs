//! The kernel: the core module, and whether modules can be loaded at all.

use super::{Level, Place};
use crate::{agent::Agent, kernel::ABI};
use anyhow::{Context, Result};
use std::{fs, io::ErrorKind, path::Path};

pub fn core(agent: &Agent, _: &Place) -> Result<(Level, String)> {
    Ok(match agent.kernel.abi()?.as_deref() {
        Some(ABI) => (Level::Ok, format!("resplice.ko is loaded, interface {ABI}")),
        Some(abi) => (
            Level::Critical,
            format!(
                "resplice.ko speaks interface {abi}, this agent speaks {ABI}: undo all updates and unload resplice, or update the agent"
            ),
        ),
        None => (
            Level::Ok,
            "resplice.ko is not loaded: the first update brings it".to_owned(),
        ),
    })
}

pub fn modules(agent: &Agent, place: &Place) -> Result<(Level, String)> {
    let root = &place.root;
    let disabled = value(&root.join("proc/sys/kernel/modules_disabled"))?;
    if disabled.as_deref() == Some("1") {
        let words =
            "the kernel takes no more modules until it is restarted (kernel.modules_disabled)";
        return Ok((Level::Critical, words.to_owned()));
    }
    let enforced = value(&root.join("sys/module/module/parameters/sig_enforce"))?;
    let lockdown = value(&root.join("sys/kernel/security/lockdown"))?;
    let mode = lockdown.as_deref().and_then(chosen).unwrap_or("none");
    let why = match enforced.as_deref() {
        Some("Y") => "module signatures are enforced".to_owned(),
        _ if mode != "none" => format!("the kernel is in lockdown ({mode})"),
        _ => return Ok((Level::Ok, "modules need no signature".to_owned())),
    };
    Ok(match agent.kernel.abi()? {
        Some(_) => (Level::Ok, format!("{why}, and resplice.ko was accepted")),
        None => (
            Level::Warning,
            format!("{why}: the key that signs the modules must be enrolled here (MOK)"),
        ),
    })
}

/// The word in brackets.
fn chosen(text: &str) -> Option<&str> {
    Some(text.split_once('[')?.1.split_once(']')?.0)
}

/// A file's text; none if this kernel has no such file, or shows it to nobody.
fn value(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}
