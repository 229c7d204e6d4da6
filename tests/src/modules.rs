//! Kernel modules that only tests use.

use anyhow::{Context, Result, ensure};
use resplice_target::{Target, base_system};
use std::process::Command;

use crate::programs::run;
use crate::repository;

/// Builds a module of `tests/kmod` for a target and returns its bytes.
pub fn build(target: &Target, name: &str) -> Result<Vec<u8>> {
    let work = tempfile::tempdir()?;
    for entry in std::fs::read_dir(repository("tests/kmod"))? {
        let path = entry?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            std::fs::copy(&path, work.path().join(name))?;
        }
    }
    let recipe = target.module_build(work.path());
    let ended = run(Command::new("bwrap")
        .args(base_system())
        .args(recipe.bwrap_arguments(None)))?;
    ensure!(ended.code == 0, "building {name}.ko:\n{}", ended.text);
    let module = work.path().join(format!("{name}.ko"));
    std::fs::read(&module).with_context(|| format!("read {}", module.display()))
}
