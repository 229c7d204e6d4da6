//! A machine's private directory: sockets, initramfs, disk.

use crate::error::{Error, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

const PREFIX: &str = "resplice-vm-";
const LOCK: &str = "owner.lock";
/// `sockaddr_un` holds 108 bytes; the longest name in here is `command.sock`.
const SOCKET_PATH_MAX_BYTES: usize = 107 - "/command.sock".len();

/// Removed when dropped. Should the owner be killed instead, the next machine
/// finds its lock free and removes the directory then.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    pub fn create() -> Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir()
            .map_err(Error::io("create a directory in", &parent))?;
        if dir.path().as_os_str().len() > SOCKET_PATH_MAX_BYTES {
            return Err(Error::Config(format!(
                "{} is too long a name for sockets: set TMPDIR to a shorter directory",
                dir.path().display()
            )));
        }
        let path = dir.path().join(LOCK);
        let lock = File::create(&path).map_err(Error::io("create", &path))?;
        lock.lock().map_err(Error::io("lock", &path))?;
        Ok(Self { dir, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Removes directories whose owner is gone. Best effort: they are only litter.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            // Between creation and lock() an owner holds an empty, unlocked file.
            let old = entry
                .metadata()
                .ok()
                .and_then(|m| m.modified().ok()?.elapsed().ok());
            if old.is_some_and(|age| age.as_secs() > 10) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_directory_in_use_survives_the_sweep_and_goes_with_its_owner() {
        let scratch = Scratch::create().unwrap();
        let path = scratch.path().to_owned();
        sweep(path.parent().unwrap());
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }
}
