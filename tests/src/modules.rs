//! Kernel modules that only tests use.

use anyhow::{Context, Result, ensure};
use resplice_target::{Target, base_system};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::programs::run;
use crate::repository;

/// Builds a module of `tests/kmod` for a target and returns its bytes.
pub fn build(target: &Target, name: &str) -> Result<Vec<u8>> {
    let work = tempfile::tempdir()?;
    copy_files(&repository("tests/kmod"), work.path())?;
    make(target, work.path(), name)
}

/// Builds the core with `tests/kmod/faults` around it: the N-th call that can
/// fail does.
pub fn build_core_with_faults(target: &Target) -> Result<Vec<u8>> {
    let work = tempfile::tempdir()?;
    let at = |name: &str| work.path().join(name);
    copy_files(&repository("kmod/core"), work.path())?;
    copy_files(&repository("tests/kmod/faults"), work.path())?;
    std::fs::create_dir_all(at("include/resplice"))?;
    copy_files(&repository("kmod/include"), &at("include"))?;
    copy_files(
        &repository("kmod/include/resplice"),
        &at("include/resplice"),
    )?;
    let mut rules = std::fs::read_to_string(at("Kbuild"))?;
    // Not around update.c: what its includes define is in the version of its export.
    rules.push_str(
        "resplice-y += faults.o\n\
         ccflags-y += -I$(src)/include\n\
         around := $(filter-out update.o,$(resplice-y))\n\
         $(foreach object,$(around),$(eval CFLAGS_$(object) := -include $(src)/faults.h))\n",
    );
    std::fs::write(at("Kbuild"), rules)?;
    make(target, work.path(), "resplice")
}

/// Sources only: what was built beside them is of another kernel.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_source = matches!(name, "Kbuild" | "Makefile")
            || ((name.ends_with(".c") || name.ends_with(".h")) && !name.ends_with(".mod.c"));
        if is_source && path.is_file() {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn make(target: &Target, directory: &Path, name: &str) -> Result<Vec<u8>> {
    let recipe = target.module_build(directory);
    let ended = run(Command::new("bwrap")
        .args(base_system())
        .args(recipe.bwrap_arguments(None)))?;
    ensure!(ended.code == 0, "building {name}.ko:\n{}", ended.text);
    let module = directory.join(format!("{name}.ko"));
    std::fs::read(&module).with_context(|| format!("read {}", module.display()))
}
