//! Bundles: a server's repository in a tar file, for hosts without a network.
//!
//! ```text
//! metadata/N.root.json … metadata/timestamp.json …    as a repository serves them
//! targets/SHA256.NAME                                 the packages
//! ```
//! A bundle is one more place that files come from: whatever is checked of a
//! repository that is reached over a network is checked of it, expiry and what this
//! host has seen before included. It is read where it lies; nothing is unpacked.

use crate::{
    agent::{Agent, Outcome},
    journal::By,
    policy::Decision,
    poll,
    vouch::Vouched,
};
use anyhow::{Context, Result, bail, ensure};
use resplice_tuf::{Fetch, FetchError};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};
use tar::{Archive, EntryType};

/// Most files of a bundle.
const MAX_FILES: usize = 4096;
/// Longest name of one in bytes.
const MAX_NAME_BYTES: usize = 300;

/// Undoes what a bundle says is revoked, and applies what it has for this host and
/// [`poll::decision`] wants.
///
/// # Errors
/// If the bundle can't be read or its metadata not be believed.
pub fn apply(agent: &mut Agent, path: &Path) -> Result<Vec<Outcome>> {
    let (vouched, mut client) = Vouched::refresh_with(agent, Bundle::open(path)?)?;
    let mut outcomes = agent.undo_revoked(&vouched.revocations(), By::Operator)?;
    for (planned, target) in vouched.for_this_host() {
        if poll::decision(agent, &agent.journal.records(), &planned)? != Decision::Apply {
            continue;
        }
        outcomes.push(match vouched.download(&mut client, &target) {
            Ok(bytes) => poll::apply_bytes(agent, &planned, &target, &bytes, By::Operator)?,
            Err(error) => poll::not_had(&planned, "download", &error.into()),
        });
    }
    Ok(outcomes)
}

/// A bundle, open for reading.
pub struct Bundle {
    file: File,
    /// Where each file begins, and its length in bytes.
    index: BTreeMap<String, (u64, u64)>,
}

impl Bundle {
    /// Opens a bundle and reads the names in it.
    ///
    /// # Errors
    /// If it can't be read, is no tar file, or holds anything but plain files with the
    /// names that a repository has.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("can't open the bundle {shown}"))?;
        ensure!(
            file.metadata()?.is_file(),
            "the bundle {shown} is not a file"
        );
        let index = index(&file).with_context(|| format!("{shown} is no bundle"))?;
        Ok(Self { file, index })
    }

    fn get(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let (offset, length) = *self.index.get(name).ok_or(FetchError::Missing)?;
        if length > limit {
            return Err(FetchError::TooLarge { limit });
        }
        let broken = |error: std::io::Error| FetchError::Transport(error.to_string());
        self.file.seek(SeekFrom::Start(offset)).map_err(broken)?;
        let mut bytes = Vec::new();
        (&mut self.file)
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(broken)?;
        if bytes.len() as u64 != length {
            return Err(FetchError::Transport(format!("{name} is cut off")));
        }
        Ok(bytes)
    }
}

impl Fetch for Bundle {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.get(&format!("metadata/{name}"), limit)
    }

    fn target(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.get(&format!("targets/{path}"), limit)
    }
}

fn index(file: &File) -> Result<BTreeMap<String, (u64, u64)>> {
    let mut index = BTreeMap::new();
    let mut archive = Archive::new(file);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = entry.path_bytes();
        let shown = String::from_utf8_lossy(&path).into_owned();
        ensure!(
            entry.header().entry_type() == EntryType::Regular,
            "{shown:?} in it is no plain file"
        );
        let name = std::str::from_utf8(&path).ok().filter(|name| is_name(name));
        let Some(name) = name else {
            bail!("{shown:?} in it is no file of a repository");
        };
        let place = (entry.raw_file_position(), entry.size());
        ensure!(
            index.insert(name.to_owned(), place).is_none(),
            "{shown:?} is in it twice"
        );
        ensure!(
            index.len() <= MAX_FILES,
            "it has more than {MAX_FILES} files"
        );
    }
    ensure!(!index.is_empty(), "there is nothing in it");
    Ok(index)
}

/// `metadata/` or `targets/`, and a name that is no path.
fn is_name(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'%');
    let rest = path
        .strip_prefix("metadata/")
        .or(path.strip_prefix("targets/"));
    rest.is_some_and(|name| {
        !name.is_empty()
            && name.len() <= MAX_NAME_BYTES
            && !name.starts_with('.')
            && name.bytes().all(plain)
    })
}

#[cfg(test)]
#[path = "bundle_test.rs"]
mod tests;
