//! A folder of patches, read as data.

use crate::repository;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Beside a checkout, where a machine has it.
const BESIDE: &str = "../shared/corpus";
/// What is known of the patches of a directory, tab-separated: the name in the
/// first column, what it reaches in the one called `target`; optional.
const INDEX: &str = "INDEX.tsv";
/// What patches are called, mostly.
const ENDINGS: [&str; 2] = ["patch", "diff"];
/// A file of another name is a patch if a diff begins within so many bytes.
const HEAD_BYTES: u64 = 64 << 10;
/// Deeper folders are not searched.
const MAX_DEPTH: usize = 16;

/// One patch.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Its file's name without `.patch`; with its folder if several have it.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What the index says that it reaches: vmlinux, module, mixed or header.
    pub reaches: String,
    /// What is declared of it, to go in front of its text; mostly nothing.
    pub declared: String,
}

impl Patch {
    /// The patch's text, with what is declared of it.
    ///
    /// # Errors
    /// If its file can't be read, or is no text.
    pub fn text(&self) -> Result<String> {
        let read = || format!("read {}", self.path.display());
        let text = std::fs::read_to_string(&self.path).with_context(read)?;
        Ok(format!("{}{text}", self.declared))
    }
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

/// The patches in a folder and those below it, by name; with `only`, none but
/// those, by name or by file.
///
/// # Errors
/// If a folder can't be read, or lacks what was asked for.
pub fn read(directory: &Path, only: &[String]) -> Result<Vec<Patch>> {
    let mut patches = Vec::new();
    search(directory, 0, &mut patches)?;
    if patches.is_empty() {
        bail!("{} has no patches", directory.display());
    }
    tell_apart(directory, &mut patches);
    let is_wanted = |patch: &Patch, wanted: &str| {
        patch.name == wanted
            || stem(&patch.path) == wanted
            || patch.path.file_name().is_some_and(|name| name == wanted)
    };
    let only: Vec<&str> = only
        .iter()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty())
        .collect();
    for wanted in &only {
        if !patches.iter().any(|patch| is_wanted(patch, wanted)) {
            bail!("{} has no patch {wanted}", directory.display());
        }
    }
    if !only.is_empty() {
        patches.retain(|patch| only.iter().any(|wanted| is_wanted(patch, wanted)));
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(patches)
}

/// Takes in what a folder declares of patches: lines of their description in
/// `NAME.declared`.
///
/// # Errors
/// If such a file can't be read, or holds anything else.
pub fn declare(patches: &mut [Patch], directory: &Path) -> Result<()> {
    for patch in patches {
        let path = directory.join(format!("{}.declared", patch.name));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let count = resplice_api::declared(&text).map(|all| all.len());
        if count != Ok(text.lines().count()) || !text.ends_with('\n') {
            bail!("{} holds other lines than declarations", path.display());
        }
        patch.declared = text;
    }
    Ok(())
}

fn search(directory: &Path, depth: usize, patches: &mut Vec<Patch>) -> Result<()> {
    let reaches = index(directory);
    let list = || format!("list the patches in {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(list)? {
        let path = entry.with_context(list)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            if depth < MAX_DEPTH && !path.is_symlink() {
                search(&path, depth + 1, patches)?;
            }
        } else if path.is_file() && is_patch(&path)? {
            let name = stem(&path);
            patches.push(Patch {
                reaches: reaches.get(&name).cloned().unwrap_or_default(),
                declared: String::new(),
                name,
                path,
            });
        }
    }
    Ok(())
}

fn is_patch(path: &Path) -> Result<bool> {
    if ENDINGS
        .iter()
        .any(|end| path.extension().is_some_and(|e| e == *end))
    {
        return Ok(true);
    }
    let read = || format!("read {}", path.display());
    let mut head = Vec::new();
    let file = std::fs::File::open(path).with_context(read)?;
    file.take(HEAD_BYTES)
        .read_to_end(&mut head)
        .with_context(read)?;
    let head = String::from_utf8_lossy(&head);
    let lines: Vec<&str> = head.lines().collect();
    Ok(lines.windows(3).any(|three| {
        matches!(three, [a, b, c]
            if a.starts_with("--- ") && b.starts_with("+++ ") && c.starts_with("@@ -"))
    }))
}

