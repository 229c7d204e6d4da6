//! The key that signs what workers are to build. A worker knows its public half
//! from its own settings: whoever stands between, or in the server's place, can
//! give it no job.

use crate::app::create_private_directory;
use anyhow::Context;
use resplice_api::Lease;
use resplice_package::SecretKey;
use std::path::{Path, PathBuf};

/// Where the private half lies.
fn private_file(data: &Path) -> PathBuf {
    data.join("jobs").join("key")
}

/// Where the public half lies, for workers of this machine.
#[must_use]
pub fn public_file(data: &Path) -> PathBuf {
    data.join("jobs").join("key.pub")
}

/// Reads the key.
///
/// # Errors
/// If it is missing, or no key, or others can read it.
pub fn read(data: &Path) -> anyhow::Result<SecretKey> {
    let file = private_file(data);
    let error = || format!("can't read the key that signs jobs, {}", file.display());
    SecretKey::load(&file).with_context(error)
}

/// Opens the key, or makes one.
pub(crate) fn open(data: &Path) -> anyhow::Result<SecretKey> {
    let file = private_file(data);
    if !file.exists() {
        create_private_directory(&data.join("jobs"))?;
        SecretKey::generate_file(&file).context("can't make the key that signs jobs")?;
        tracing::info!(file = %file.display(), "made the key that signs jobs");
    }
    let key = read(data)?;
    let public = public_file(data);
    std::fs::write(&public, format!("{}\n", key.public()))
        .with_context(|| format!("can't write {}", public.display()))?;
    Ok(key)
}

/// Signs a lease for the worker that gets it.
pub(crate) fn sign(key: &SecretKey, lease: &mut Lease, worker: &str) {
    lease.signature = hex::encode(key.sign(lease.signed(worker).as_bytes()));
}
