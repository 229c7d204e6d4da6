//! What is known of patches from earlier runs, in a directory.

use super::attempt::Attempt;
use super::corpus::Patch;
use anyhow::{Context, Result, bail};
use resplice_target::Target;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Attempts by patch. One counts as long as nothing that it depends on changes:
/// the worker's program (which carries the kernel module's sources, unless
/// `$RESPLICE_KMOD` names others), the target, and the patch.
pub struct Record {
    directory: PathBuf,
    base: [u8; 32],
}

/// An attempt on disk, with a digest of all that it depends on.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    attempt: Attempt,
}

impl Record {
    /// Opens the directory's record for a worker and a target.
    ///
    /// # Errors
    /// If the worker's program can't be read.
    pub fn open(directory: &Path, worker: &Path, target: &Target) -> Result<Self> {
        let mut digest = Sha256::new();
        let program =
            std::fs::read(worker).with_context(|| format!("read {}", worker.display()))?;
        digest.update(Sha256::digest(program));
        digest.update(target.digest());
        if let Some(sources) = std::env::var_os("RESPLICE_KMOD") {
            let kmod = resplice_worker::kmod::Kmod::from_directory(Path::new(&sources))?;
            digest.update(kmod.digest());
        }
        Ok(Self {
            directory: directory.join("patches"),
            base: digest.finalize().into(),
        })
    }

    /// What came of a patch the last time, if nothing has changed since.
    pub fn known(&self, patch: &Patch) -> Option<Attempt> {
        let text = std::fs::read(self.place(patch).join("attempt.json")).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        (kept.key == self.key(patch).ok()?).then_some(kept.attempt)
    }

    /// Remembers what came of a patch.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn keep(&self, patch: &Patch, attempt: &Attempt) -> Result<()> {
        let kept = Kept {
            key: self.key(patch)?,
            attempt: attempt.clone(),
        };
        super::save_json(&self.place(patch), "attempt.json", &kept)
    }

    /// A patch's directory, emptied.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn fresh(&self, patch: &Patch) -> Result<PathBuf> {
        let place = self.place(patch);
        match std::fs::remove_dir_all(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("empty {}", place.display()));
            }
            _ => {}
        }
        std::fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
        Ok(place)
    }

    /// A patch's directory.
    pub fn place(&self, patch: &Patch) -> PathBuf {
        self.directory.join(&patch.name)
    }

    /// The package that was built of a patch.
    ///
    /// # Errors
    /// If there is none.
    pub fn package(&self, patch: &Patch) -> Result<PathBuf> {
        let place = self.place(patch);
        let list = || format!("list {}", place.display());
        for entry in std::fs::read_dir(&place).with_context(list)? {
            let path = entry.with_context(list)?.path();
            if path.extension().is_some_and(|end| end == "rspl") {
                return Ok(path);
            }
        }
        bail!("there is no package in {}", place.display())
    }

    fn key(&self, patch: &Patch) -> Result<String> {
        let mut digest = Sha256::new();
        digest.update(self.base);
        digest.update(Sha256::digest(patch.text()?));
        Ok(hex::encode(digest.finalize()))
    }
}
