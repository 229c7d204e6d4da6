//! The sources of the kernel core and of update modules.
//!
//! They are part of the worker's binary, so that it can be installed as one
//! file; a directory can be given instead.

use crate::Error;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::Path};

/// Largest source file, in bytes.
const MAX_SOURCE_BYTES: u64 = 1 << 20;

#[derive(RustEmbed)]
#[folder = "../kmod/"]
#[include = "core/*.c"]
#[include = "core/*.h"]
#[include = "core/Kbuild"]
#[include = "include/*.h"]
#[include = "include/resplice/*.h"]
#[include = "update/*.c"]
#[include = "update/Kbuild"]
#[exclude = "*.mod.c"]
struct Embedded;

/// The sources, by path: `core/main.c`, `include/resplice/format.h`, ...
#[derive(Debug, Clone)]
pub struct Kmod {
    files: BTreeMap<String, Vec<u8>>,
}

impl Kmod {
    /// The sources in the worker's binary.
    ///
    /// # Errors
    /// If the binary was built without them.
    pub fn embedded() -> Result<Self, Error> {
        let files = Embedded::iter()
            .filter_map(|name| Some((name.to_string(), Embedded::get(&name)?.data.into_owned())))
            .collect();
        Self::checked(files, "the worker's binary")
    }

    /// The sources in a directory that looks like the repository's `kmod/`.
    ///
    /// # Errors
    /// If they can't be read, or are not there.
    pub fn from_directory(directory: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        for name in ["core", "include", "include/resplice", "update"] {
            let path = directory.join(name);
            for entry in fs::read_dir(&path).map_err(Error::file("list", &path))? {
                let entry = entry.map_err(Error::file("list", &path))?;
                let file = entry.file_name().to_string_lossy().into_owned();
                let source = file.ends_with(".c") || file.ends_with(".h") || file == "Kbuild";
                let small = entry
                    .metadata()
                    .is_ok_and(|m| m.is_file() && m.len() <= MAX_SOURCE_BYTES);
                if source && small && !file.ends_with(".mod.c") {
                    let bytes =
                        fs::read(entry.path()).map_err(Error::file("read", &entry.path()))?;
                    files.insert(format!("{name}/{file}"), bytes);
                }
            }
        }
        Self::checked(files, &directory.display().to_string())
    }

    fn checked(files: BTreeMap<String, Vec<u8>>, from: &str) -> Result<Self, Error> {
        for needed in [
            "core/Kbuild",
            "update/Kbuild",
            "update/main.c",
            "include/resplice/format.h",
        ] {
            if !files.contains_key(needed) {
                return Err(Error::internal(
                    format!("find the kernel module's sources in {from}"),
                    format!("there is no {needed}"),
                ));
            }
        }
        Ok(Self { files })
    }

    /// The files below a directory, by their paths in it.
    pub fn directory<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.files.iter().filter_map(move |(path, bytes)| {
            let file = path.strip_prefix(name)?.strip_prefix('/')?;
            Some((file, bytes.as_slice()))
        })
    }

    /// sha256 over all of them, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (path, bytes) in &self.files {
            for part in [path.as_bytes(), bytes.as_slice()] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_binary_has_the_repository_s_sources() {
        let embedded = Kmod::embedded().unwrap();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kmod");
        assert_eq!(
            embedded.digest(),
            Kmod::from_directory(&directory).unwrap().digest()
        );
        assert!(
            embedded
                .directory("include/resplice")
                .any(|(name, _)| name == "format.h")
        );
    }
}
