//! What the tests that cross components share: stock kernels, updates built by
//! the real worker, and guests that run them.
#![forbid(unsafe_code)]

pub mod engine;
pub mod eval;
pub mod guest;
pub mod host;
pub mod ibt;
pub mod livepatch;
pub mod modules;
pub mod programs;
pub mod seg6;
pub mod service;
pub mod torture;
pub mod updates;

use anyhow::{Context, Result};
use resplice_target::{Bars, Cache, Target};
use std::path::{Path, PathBuf};

/// The kernel that most tests use: the oldest one of the archive's cloud flavour.
pub const CLOUD: &str = "debian:oldest-cloud";
/// The same version, other flavour.
pub const AMD64: &str = "debian:oldest-amd64";
/// Another ABI of the same flavour.
pub const OTHER_ABI: &str = "debian:latest-cloud";

/// The next series, by the same distribution.
pub const NEWER: &str = "debian:latest-6.12-cloud";

/// If it is set, the tests of [`CLOUD`] run on [`debug_kernel`].
const DEBUG: &str = "RESPLICE_DEBUG_KERNEL";
/// If it is set, they run on the target that it names.
const OTHER: &str = "RESPLICE_OTHER_KERNEL";

/// Imports a target into the cache, or opens it there.
pub fn target(spec: &str) -> Result<Target> {
    if spec == CLOUD && std::env::var_os(DEBUG).is_some() {
        return debug_kernel();
    }
    if spec == CLOUD
        && let Ok(other) = std::env::var(OTHER)
    {
        return import(&other);
    }
    import(spec)
}

/// A small kernel that watches over memory, locks and sleepers, of the same source as [`CLOUD`].
pub fn debug_kernel() -> Result<Target> {
    let config = repository("tests/kernels/debug.config");
    Ok(import(CLOUD)?.build_own(&config, &Bars::new())?)
}

fn import(spec: &str) -> Result<Target> {
    let spec = spec
        .parse()
        .with_context(|| format!("read the target {spec}"))?;
    let id = resplice_target::resolve(&spec)?;
    Ok(Target::import(&Cache::from_env(), &id, &Bars::new())?)
}

/// Where in a function its jump goes: behind the tracer's slot, and the endbr that newer
/// kernels have in front of that.
pub fn jump_offset(target: &Target) -> u32 {
    if target.id().series() == "6.1" { 5 } else { 9 }
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    // Several checkouts may share what is compiled, so that what was true then
    // counts only for who is not run by cargo.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).join("..").join(path)
}
