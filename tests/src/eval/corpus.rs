//! A folder of patches, read as data.

use crate::repository;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Beside a checkout, where a machine has it.
const BESIDE: &str = "../shared/corpus/6.1.176-1";
/// What is known of the patches, tab-separated under a heading; optional.
const INDEX: &str = "INDEX.tsv";

/// One patch.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Its file's name without `.patch`.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What the index says that it reaches: vmlinux, module, mixed or header.
    pub reaches: String,
}

/// The folder that was asked for, else `$RESPLICE_CORPUS`, else the one beside
/// the checkout.
///
/// # Errors
/// If there is none.
pub fn directory(asked: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(directory) = asked.or_else(|| std::env::var_os("RESPLICE_CORPUS").map(Into::into)) {
        return Ok(directory);
    }
    let beside = repository(BESIDE);
    if beside.is_dir() {
        return Ok(beside);
    }
    bail!("there are no patches to try: name a folder of them, as in `make eval CORPUS=DIR`")
}

/// The folder's patches by name; with `only`, none but those.
///
/// # Errors
/// If the folder can't be read, or lacks what was asked for.
pub fn read(directory: &Path, only: &[String]) -> Result<Vec<Patch>> {
    let reaches = index(directory);
    let mut patches = Vec::new();
    let list = format!("list the patches in {}", directory.display());
    for entry in std::fs::read_dir(directory).context(list.clone())? {
        let path = entry.context(list.clone())?.path();
        let is_patch = path
            .extension()
            .is_some_and(|end| end == "patch" || end == "diff");
        let Some(name) = path.file_stem().filter(|_| is_patch) else {
            continue;
        };
        let name = name.to_string_lossy().into_owned();
        if only.is_empty() || only.contains(&name) {
            patches.push(Patch {
                reaches: reaches.get(&name).cloned().unwrap_or_default(),
                name,
                path,
            });
        }
    }
    for wanted in only {
        if !patches.iter().any(|patch| patch.name == *wanted) {
            bail!("{} has no patch {wanted}", directory.display());
        }
    }
    if patches.is_empty() {
        bail!("{} has no patches", directory.display());
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(patches)
}

fn index(directory: &Path) -> HashMap<String, String> {
    let text = std::fs::read_to_string(directory.join(INDEX)).unwrap_or_default();
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let mut cells = line.split('\t');
            Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patches_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.patch", "a.patch", "README"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let index = "cve\ttarget\tone_hunk\na\tmodule\t1\n";
        std::fs::write(dir.path().join(INDEX), index).unwrap();
        let patches = read(dir.path(), &[]).unwrap();
        let names: Vec<&str> = patches.iter().map(|patch| patch.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(patches[0].reaches, "module");
        assert_eq!(read(dir.path(), &["b".to_owned()]).unwrap().len(), 1);
        assert!(read(dir.path(), &["c".to_owned()]).is_err());
    }
}
