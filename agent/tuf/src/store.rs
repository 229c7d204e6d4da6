//! What the client remembers between two runs: one file a role, exactly as it
//! came. A file is replaced in one step and synced, so that a crash leaves the
//! old one or the new one. What others could have written is refused.

use crate::{Error, quote::quote};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Most bytes of a file that is read back.
const MAX_BYTES: u64 = 64 << 20;

/// A directory of trusted metadata, and of nothing else.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Opens a directory, which is made with mode 0700 if it is not there.
    ///
    /// # Errors
    /// [`Error::Exposed`] if others may write it, [`Error::Store`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("make", path))?;
        let mode = fs::metadata(path).map_err(failed("look at", path))?.mode();
        // A sticky directory keeps others from replacing files, but not from making them.
        if mode & 0o002 != 0 {
            return Err(exposed(path, mode));
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// A role's file; none if there is none.
    ///
    /// # Errors
    /// [`Error::Exposed`] if it is no file, or one that others may write;
    /// [`Error::Store`].
    pub fn read(&self, role: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.file(role)?;
        let seen = match fs::symlink_metadata(&path) {
            Ok(seen) => seen,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("look at", &path)(error)),
        };
        let reason = |reason: &str| Error::Exposed {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        if !seen.is_file() {
            return Err(reason("it is no plain file"));
        }
        let file = File::open(&path).map_err(failed("open", &path))?;
        let opened = file.metadata().map_err(failed("look at", &path))?;
        if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
            return Err(reason("it was exchanged while it was opened"));
        }
        if opened.mode() & 0o022 != 0 {
            return Err(exposed(&path, opened.mode()));
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(failed("read", &path))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(reason("it is too large"));
        }
        Ok(Some(bytes))
    }

    /// Replaces a role's file in one step; it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn write(&self, role: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.file(role)?;
        // Outside of what is read back, and gone when it is done.
        let new = self.path.join(format!(".{}.new", quote(role)));
        let result = write_new(&new, bytes).and_then(|()| fs::rename(&new, &path));
        if let Err(error) = result {
            let _ = fs::remove_file(&new);
            return Err(failed("write", &path)(error));
        }
        self.sync()
    }

    /// Forgets a role's file.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove(&self, role: &str) -> Result<(), Error> {
        let path = self.file(role)?;
        match fs::remove_file(&path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("remove", &path)(error)),
        }
    }

    fn sync(&self) -> Result<(), Error> {
        File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(failed("sync", &self.path))
    }

    fn file(&self, role: &str) -> Result<PathBuf, Error> {
        let name = format!("{}.json", quote(role));
        if name.len() > 240 {
            return Err(Error::invalid(role, "its name is too long"));
        }
        Ok(self.path.join(name))
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a crash has left behind.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn exposed(path: &Path, mode: u32) -> Error {
    let mode = mode & 0o7777;
    Error::Exposed {
        path: path.to_owned(),
        reason: format!(
            "others may write it (mode {mode:04o}): what it says can't be trusted; enrol again, then `chmod go-w` it"
        ),
    }
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |cause| Error::Store {
        operation,
        path,
        cause,
    }
}
