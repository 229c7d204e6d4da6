//! The directory of one build, and what its steps see of it.
//!
//! | host | steps see | access |
//! |---|---|---|
//! | the target's source | `/resplice/source` | read |
//! | `post/`: patched files | on top of `/resplice/source`, where the patch is compiled | read |
//! | the target's prepared build tree | `/resplice/build` | read |
//! | `build/`, a copy of it | the same, where kbuild has to generate something | write |
//! | `in/`: patch, scripts, commands | `/resplice/in` | read |
//! | `tree/`: copies of the files that the patch touches, in step `patch` only | `/resplice/tree` | write |
//! | `out/` | `/resplice/out` | write |
//! | `objects/`, empty at each step's beginning | `/resplice/objects` | write |
//! | `module/`, `include/` | `/resplice/module`, `/resplice/include` | write, read |
//!
//! The shared source and build trees are never writable. The copy of the build
//! tree (24 MiB, 0.4 s) needs no mount, no root and no particular file system;
//! it is made when a step needs it, and only kbuild on untouched source writes
//! to it: a patch can't reach what other jobs will find in the cache.
//! Steps are not trusted: what they leave is read from `out/`, `objects/` and
//! `module/` only, by plain names, without following links, within limits.

mod steps;

use crate::Error;
use resplice_target::Target;
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// Where steps see the scripts.
pub const IN: &str = "/resplice/in";
/// Where steps leave what the worker reads.
pub const OUT: &str = "/resplice/out";
/// Where steps leave object files.
pub const OBJECTS: &str = "/resplice/objects";
/// Where steps see the files that the patch touches.
pub const TREE: &str = "/resplice/tree";
/// Where steps see the kernel core's headers.
pub const INCLUDE: &str = "/resplice/include";
/// Largest object or module that is read, in bytes.
pub const MAX_OUTPUT_BYTES: u64 = 64 << 20;

/// Modes of what steps may read.
const DIRECTORY_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
/// What the names of build directories begin with.
const PREFIX: &str = "job-";
/// The file in one that a living worker has locked.
const LOCK: &str = "lock";
/// No build directory is swept away that is younger than that.
const SWEEP_AGE: Duration = Duration::from_secs(3600);

/// Linux's `O_NOFOLLOW | O_NONBLOCK` on x86-64: no links, and no waiting for a FIFO.
const OPEN_FLAGS: i32 = 0o400_000 | 0o4_000;

/// The directory of one build; gone when this is.
#[derive(Debug)]
pub struct Workspace {
    dir: TempDir,
    owner: Option<u32>,
    source: PathBuf,
    prepared: PathBuf,
    /// Held while the build lives.
    _lock: File,
}

impl Workspace {
    /// Makes a build directory below `parent`. `owner` is who steps run as, if
    /// that is not the worker itself.
    ///
    /// # Errors
    /// If files can't be made or copied.
    pub fn new(parent: &Path, target: &Target, owner: Option<u32>) -> Result<Self, Error> {
        fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
        sweep(parent);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(parent)
            .map_err(Error::file("make a directory in", parent))?;
        // Steps that run as nobody have to get through to what is theirs.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))
            .map_err(Error::file("open up", dir.path()))?;
        let lock = File::create(dir.path().join(LOCK))
            .and_then(|file| file.lock().map(|()| file))
            .map_err(Error::file("lock", dir.path()))?;
        let workspace = Self {
            dir,
            owner,
            source: target.source_dir(),
            prepared: target.build_dir(),
            _lock: lock,
        };
        for name in ["in", "post"] {
            workspace.directory(name, false)?;
        }
        for name in ["out", "objects", "tree", "module"] {
            workspace.directory(name, true)?;
        }
        Ok(workspace)
    }

    /// Copies the prepared build tree, unless that was done; later steps see
    /// the copy in its place.
    ///
    /// # Errors
    /// If files can't be copied.
    pub fn copy_build(&self) -> Result<(), Error> {
        let copy = self.path("build");
        if copy.exists() {
            return Ok(());
        }
        let partial = self.path("build.partial");
        copy_tree(&self.prepared, &partial, self.owner)?;
        fs::rename(&partial, &copy).map_err(Error::file("rename", &partial))
    }

