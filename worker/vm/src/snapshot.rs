//! Snapshots of booted guests, kept in a bounded cache.
//!
//! `CACHE/vm/KEY/state` is QEMU's migration stream, KEY a digest of all that
//! it depends on. Entries are made under another name and renamed; the one
//! used longest ago goes first when the cache is full.

use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::prepared::Prepared;
use crate::vm::Vm;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const STATE: &str = "state";
const SAVE_TIMEOUT: Duration = Duration::from_secs(120);

/// Where snapshots are kept, and how many.
#[derive(Debug, Clone)]
pub struct SnapshotCache {
    dir: PathBuf,
    max_bytes: u64,
    max_age: Duration,
}

/// One snapshot in the cache.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Digest of kernel, initramfs, CPU model and so on.
    pub key: String,
    /// The state file.
    pub state: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Whether it was made just now.
    pub fresh: bool,
}

impl SnapshotCache {
    /// A cache in `cache/vm`, of at most 4 GiB, entries unused for 14 days
    /// are dropped.
    pub fn new(cache: &Path) -> Self {
        Self {
            dir: cache.join("vm"),
            max_bytes: 4 << 30,
            max_age: Duration::from_secs(14 * 24 * 3600),
        }
    }

    /// Other bounds.
    #[must_use]
    pub fn bounds(mut self, max_bytes: u64, max_age: Duration) -> Self {
        self.max_bytes = max_bytes;
        self.max_age = max_age;
        self
    }

    /// See [`Machine::restore`]. A snapshot that QEMU does not take is made
    /// anew, once.
    pub(crate) fn restore(&self, machine: &Machine) -> Result<Vm> {
        let prepared = machine.prepare()?;
        let snapshot = self.get(&prepared)?;
        match prepared.resume(&snapshot.state) {
            Err(
                error @ (Error::QemuExited { .. } | Error::NotReady { .. } | Error::Monitor { .. }),
            ) if !snapshot.fresh => {
                tracing::warn!(%error, key = snapshot.key, "snapshot is unusable, making another");
                let _ = fs::remove_dir_all(self.dir.join(&snapshot.key));
                prepared.resume(&self.get(&prepared)?.state)
            }
            result => result,
        }
    }

    /// The machine's snapshot; boots it to make one if there is none. Two
    /// processes that want the same wait for one boot.
    pub(crate) fn get(&self, prepared: &Prepared) -> Result<Snapshot> {
        let key = prepared.snapshot_key()?;
        fs::create_dir_all(&self.dir).map_err(Error::io("create", &self.dir))?;
        if let Some(snapshot) = self.existing(&key) {
            return Ok(snapshot);
        }
        let lock_path = self.dir.join(format!("{key}.lock"));
        let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
        lock.lock().map_err(Error::io("lock", &lock_path))?;
        if let Some(snapshot) = self.existing(&key) {
            return Ok(snapshot);
        }
        let parts = tempfile::Builder::new()
            .prefix("making-")
            .tempdir_in(&self.dir)
            .map_err(Error::io("create a directory in", &self.dir))?;
        prepared
            .boot_for(&parts.path().join(STATE))?
            .save(Instant::now() + SAVE_TIMEOUT)?;
        let place = self.dir.join(&key);
        fs::rename(parts.path(), &place).map_err(Error::io("rename into", &place))?;
        self.evict(&key);
        let made = self.existing(&key).ok_or_else(|| {
            Error::Config(format!("{} vanished while it was made", place.display()))
        })?;
        Ok(Snapshot {
            fresh: true,
            ..made
        })
    }

    fn existing(&self, key: &str) -> Option<Snapshot> {
        let state = self.dir.join(key).join(STATE);
        let metadata = fs::metadata(&state)
            .ok()
            .filter(|metadata| metadata.len() > 0)?;
        // The time of last use, for eviction.
        let _ = File::options()
            .append(true)
            .open(&state)
            .and_then(|file| file.set_modified(SystemTime::now()));
        Some(Snapshot {
            key: key.to_owned(),
            state,
            bytes: metadata.len(),
            fresh: false,
        })
    }

    /// Drops what is too old or too much, but never `keep`. A guest that is
    /// being restored from a dropped file has it open and goes on.
    fn evict(&self, keep: &str) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut found: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let metadata = fs::metadata(entry.path().join(STATE)).ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        found.sort_by_key(|entry| std::cmp::Reverse(entry.0));
        let mut total = 0;
        for (used, bytes, path) in found {
            total += bytes;
            let old = used.elapsed().is_ok_and(|age| age > self.max_age);
            if (old || total > self.max_bytes) && !path.ends_with(keep) {
                let _ = fs::remove_file(path.with_extension("lock"));
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn entry(cache: &SnapshotCache, key: &str, bytes: usize, age_s: u64) {
        let dir = cache.dir.join(key);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(STATE), vec![1; bytes]).unwrap();
        let file = File::options().append(true).open(dir.join(STATE)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age_s))
            .unwrap();
    }

    fn left(cache: &SnapshotCache) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&cache.dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_longest_unused_goes_first_and_the_new_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let cache = SnapshotCache::new(dir.path()).bounds(250, Duration::from_secs(1000));
        entry(&cache, "new", 100, 0);
        entry(&cache, "used", 100, 10);
        entry(&cache, "unused", 100, 20);
        entry(&cache, "ancient", 1, 5000);
        cache.evict("new");
        assert_eq!(left(&cache), ["new", "used"]);
    }

    #[test]
    fn an_entry_too_big_for_the_cache_is_kept_while_it_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let cache = SnapshotCache::new(dir.path()).bounds(10, Duration::from_secs(1000));
        entry(&cache, "new", 100, 0);
        cache.evict("new");
        assert_eq!(left(&cache), ["new"]);
    }
}
