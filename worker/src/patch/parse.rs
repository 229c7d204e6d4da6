//! Reading a unified diff: only as much as is needed to know which files it
//! touches. `patch` applies it, in a directory that holds those files and no
//! others, so a file that this reader overlooked can't be changed.

use super::{MAX_FILES, MAX_PATCH_BYTES, MAX_PATH_BYTES, PatchError};
use resplice_api::{Declared, declared};
use resplice_target::PathKind;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A patch, and what it does to which files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    text: String,
    files: Vec<String>,
    added: BTreeSet<String>,
    deleted: BTreeSet<String>,
    declared: Vec<Declared>,
}

impl Patch {
    /// Reads a patch.
    ///
    /// # Errors
    /// See [`PatchError`].
    pub fn parse(text: &str) -> Result<Self, PatchError> {
        if text.len() > MAX_PATCH_BYTES {
            return Err(PatchError::TooLarge {
                bytes: text.len(),
                limit: MAX_PATCH_BYTES,
            });
        }
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate() {
            reader.line(index + 1, line)?;
        }
        reader.end(text.lines().count())?;
        if reader.files.is_empty() {
            return Err(PatchError::Empty);
        }
        let declared = declared(text).map_err(|error| PatchError::Malformed {
            line: error.line,
            reason: error.reason,
        })?;
        Ok(Self {
            text: text.to_owned(),
            files: reader.files.into_iter().collect(),
            added: reader.added,
            deleted: reader.deleted,
            declared,
        })
    }

    /// The patch as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The files that it touches, relative to the source tree, sorted.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Those of its files that could be compiled into a kernel.
    pub fn sources(&self) -> impl Iterator<Item = &String> {
        self.files
            .iter()
            .filter(|file| without_effect(file).is_none())
    }

    /// Files that it makes, the new name of a renamed one among them.
    #[must_use]
    pub fn added(&self) -> &BTreeSet<String> {
        &self.added
    }

    /// Files that it removes, the old name of a renamed one among them.
    #[must_use]
    pub fn deleted(&self) -> &BTreeSet<String> {
        &self.deleted
    }

    /// What its description declares.
    #[must_use]
    pub fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// sha256 of the patch's bytes, in hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }
}

/// Lines of a hunk that are still to come.
#[derive(Default)]
struct Hunk {
    old: u64,
    new: u64,
}

#[derive(Default)]
struct Reader {
    files: BTreeSet<String>,
    added: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// The old path of git's `rename from` line.
    renamed: Option<String>,
    /// The path of the last `---` line, until `+++` follows.
    old_path: Option<String>,
    /// The file that the next hunk is for.
    file: Option<String>,
    /// The path of the last `diff --git` line, until its hunks begin.
    git_header: Option<String>,
    hunk: Hunk,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), PatchError> {
        if self.hunk.old > 0 || self.hunk.new > 0 {
            return self.hunk_line(number, line);
        }
        if let Some(paths) = line.strip_prefix("diff --git ") {
            self.file = None;
            self.renamed = None;
            let path = paths.rsplit_once(" b/").map_or(paths, |(_, path)| path);
            self.git_header = Some(path.to_owned());
        } else if let Some(path) = line.strip_prefix("--- ") {
            self.file = None;
            self.old_path = Some(path_of(path).to_owned());
        } else if let (Some(path), Some(old)) = (line.strip_prefix("+++ "), self.old_path.take()) {
            self.begin_file(&old, path_of(path))?;
            self.git_header = None;
        } else if line.starts_with("@@ ") && self.file.is_some() {
            self.hunk = hunk_header(line).ok_or_else(|| PatchError::Malformed {
                line: number,
                reason: "it should be a hunk's header, such as @@ -1,2 +1,3 @@".to_owned(),
            })?;
        } else {
            self.old_path = None;
            if let Some(path) = self.git_header.clone() {
                self.git_line(line, &path)?;
            }
        }
        Ok(())
    }

    fn hunk_line(&mut self, number: usize, line: &str) -> Result<(), PatchError> {
        let (old, new) = match line.as_bytes().first() {
            // Some mailers cut the trailing space off an empty context line.
            Some(b' ') | None => (1, 1),
            Some(b'-') => (1, 0),
            Some(b'+') => (0, 1),
            Some(b'\\') => (0, 0),
            Some(_) => (u64::MAX, u64::MAX),
        };
        match (
            self.hunk.old.checked_sub(old),
            self.hunk.new.checked_sub(new),
        ) {
            (Some(old), Some(new)) => {
                self.hunk = Hunk { old, new };
                Ok(())
            }
            _ => Err(PatchError::Malformed {
                line: number,
                reason: "the hunk does not have the lines that its header says".to_owned(),
            }),
        }
    }

    fn begin_file(&mut self, old: &str, new: &str) -> Result<(), PatchError> {
        let name = |path| match path {
            "/dev/null" => Ok(None),
            path => below_source(path).map(Some),
        };
        let file = match (name(old)?, name(new)?) {
            (Some(old), Some(new)) if old == new => old,
            (Some(old), Some(new)) => {
                if self.renamed.as_deref() != Some(old) {
                    return Err(PatchError::Refused {
                        code: "renamed-file",
                        path: new.to_owned(),
                        reason: "only git's form of a renaming is understood".to_owned(),
                    });
                }
                new
            }
            (None, Some(new)) => {
                self.added.insert(new.to_owned());
                new
            }
            (Some(old), None) => {
                self.deleted.insert(old.to_owned());
                old
            }
            (None, None) => {
                return Err(PatchError::Path {
                    path: new.to_owned(),
                });
            }
        };
        self.touch(file)?;
        self.file = Some(file.to_owned());
        Ok(())
    }

    fn touch(&mut self, file: &str) -> Result<(), PatchError> {
        check_kind(file)?;
        self.files.insert(file.to_owned());
        if self.files.len() > MAX_FILES {
            return Err(PatchError::TooManyFiles { limit: MAX_FILES });
        }
        Ok(())
    }

    /// What git writes between `diff --git` and the hunks.
    fn git_line(&mut self, line: &str, path: &str) -> Result<(), PatchError> {
        if let Some(old) = line.strip_prefix("rename from ") {
            let old = below_source(&format!("a/{old}"))?.to_owned();
            self.touch(&old)?;
            self.deleted.insert(old.clone());
            self.renamed = Some(old);
            return Ok(());
        }
        if let Some(new) = line.strip_prefix("rename to ") {
            let new = below_source(&format!("b/{new}"))?.to_owned();
            self.touch(&new)?;
            self.added.insert(new);
            return Ok(());
        }
        check_git_header(line, path)
    }

    fn end(&self, lines: usize) -> Result<(), PatchError> {
        if self.hunk.old > 0 || self.hunk.new > 0 {
            return Err(PatchError::Malformed {
                line: lines,
                reason: "the patch ends inside a hunk".to_owned(),
            });
        }
        Ok(())
    }
}