    fn build(&self) -> PathBuf {
        let copy = self.path("build");
        if copy.exists() {
            copy
        } else {
            self.prepared.clone()
        }
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that steps may read: `name` is relative to the directory.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let root = self.dir.path();
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
            for directory in parent
                .ancestors()
                .take_while(|directory| *directory != root)
            {
                set_mode(directory, DIRECTORY_MODE)?;
            }
        }
        fs::write(&path, bytes).map_err(Error::file("write", &path))?;
        set_mode(&path, FILE_MODE)
    }

    /// Writes a file that steps may change.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_owned(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.write(name, bytes)?;
        let root = self.dir.path().to_owned();
        let mut path = self.path(name);
        while path != root {
            give(&path, self.owner)?;
            if !path.pop() {
                break;
            }
        }
        Ok(())
    }

    /// Reads a file that a step left: at most [`MAX_OUTPUT_BYTES`], no link.
    ///
    /// # Errors
    /// If it is not there, no regular file, or too large.
    pub fn read(&self, directory: &str, name: &str) -> Result<Vec<u8>, Error> {
        read_output(&self.path(directory).join(name))
    }

    /// Empties a directory that steps write to.
    ///
    /// # Errors
    /// If that fails.
    pub fn clear(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        fs::remove_dir_all(&path).map_err(Error::file("empty", &path))?;
        self.directory(name, true)
    }

    /// Whether a step left that file in `out/`.
    #[must_use]
    pub fn has_output(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path("out").join(name)).is_ok_and(|metadata| metadata.is_file())
    }

    /// Whether a step left that file in `objects/`.
    #[must_use]
    pub fn has_object(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path("objects").join(name))
            .is_ok_and(|metadata| metadata.is_file())
    }

    fn directory(&self, name: &str, owned: bool) -> Result<(), Error> {
        let path = self.path(name);
        fs::create_dir(&path).map_err(Error::file("make", &path))?;
        set_mode(&path, DIRECTORY_MODE)?;
        if owned {
            give(&path, self.owner)
        } else {
            Ok(())
        }
    }
}

/// Removes what workers left that were killed. That it fails is no reason not
/// to build.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > SWEEP_AGE));
        if !old || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let abandoned = match File::open(path.join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if abandoned && let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(%error, path = %path.display(), "can't remove an old build");
        }
    }
}

/// Reads what a step left behind.
fn read_output(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::options()
        .read(true)
        .custom_flags(OPEN_FLAGS)
        .open(path)
        .map_err(Error::file("open", path))?;
    let metadata = file.metadata().map_err(Error::file("inspect", path))?;
    if !metadata.is_file() || metadata.len() > MAX_OUTPUT_BYTES {
        return Err(Error::internal(
            format!("read {}", path.display()),
            format!("it is no regular file of at most {MAX_OUTPUT_BYTES} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(MAX_OUTPUT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(Error::file("read", path))?;
    Ok(bytes)
}

/// Whatever the worker's umask says: steps may run as somebody else.
fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(Error::file("set the mode of", path))
}

fn give(path: &Path, owner: Option<u32>) -> Result<(), Error> {
    match owner {
        Some(uid) => chown(path, Some(uid), Some(uid)).map_err(Error::file("give away", path)),
        None => Ok(()),
    }
}

/// Copies a directory tree with modes, links and times: make rebuilds what
/// looks newer than what it was made from.
fn copy_tree(from: &Path, to: &Path, owner: Option<u32>) -> Result<(), Error> {
    fs::create_dir(to).map_err(Error::file("make", to))?;
    set_mode(to, DIRECTORY_MODE)?;
    for entry in fs::read_dir(from).map_err(Error::file("list", from))? {
        let entry = entry.map_err(Error::file("list", from))?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata().map_err(Error::file("inspect", &source))?;
        if metadata.is_dir() {
            copy_tree(&source, &copy, owner)?;
        } else if metadata.is_symlink() {
            let target = fs::read_link(&source).map_err(Error::file("read", &source))?;
            std::os::unix::fs::symlink(target, &copy).map_err(Error::file("link", &copy))?;
        } else if metadata.is_file() {
            copy_file(&source, &copy, &metadata)?;
            give(&copy, owner)?;
        }
    }
    give(to, owner)
}

fn copy_file(from: &Path, to: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    fs::copy(from, to).map_err(Error::file("copy", from))?;
    let modified = metadata.modified().map_err(Error::file("inspect", from))?;
    // The owner of the copy must be able to replace it.
    let mode = metadata.mode() & 0o777 | 0o600;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .map_err(Error::file("open up", to))?;
    File::options()
        .write(true)
        .open(to)
        .and_then(|file| file.set_modified(modified))
        .map_err(Error::file("set the time of", to))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn what_a_step_left_is_not_followed_out_of_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, "key").unwrap();
        let link = dir.path().join("0.ref.o");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        assert!(read_output(&link).is_err());
        assert!(read_output(dir.path()).is_err());
        assert_eq!(read_output(&secret).unwrap(), b"key");
    }

    #[test]
    fn a_copied_tree_keeps_times_links_and_programs() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("a")).unwrap();
        fs::write(from.join("a/tool"), "x").unwrap();
        fs::set_permissions(from.join("a/tool"), fs::Permissions::from_mode(0o555)).unwrap();
        std::os::unix::fs::symlink("/resplice/source", from.join("source")).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_000_000_123);
        // Owners may set the time of what they can't write only as root.
        let tool = from.join("a/tool");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        File::options()
            .write(true)
            .open(&tool)
            .unwrap()
            .set_modified(time)
            .unwrap();
        let to = dir.path().join("to");
        copy_tree(&from, &to, None).unwrap();
        let copy = fs::metadata(to.join("a/tool")).unwrap();
        assert_eq!(copy.modified().unwrap(), time);
        assert_eq!(copy.mode() & 0o777, 0o755);
        assert_eq!(
            fs::read_link(to.join("source")).unwrap(),
            Path::new("/resplice/source")
        );
    }
}
