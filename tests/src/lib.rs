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
use resplice_target::{Bars, Cache, Target, TargetId, TargetSpec};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use tempfile::NamedTempFile;

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

/// Changes with every list that apt fetches.
const APT_LISTS: &str = "/var/lib/apt/lists";

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
    let cache = Cache::from_env();
    Ok(Target::import(
        &cache,
        &resolve(&cache, &spec)?,
        &Bars::new(),
    )?)
}

/// What a name stands for, asked of apt once for each state of its lists: that takes two seconds, and every
/// test is a process of its own.
fn resolve(cache: &Cache, spec: &TargetSpec) -> Result<TargetId> {
    let lists = fs::metadata(APT_LISTS)
        .and_then(|lists| lists.modified())
        .with_context(|| format!("ask when {APT_LISTS} changed; run apt-get update"))?;
    let state = format!("{:?} ", lists.duration_since(UNIX_EPOCH)?);
    let directory = cache.root().join("tests/names");
    let path = directory.join(spec.to_string());
    let remembered = fs::read_to_string(&path).unwrap_or_default();
    if let Some(id) = remembered.strip_prefix(&state) {
        return id
            .parse()
            .with_context(|| format!("read {}", path.display()));
    }
    let id = resplice_target::resolve(spec)?;
    fs::create_dir_all(&directory)?;
    let mut file = NamedTempFile::new_in(&directory)?;
    write!(file, "{state}{id}")?;
    file.persist(&path)?;
    Ok(id)
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