fn stem(path: &Path) -> String {
    let known = ENDINGS
        .iter()
        .any(|end| path.extension().is_some_and(|e| e == *end));
    let name = if known {
        path.file_stem()
    } else {
        path.file_name()
    };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// Names that several patches have get their folders' in front; what is still
/// the same then, as `a.patch` and `a.diff`, keeps its ending.
fn tell_apart(directory: &Path, patches: &mut [Patch]) {
    let count = |patches: &[Patch]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for patch in patches {
            *counts.entry(patch.name.clone()).or_default() += 1;
        }
        counts
    };
    let counts = count(patches);
    let twice =
        |counts: &BTreeMap<String, usize>, name: &str| counts.get(name).is_some_and(|n| *n > 1);
    for patch in patches
        .iter_mut()
        .filter(|patch| twice(&counts, &patch.name))
    {
        let below = patch.path.strip_prefix(directory).unwrap_or(&patch.path);
        let below = below.with_file_name(&patch.name);
        patch.name = below.to_string_lossy().replace('/', "--");
    }
    let counts = count(patches);
    for patch in patches
        .iter_mut()
        .filter(|patch| twice(&counts, &patch.name))
    {
        let below = patch.path.strip_prefix(directory).unwrap_or(&patch.path);
        patch.name = below.to_string_lossy().replace('/', "--");
    }
}

fn index(directory: &Path) -> HashMap<String, String> {
    let text = std::fs::read_to_string(directory.join(INDEX)).unwrap_or_default();
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default();
    let column = heading.split('\t').position(|name| name == "target");
    let row = |line: &str| {
        let mut cells = line.split('\t');
        let name = cells.next()?.to_owned();
        Some((name, cells.nth(column?.checked_sub(1)?)?.to_owned()))
    };
    lines.filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    fn names(directory: &Path, only: &[&str]) -> Result<Vec<String>> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        Ok(read(directory, &only)?
            .into_iter()
            .map(|patch| patch.name)
            .collect())
    }

    #[test]
    fn patches_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.patch", "a.diff", "README", ".hidden.patch"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let index = "cve\ttarget\tone_hunk\na\tmodule\t1\n";
        fs::write(dir.path().join(INDEX), index).unwrap();
        assert_eq!(names(dir.path(), &[]).unwrap(), ["a", "b"]);
        assert_eq!(read(dir.path(), &[]).unwrap()[0].reaches, "module");
        assert_eq!(names(dir.path(), &["b"]).unwrap(), ["b"]);
        assert_eq!(names(dir.path(), &["a.diff"]).unwrap(), ["a"]);
        assert!(names(dir.path(), &["c"]).is_err());
    }

    #[test]
    fn what_is_declared_goes_in_front_of_the_patch_and_is_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.patch", "b.patch"] {
            fs::write(dir.path().join(name), "--- a\n").unwrap();
        }
        let line = "Resplice-Declare: init-done a.c:b (it ran)\n";
        fs::write(dir.path().join("b.declared"), line).unwrap();
        let mut patches = read(dir.path(), &[]).unwrap();
        declare(&mut patches, dir.path()).unwrap();
        assert_eq!(patches[0].text().unwrap(), "--- a\n");
        assert_eq!(patches[1].text().unwrap(), format!("{line}--- a\n"));
        fs::write(dir.path().join("b.declared"), format!("{line}+b\n")).unwrap();
        assert!(declare(&mut patches, dir.path()).is_err());
    }

    #[test]
    fn patches_of_folders_below_are_found_and_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "x/fix.patch",
            "y/z/fix.patch",
            "y/fix.diff",
            "y/fix.patch",
            "y/other.patch",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(
            names(dir.path(), &[]).unwrap(),
            [
                "other",
                "x--fix",
                "y--fix.diff",
                "y--fix.patch",
                "y--z--fix"
            ]
        );
        assert_eq!(names(dir.path(), &["fix"]).unwrap().len(), 4);
    }

    #[test]
    fn a_patch_of_any_name_is_known_by_its_contents() {
        let dir = tempfile::tempdir().unwrap();
        let mail = "Subject: x\n\n--- a/f.c\n+++ b/f.c\n@@ -1 +1 @@\n-a\n+b\n";
        fs::write(dir.path().join("0001-fix.mbox"), mail).unwrap();
        fs::write(dir.path().join("notes.txt"), "--- a\n+++ b\n").unwrap();
        assert_eq!(names(dir.path(), &[]).unwrap(), ["0001-fix.mbox"]);
    }
}
