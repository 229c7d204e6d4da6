//! Updates for the tests, built once by the real worker and kept in the cache.
//!
//! An entry's name is a digest of all that goes into it: the worker's binary
//! (which carries the kernel module's sources), the patch, and the target.

use crate::programs::{program, run_ok};
use crate::repository;
use anyhow::{Context, Result};
use resplice_package::{Package, PublicKey, SecretKey};
use resplice_target::{Cache, Target};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package that the tests' own worker key has signed.
pub struct Update {
    /// The package's bytes.
    pub bytes: Vec<u8>,
    /// Whose signature it bears.
    pub key: PublicKey,
}

impl Update {
    /// Opens the package as an agent does.
    pub fn open(&self) -> Result<Package> {
        Ok(Package::open(&self.bytes, &[self.key])?)
    }
}

/// The worker's key of the tests.
pub fn worker_key() -> Result<PathBuf> {
    let path = directory().join("worker.pem");
    if !path.exists() {
        std::fs::create_dir_all(directory())?;
        let fresh = tempfile::Builder::new().tempdir_in(directory())?;
        SecretKey::generate_file(&fresh.path().join("key"))?;
        // Somebody may have been quicker: then theirs counts.
        let _ = std::fs::hard_link(fresh.path().join("key"), &path);
    }
    Ok(path)
}

/// Builds the update of a patch for a target, or takes it from the cache.
pub fn build(target: &Target, patch: &str) -> Result<Update> {
    build_superseding(target, patch, &[])
}

/// As [`build`], of an update that takes the place of others, by their ids in the kernel.
pub fn build_superseding(target: &Target, patch: &str, supersedes: &[&str]) -> Result<Update> {
    let key = worker_key()?;
    let patch = repository(patch);
    let entry = directory().join(name(target, &patch, supersedes)?);
    if !entry.exists() {
        let work = tempfile::Builder::new().tempdir_in(directory())?;
        run_ok(
            Command::new(program("resplice-worker")?)
                .args(["build", "--no-verify", "--target"])
                .arg(target.id().to_string())
                .arg("--patch")
                .arg(&patch)
                .arg("--key")
                .arg(&key)
                .args(supersedes.iter().flat_map(|id| ["--supersedes", id]))
                .arg("--out")
                .arg(work.path()),
        )?;
        std::fs::rename(built(work.path())?, &entry)?;
    }
    Ok(Update {
        bytes: std::fs::read(&entry)?,
        key: SecretKey::load(&key)?.public(),
    })
}

fn directory() -> PathBuf {
    Cache::from_env().root().join("tests")
}

fn name(target: &Target, patch: &Path, supersedes: &[&str]) -> Result<String> {
    let mut digest = Sha256::new();
    digest.update(Sha256::digest(std::fs::read(program("resplice-worker")?)?));
    digest.update(Sha256::digest(
        std::fs::read(patch).with_context(|| format!("read {}", patch.display()))?,
    ));
    digest.update(target.digest());
    for id in supersedes {
        digest.update(id);
    }
    Ok(format!("{}.rspl", hex::encode(digest.finalize())))
}

fn built(directory: &Path) -> Result<PathBuf> {
    std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|end| end == "rspl"))
        .context("the worker wrote no package")
}
