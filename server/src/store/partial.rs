//! What uploads that were cut off have left in a directory: files whose names are
//! no digests.

use super::{Kept, StoreError, at, key};
use std::{fs, path::Path};

/// All of them, by name.
pub(super) fn list(root: &Path) -> Result<Vec<Kept>, StoreError> {
    let mut found = Vec::new();
    for directory in entries(root)? {
        if directory.is_dir() {
            found.extend(entries(&directory)?.iter().filter_map(|path| look(path)));
        }
    }
    found.sort_by(|a: &Kept, b| a.place.cmp(&b.place));
    Ok(found)
}

/// None if it is gone, no file, or a whole one.
pub(super) fn look(path: &Path) -> Option<Kept> {
    if key(path.file_name()?.to_str()?).is_ok() {
        return None;
    }
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(Kept {
        place: path.to_str()?.to_owned(),
        digest: None,
        bytes: metadata.len(),
        stored_at: metadata.is_file().then(|| metadata.modified().ok())??,
    })
}

fn entries(directory: &Path) -> Result<Vec<std::path::PathBuf>, StoreError> {
    let entries = fs::read_dir(directory).map_err(at("list", directory))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(at("list", directory))?.path());
    }
    Ok(paths)
}
