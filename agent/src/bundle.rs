//! Bundles: a server's repository in a tar file, for hosts without a network.
//!
//! ```text
//! metadata/N.root.json … metadata/timestamp.json …    as a repository serves them
//! targets/SHA256.NAME                                 the packages
//! log/checkpoint                                      the log's, as it signs it
//! log/leaves                                          all its entries' hashes, 32 bytes each
//! log/UPDATE                                          {"index": …, "entry": …} of its release
//! ```
//! With all hashes at hand a host can tell of any earlier checkpoint whether the log
//! goes on from it. A bundle is one more place that files come from: whatever is checked of a
//! repository that is reached over a network is checked of it, expiry and what this
//! host has seen before included. It is read where it lies; nothing is unpacked.

use crate::{
    agent::{Agent, Outcome},
    journal::By,
    ledger::{self, Log},
    policy::Decision,
    poll,
    vouch::Vouched,
};
use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use resplice_api::{BundledEntry, MAX_BUNDLE_FILES, ReleaseProof, UpdateId};
use resplice_tlog::{Hash, tile::Tiles, tree};
use resplice_tuf::{Fetch, FetchError};
use std::{cell::OnceCell, collections::BTreeMap, fs::File, os::unix::fs::FileExt, path::Path};
use tar::{Archive, EntryType};

/// Longest name of one in bytes.
const MAX_NAME_BYTES: usize = 300;
/// Most bytes of the log's checkpoint, and of an entry.
const MAX_ENTRY_BYTES: u64 = 256 << 10;
/// Most bytes of its hashes: those of a million entries.
const MAX_LEAVES_BYTES: u64 = 32 << 20;

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
        if let Some(outcome) = ledger::object(agent, client.fetch(), &planned, By::Operator)? {
            outcomes.push(outcome);
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
    /// The log's hashes, and how many entries it has.
    tree: OnceCell<(Tiles, u64)>,
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
        Ok(Self {
            file,
            index,
            tree: OnceCell::new(),
        })
    }

    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let (offset, length) = *self.index.get(name).ok_or(FetchError::Missing)?;
        if length > limit {
            return Err(FetchError::TooLarge { limit });
        }
        let broken = |why: String| FetchError::Transport(format!("{name}: {why}"));
        let length = usize::try_from(length).map_err(|error| broken(error.to_string()))?;
        // An index can claim more than the file has.
        let there = self.file.metadata().map_or(0, |file| file.len());
        if offset.saturating_add(length as u64) > there {
            return Err(broken("it is cut off".to_owned()));
        }
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, offset);
        read.map_err(|error| broken(error.to_string()))?;
        Ok(bytes)
    }

    fn tree(&self) -> Result<&(Tiles, u64)> {
        if let Some(tree) = self.tree.get() {
            return Ok(tree);
        }
        let leaves = self.get("log/leaves", MAX_LEAVES_BYTES)?;
        let (hashes, rest) = leaves.as_chunks::<32>();
        ensure!(rest.is_empty(), "the bundle's log is cut off");
        let mut tiles = Tiles::default();
        for (index, hash) in (0..).zip(hashes) {
            tiles.push(index, *hash)?;
        }
        Ok(self.tree.get_or_init(|| (tiles, hashes.len() as u64)))
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

impl Log for Bundle {
    fn release_proof(&self, update: UpdateId, since: Option<u64>) -> Result<Option<ReleaseProof>> {
        let bytes = match self.get(&format!("log/{update}"), MAX_ENTRY_BYTES) {
            Err(FetchError::Missing) => return Ok(None),
            read => read?,
        };
        let BundledEntry { index, entry } = serde_json::from_slice(&bytes)
            .with_context(|| format!("the bundle's entry of {update} can't be read"))?;
        let checkpoint = self.get("log/checkpoint", MAX_ENTRY_BYTES)?;
        let checkpoint = String::from_utf8(checkpoint).context("the bundle's checkpoint")?;
        let (tiles, size) = self.tree()?;
        let consistency = match since {
            Some(since) if since > *size => bail!(
                "the bundle's log has {size} entries, this host has seen {since}: make a newer bundle"
            ),
            None | Some(0) => Vec::new(),
            Some(since) => tree::consistency_proof(tiles, since, *size)?,
        };
        Ok(Some(ReleaseProof {
            entry,
            index,
            proof: encode(&tree::inclusion_proof(tiles, index, *size)?),
            consistency: encode(&consistency),
            checkpoint,
        }))
    }
}

fn encode(hashes: &[Hash]) -> Vec<String> {
    let text = |hash: &Hash| BASE64_STANDARD.encode(hash);
    hashes.iter().map(text).collect()
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
            index.len() <= MAX_BUNDLE_FILES,
            "it has more than {MAX_BUNDLE_FILES} files"
        );
    }
    ensure!(!index.is_empty(), "there is nothing in it");
    Ok(index)
}

/// `metadata/`, `targets/` or `log/`, and a name that is no path.
fn is_name(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'%');
    let directories = ["metadata/", "targets/", "log/"];
    let rest = directories.iter().find_map(|dir| path.strip_prefix(dir));
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
