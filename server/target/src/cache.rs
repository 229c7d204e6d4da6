//! Where targets are kept, and the locks that let imports run side by side.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Context, Error};
use crate::progress::Progress;

/// A cache directory. Cheap to clone; creating one touches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `$RESPLICE_CACHE`, else `$XDG_CACHE_HOME/resplice`, else `~/.cache/resplice`.
    pub fn from_env() -> Self {
        let variable = |name: &str| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = variable("RESPLICE_CACHE").unwrap_or_else(|| {
            variable("XDG_CACHE_HOME")
                .or_else(|| env::home_dir().map(|home| home.join(".cache")))
                .unwrap_or_else(|| PathBuf::from("/var/cache"))
                .join("resplice")
        });
        Self { root }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn debs(&self) -> PathBuf {
        self.root.join("debs")
    }

    pub(crate) fn source(&self, package_version: &str) -> PathBuf {
        self.root.join("sources").join(package_version)
    }

    pub(crate) fn target(&self, release: &str) -> PathBuf {
        self.root.join("targets").join(release)
    }

    /// Holds the lock `name` until the returned guard is dropped. Waits for another process that holds it.
    pub(crate) fn lock(&self, name: &str, progress: &dyn Progress) -> Result<Lock, Error> {
        let directory = self.root.join("locks");
        create_dir(&directory)?;
        let path = directory.join(format!("{name}.lock"));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .context("open the lock", &path)?;
        if file.try_lock().is_err() {
            progress.note(&format!("waiting for another import of {name}"));
            file.lock().context("lock", &path)?;
        }
        Ok(Lock { _file: file })
    }
}

/// A held lock; the kernel lets it go with the file, also if the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

pub(crate) fn create_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).context("create the directory", path)
}

/// Removes a directory tree that an earlier, interrupted run may have left.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("remove", path)
        }
        _ => Ok(()),
    }
}
