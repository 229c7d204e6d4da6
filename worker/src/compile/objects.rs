//! Object files that depend on the target alone, kept in the cache.
//!
//! `units/DIGEST/KEY` holds one object of the target with that digest; KEY is
//! the digest of the commands that make it. A file begins with the digest of
//! the rest, so that one which was cut short by a crash is not taken. Several
//! workers may read and write at a time.

use crate::Error;
use resplice_target::Target;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Version of the commands that surround the compiler's own.
const RECIPE: &str = "resplice-unit-v1";
/// What the objects of all targets may take together, in bytes. Those that were
/// not used for longest go first.
const MAX_BYTES: u64 = 2 << 30;
/// Bytes of a digest.
const DIGEST_BYTES: usize = 32;

/// The kept objects of one target.
#[derive(Debug, Clone)]
pub struct Objects {
    all: PathBuf,
    directory: PathBuf,
}

impl Objects {
    /// Those of a target. Touches nothing.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        Self::new(&target.cache().root().join("units"), &target.digest())
    }

    fn new(all: &Path, digest: &str) -> Self {
        Self {
            all: all.to_owned(),
            directory: all.join(digest),
        }
    }

    /// The object that `commands` make, if it is there.
    #[must_use]
    pub fn get(&self, commands: &str) -> Option<Vec<u8>> {
        let path = self.path(commands);
        let mut bytes = fs::read(&path).ok()?;
        let object = bytes.split_off(DIGEST_BYTES.min(bytes.len()));
        if bytes != Sha256::digest(&object).as_slice() {
            return None;
        }
        // For the sweep; that it fails on a cache that can't be written is no harm.
        let _ = File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        Some(object)
    }

    /// Keeps an object.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn put(&self, commands: &str, object: &[u8]) -> Result<(), Error> {
        let path = self.path(commands);
        fs::create_dir_all(&self.directory).map_err(Error::file("make", &self.directory))?;
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)
            .map_err(Error::file("make a file in", &self.directory))?;
        file.write_all(&Sha256::digest(object))
            .and_then(|()| file.write_all(object))
            .map_err(Error::file("write", &path))?;
        file.persist(&path)
            .map_err(|error| Error::file("write", &path)(error.error))?;
        Ok(())
    }

    /// Waits until nobody else makes what all jobs of this target need.
    ///
    /// # Errors
    /// If the lock file can't be made.
    pub fn lock(&self) -> Result<File, Error> {
        fs::create_dir_all(&self.directory).map_err(Error::file("make", &self.directory))?;
        let path = self.directory.join("lock");
        File::create(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(Error::file("lock", &path))
    }

    /// Removes what has not been used for longest until the rest is small
    /// enough. That it fails is no reason not to build.
    pub fn sweep(&self) {
        sweep(&self.all, MAX_BYTES);
    }

    fn path(&self, commands: &str) -> PathBuf {
        let key = hex::encode(Sha256::digest(format!("{RECIPE}\n{commands}")));
        self.directory.join(key)
    }
}

fn sweep(all: &Path, limit: u64) {
    let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<(SystemTime, u64, PathBuf)> = list(all)
        .flat_map(|target| list(&target.path()))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    if bytes <= limit {
        return;
    }
    // A lock file has no bytes, and is held by its name.
    files.retain(|(_, bytes, _)| *bytes > 0);
    files.sort();
    for (_, size, path) in files {
        if bytes <= limit {
            break;
        }
        match fs::remove_file(&path) {
            Ok(()) => bytes = bytes.saturating_sub(size),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "can't remove a kept object");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_object_that_was_cut_short_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::new(dir.path(), "target");
        assert_eq!(objects.get("gcc a"), None);
        objects.put("gcc a", b"object").unwrap();
        assert_eq!(objects.get("gcc a").unwrap(), b"object");
        assert_eq!(objects.get("gcc b"), None);
        assert_eq!(Objects::new(dir.path(), "other").get("gcc a"), None);
        let path = objects.path("gcc a");
        let bytes = fs::read(&path).unwrap();
        for length in [0, 8, bytes.len() - 1] {
            fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(objects.get("gcc a"), None, "{length} bytes");
        }
    }

    #[test]
    fn what_was_used_last_survives_the_sweep() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::new(dir.path(), "target");
        for (name, age) in [("a", 10), ("b", 30), ("c", 20)] {
            objects.put(name, &[0; 68]).unwrap();
            let file = File::options()
                .write(true)
                .open(objects.path(name))
                .unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        }
        assert!(objects.get("b").is_some());
        sweep(dir.path(), 250);
        let left = ["a", "b", "c"].map(|name| objects.path(name).exists());
        assert_eq!(left, [true, true, false]);
    }
}
