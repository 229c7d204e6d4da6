//! Files that go into a guest.

use crate::error::{Error, Result};
use crate::tools;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A regular file for a guest: in the initramfs or pushed later.
#[derive(Debug, Clone)]
pub struct GuestFile {
    /// Absolute path in the guest.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Contents.
    pub contents: Vec<u8>,
}

impl GuestFile {
    /// A file with the given contents.
    pub fn new(path: impl Into<String>, mode: u32, contents: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            mode,
            contents: contents.into(),
        }
    }

    /// A copy of a host file, with its permission bits.
    ///
    /// # Errors
    /// If the host file cannot be read.
    pub fn from_host(host: &Path, guest: impl Into<String>) -> Result<Self> {
        let contents = std::fs::read(host).map_err(Error::io("read", host))?;
        let metadata = std::fs::metadata(host).map_err(Error::io("inspect", host))?;
        Ok(Self::new(
            guest,
            metadata.permissions().mode() & 0o7777,
            contents,
        ))
    }

    /// A host program with the shared libraries it needs, these at the same
    /// paths as on the host.
    ///
    /// # Errors
    /// If a file cannot be read or a library is missing.
    pub fn program(host: &Path, guest: impl Into<String>) -> Result<Vec<Self>> {
        let mut files = vec![Self::from_host(host, guest)?];
        for library in tools::libraries(host)? {
            files.push(Self::from_host(&library, library.to_string_lossy())?);
        }
        Ok(files)
    }
}

/// A path that a guest file may have: absolute, without `..`.
pub(crate) fn check_path(path: &str) -> Result<()> {
    let bad = !path.starts_with('/')
        || path.ends_with('/')
        || path.contains('\0')
        || path.split('/').any(|part| part == "..");
    if bad {
        return Err(Error::Config(format!(
            "guest path `{}` must be an absolute file path without `..`",
            path.escape_debug()
        )));
    }
    Ok(())
}
