//! Files of the data directory.

use super::{DATA, append};
use crate::{repository::Repository, store};
use anyhow::{Context, bail};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tar::Builder;

/// What is not taken: the database, whose rows are; the copy of its newest
/// checkpoint, which is made anew from them; the store, which has its own way; locks.
fn is_left_out(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let hidden = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let known = [store::LOCK, "blobs", "repo/lock", "log/checkpoint"];
    hidden || name.starts_with("resplice.db") || known.contains(&&*name)
}

/// Adds all files, with what they let whom do; returns how many.
pub(super) fn write(data: &Path, tar: &mut Builder<File>) -> anyhow::Result<u64> {
    let mut count = 0;
    // What the repository consists of belongs together.
    let _lock = Repository::hold(data)?;
    let mut left = vec![PathBuf::new()];
    while let Some(directory) = left.pop() {
        let path = data.join(&directory);
        let failed = || format!("can't list {}", path.display());
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path).with_context(failed)? {
            entries.push(entry.with_context(failed)?.file_name());
        }
        entries.sort();
        for name in entries {
            let within = directory.join(name);
            if is_left_out(&within) {
                continue;
            }
            let path = data.join(&within);
            let failed = || format!("can't take {} into the backup", path.display());
            let kind = fs::symlink_metadata(&path)
                .with_context(failed)?
                .file_type();
            if kind.is_dir() {
                left.push(within);
            } else if kind.is_file() {
                add(tar, &path, &within).with_context(failed)?;
                count += 1;
            } else {
                bail!(
                    "{} is neither a file nor a directory: a backup would not hold it",
                    path.display()
                );
            }
        }
    }
    Ok(count)
}

fn add(tar: &mut Builder<File>, path: &Path, within: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let name = format!("{DATA}{}", within.display());
    let mode = metadata.permissions().mode() & 0o700;
    append(tar, &name, metadata.len(), mode, &file)
}
