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
        let directory = data.join("jobs");
        create_private_directory(&directory)?;
        make(&directory, &file).context("can't make the key that signs jobs")?;
        tracing::info!(file = %file.display(), "made the key that signs jobs");
    }
    let key = read(data)?;
    // Others may read it now: it is only written if that changes it.
    let (public, text) = (public_file(data), format!("{}\n", key.public()));
    if std::fs::read_to_string(&public).ok().as_ref() != Some(&text) {
        std::fs::write(&public, text)
            .with_context(|| format!("can't write {}", public.display()))?;
    }
    Ok(key)
}

/// Makes a key, or takes the one of another server that was faster.
fn make(directory: &Path, file: &Path) -> anyhow::Result<()> {
    let own = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(directory)?;
    let new = own.path().join("key");
    SecretKey::generate_file(&new)?;
    match std::fs::hard_link(&new, file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// Signs a lease for the worker that gets it.
pub(crate) fn sign(key: &SecretKey, lease: &mut Lease, worker: &str) {
    lease.signature = hex::encode(key.sign(lease.signed(worker).as_bytes()));
}
