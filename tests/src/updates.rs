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

/// A key for modules and its certificate, as firmware and kernels know it.
pub fn module_key() -> Result<(PathBuf, PathBuf)> {
    let entry = directory().join("module-key");
    if !entry.exists() {
        std::fs::create_dir_all(directory())?;
        let fresh = tempfile::Builder::new().tempdir_in(directory())?;
        let made = fresh.path().join("made");
        std::fs::create_dir(&made)?;
        run_ok(
            Command::new("openssl")
                .args(["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes"])
                .args(["-days", "3650", "-subj", "/CN=Resplice test modules"])
                .args(["-addext", "keyUsage=digitalSignature"])
                .args(["-addext", "extendedKeyUsage=codeSigning"])
                .args(["-keyout", "key.pem", "-out", "certificate.pem"])
                .current_dir(&made),
        )?;
        // Somebody may have been quicker: then theirs counts.
        let _ = std::fs::rename(&made, &entry);
    }
    Ok((entry.join("key.pem"), entry.join("certificate.pem")))
}

/// Builds the update of a patch for a target, or takes it from the cache.
pub fn build(target: &Target, patch: &str) -> Result<Update> {
    build_superseding(target, patch, &[])
}

/// As [`build`], of an update that takes the place of others, by their ids in the kernel.
pub fn build_superseding(target: &Target, patch: &str, supersedes: &[&str]) -> Result<Update> {
    let words = supersedes.iter().flat_map(|id| ["--supersedes", id]);
    build_with(target, patch, &words.map(str::to_owned).collect::<Vec<_>>())
}

/// As [`build`], with its modules signed by [`module_key`].
pub fn build_signed(target: &Target, patch: &str) -> Result<Update> {
    let (key, certificate) = module_key()?;
    let word = |path: PathBuf| path.to_string_lossy().into_owned();
    let words = [
        "--module-key".to_owned(),
        word(key),
        "--module-cert".to_owned(),
        word(certificate),
    ];
    build_with(target, patch, &words)
}

fn build_with(target: &Target, patch: &str, words: &[String]) -> Result<Update> {
    let key = worker_key()?;
    let patch = patch_for(target, patch);
    let entry = directory().join(name(target, &patch, words)?);
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
                .args(words)
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

/// A patch as it is for the target's series: `tests/patches` has some again for a newer one.
fn patch_for(target: &Target, patch: &str) -> PathBuf {
    let patch = repository(patch);
    let named = patch.file_name().unwrap_or_default();
    let own = repository("tests/patches")
        .join(target.id().series())
        .join(named);
    if own.exists() { own } else { patch }
}

fn directory() -> PathBuf {
    Cache::from_env().root().join("tests")
}

fn name(target: &Target, patch: &Path, words: &[String]) -> Result<String> {
    let mut digest = Sha256::new();
    digest.update(Sha256::digest(std::fs::read(program("resplice-worker")?)?));
    digest.update(Sha256::digest(
        std::fs::read(patch).with_context(|| format!("read {}", patch.display()))?,
    ));
    digest.update(target.digest());
    for word in words {
        digest.update(word);
    }
    Ok(format!("{}.rspl", hex::encode(digest.finalize())))
}

fn built(directory: &Path) -> Result<PathBuf> {
    std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|end| end == "rspl"))
        .context("the worker wrote no package")
}