/// The path of a `---` or `+++` line: GNU diff puts a time after a tab.
fn path_of(text: &str) -> &str {
    let path = text.split('\t').next().unwrap_or(text);
    path.trim_end_matches(['\r', ' '])
}

/// Takes one leading component off (`patch -p1`) and checks the rest.
fn below_source(path: &str) -> Result<&str, PatchError> {
    let bad = || PatchError::Path {
        path: path.chars().take(MAX_PATH_BYTES).collect(),
    };
    let (first, rest) = path.split_once('/').ok_or_else(bad)?;
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-+.,".contains(&byte))
    };
    if plain(first) && rest.len() <= MAX_PATH_BYTES && rest.split('/').all(plain) {
        Ok(rest)
    } else {
        Err(bad())
    }
}

/// `@@ -1,2 +3,4 @@ ...`: how many old and new lines follow.
fn hunk_header(line: &str) -> Option<Hunk> {
    let ranges = line.strip_prefix("@@ -")?.split_once(" @@")?.0;
    let (old, new) = ranges.split_once(" +")?;
    let count = |range: &str| match range.split_once(',') {
        Some((start, count)) => start.parse::<u64>().and(count.parse::<u64>()).ok(),
        None => range.parse::<u64>().map(|_| 1).ok(),
    };
    let hunk = Hunk {
        old: count(old)?,
        new: count(new)?,
    };
    // More lines than a patch can have would only make the sums overflow.
    (hunk.old <= MAX_PATCH_BYTES as u64 && hunk.new <= MAX_PATCH_BYTES as u64).then_some(hunk)
}

/// What git writes there that no update can follow.
fn check_git_header(line: &str, path: &str) -> Result<(), PatchError> {
    let kinds = [
        (
            "copy ",
            "copied-file",
            "add it as a new file instead of copying it",
        ),
        (
            "old mode",
            "file-mode",
            "a file's mode means nothing to a running kernel; take it out",
        ),
        (
            "GIT binary patch",
            "binary",
            "only text can be compiled; take it out",
        ),
        (
            "Binary files ",
            "binary",
            "only text can be compiled; take it out",
        ),
    ];
    match kinds.iter().find(|(prefix, ..)| line.starts_with(prefix)) {
        Some((_, code, reason)) => Err(PatchError::Refused {
            code,
            path: path.to_owned(),
            reason: (*reason).to_owned(),
        }),
        None => Ok(()),
    }
}

/// Why a file takes no part in any x86-64 kernel, if that is so.
#[must_use]
pub fn without_effect(path: &str) -> Option<&'static str> {
    match PathKind::of(path) {
        PathKind::Idle(reason) => Some(reason),
        _ => None,
    }
}

/// Only C and assembly can be compiled twice and compared.
fn check_kind(path: &str) -> Result<(), PatchError> {
    let (code, reason) = match PathKind::of(path) {
        PathKind::Unit | PathKind::Header | PathKind::Assembly | PathKind::Idle(_) => return Ok(()),
        PathKind::DeviceTree => ("device-tree", "device trees are read at boot only"),
        PathKind::Build => (
            "build-system",
            "an update is compiled just as the kernel was; take this file out",
        ),
        PathKind::Other => (
            "not-c",
            "only C and assembly make object code; take this file out",
        ),
    };
    Err(PatchError::Refused {
        code,
        path: path.to_owned(),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
