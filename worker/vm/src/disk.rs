//! The exchange disk: a raw file that the guest has as `/dev/vda`. Bulk bytes
//! go over it in both directions, past the guest's page cache; a serial line
//! would take minutes for them.

use crate::error::{Error, Result};
use crate::files::{GuestFile, check_path};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Size of the disk; it is sparse. A constant, so that snapshots take any.
pub(crate) const DISK_BYTES: u64 = 256 << 20;
/// Transfer unit, as in `guest/init.sh`.
pub(crate) const BLOCK_BYTES: u64 = 64 << 10;
/// The most a command may give back per stream; the rest is cut off.
pub(crate) const STREAM_MAX_BYTES: u64 = DISK_BYTES / 2;

#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    path: PathBuf,
}

impl Disk {
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(Error::io("create", path))?;
        file.set_len(DISK_BYTES).map_err(Error::io("size", path))?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Puts `bytes` at the disk's beginning; returns the blocks they take.
    pub fn write(&self, bytes: &[u8]) -> Result<u64> {
        let length = bytes.len() as u64;
        if length > DISK_BYTES {
            return Err(Error::TooBig {
                what: "the set of files for the guest".to_owned(),
                bytes: length,
                limit: DISK_BYTES,
            });
        }
        self.file
            .write_all_at(bytes, 0)
            .map_err(Error::io("write", &self.path))?;
        Ok(length.div_ceil(BLOCK_BYTES))
    }

    /// Reads what the guest wrote.
    pub fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let length = length.min(STREAM_MAX_BYTES);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }
}

/// A tar archive of the files, for `tar x -C /` in the guest.
pub(crate) fn archive(files: &[GuestFile]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files {
        check_path(&file.path)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(file.contents.len() as u64);
        header.set_mode(file.mode & 0o7777);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        builder
            .append_data(
                &mut header,
                file.path.trim_start_matches('/'),
                file.contents.as_slice(),
            )
            .map_err(Error::io("archive guest file", &file.path))?;
    }
    builder
        .into_inner()
        .map_err(Error::io("finish the archive", "job files"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_before_writing() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::create(&dir.path().join("d")).unwrap();
        assert_eq!(disk.write(&[7; 65537]).unwrap(), 2);
        assert_eq!(disk.read(65535, 3).unwrap(), [7, 7, 0]);
        let big = vec![0; usize::try_from(DISK_BYTES).unwrap() + 1];
        assert!(disk.write(&big).unwrap_err().to_string().contains("limit"));
    }

    #[test]
    fn a_path_that_leaves_the_root_is_refused() {
        for path in ["etc/x", "/a/../b", "/", "/dir/"] {
            assert!(
                archive(&[GuestFile::new(path, 0o644, "x")]).is_err(),
                "{path}"
            );
        }
    }
}
