//! The packages on disk.

use super::Agent;
use crate::{
    journal::{By, Entry, State},
    state::replace,
};
use anyhow::{Context, Result, ensure};
use resplice_package::MAX_PACKAGE_BYTES;
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

impl Agent {
    /// Notes that a package is in the cache.
    ///
    /// # Errors
    /// If cache or journal can't be written.
    pub fn store_package(&mut self, update: &str, bytes: &[u8], by: By) -> Result<()> {
        let sha256 = resplice_package::sha256_hex(bytes);
        replace(&self.state.package(&sha256), bytes)?;
        let mut entry = Entry::new(update, State::Downloaded, by);
        entry.package = Some(sha256);
        self.journal.append(entry)?;
        Ok(())
    }

    /// A package from the cache; none if it is not there.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn cached_package(&self, sha256: &str) -> Result<Option<Vec<u8>>> {
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        ensure!(is_digest, "{sha256:?} is not a sha256");
        let path = self.state.package(sha256);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read_package(&path)?;
        // A damaged cache is no reason to fail: it is fetched again.
        Ok((resplice_package::sha256_hex(&bytes) == sha256).then_some(bytes))
    }

    /// Removes cached packages that no update in effect or in progress needs, and
    /// that are not in `planned`.
    ///
    /// # Errors
    /// If the cache can't be listed.
    pub fn prune_packages(&self, planned: &[&str]) -> Result<()> {
        let records = self.journal.records();
        let keep: Vec<&str> = records
            .values()
            .filter(|r| {
                !matches!(
                    r.last.state,
                    State::Undone | State::Refused | State::Quarantined
                )
            })
            .filter_map(|record| record.package.as_deref())
            .collect();
        for entry in fs::read_dir(self.state.packages())? {
            let path = entry?.path();
            let name = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            if !keep.contains(&name) && !planned.contains(&name) {
                fs::remove_file(&path)
                    .with_context(|| format!("can't remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Reads a package file, with its limit.
///
/// # Errors
/// If it can't be read or is larger than a package may be.
pub fn read_package(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("can't open the package {shown}"))?;
    ensure!(
        file.metadata()?.is_file(),
        "the package {shown} is not a file"
    );
    let mut bytes = Vec::new();
    file.take(MAX_PACKAGE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("can't read the package {shown}"))?;
    ensure!(
        bytes.len() <= MAX_PACKAGE_BYTES,
        "the package {shown} is larger than {MAX_PACKAGE_BYTES} bytes"
    );
    Ok(bytes)
}
