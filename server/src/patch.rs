//! Reads a unified diff, strictly: what is let through here is a text patch
//! against files of the kernel's tree, with hunks as long as their headers say.
//!
//! The text around the diffs (a commit message, a mail signature) is skipped.
//! The worker applies the patch; this finds out before anything is stored
//! whether that can be tried at all, and which files it is about.

use std::collections::BTreeSet;

/// Most files in one patch.
pub const MAX_FILES: usize = 1024;
/// Longest path in bytes.
const MAX_PATH_BYTES: usize = 512;
const NO_FILE: &str = "/dev/null";

/// Why a patch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the patch: {reason}")]
pub struct PatchError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there and what to do.
    pub reason: String,
}

/// What a patch touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The files, without the leading component, sorted.
    pub files: Vec<String>,
    /// Its hunks, as they come.
    pub parts: Vec<Hunk>,
}

/// One place that a patch changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The file before; none if it is new.
    pub old: Option<String>,
    /// The file after; none if it is deleted.
    pub new: Option<String>,
    /// The line before, from 1, at which it begins.
    pub line: usize,
    /// The lines that have to be there, without their ends.
    pub before: Vec<String>,
}

/// Checks a patch.
///
/// # Errors
/// [`PatchError`] with the first line that can't be accepted.
pub fn check(text: &str) -> Result<Patch, PatchError> {
    let mut reader = Reader {
        lines: text.split_inclusive('\n').collect(),
        at: 0,
        files: BTreeSet::new(),
        hunks: Vec::new(),
    };
    if let Some(line) = reader.lines.iter().position(|line| line.contains('\0')) {
        reader.at = line;
        return Err(reader.error("it holds a NUL byte: only text patches can be built"));
    }
    reader.read()?;
    resplice_api::declared(text).map_err(|error| PatchError {
        line: error.line as u64,
        reason: error.reason,
    })?;
    reader.at = reader.lines.len().saturating_sub(1);
    if reader.hunks.is_empty() {
        let reason = "there is no unified diff up to here; make one with `git diff` or \
                      `git format-patch`";
        return Err(reader.error(reason));
    }
    Ok(Patch {
        files: reader.files.into_iter().collect(),
        parts: reader.hunks,
    })
}

struct Reader<'a> {
    lines: Vec<&'a str>,
    /// Index of the line that is looked at.
    at: usize,
    files: BTreeSet<String>,
    hunks: Vec<Hunk>,
}

impl Reader<'_> {
    fn error(&self, reason: impl Into<String>) -> PatchError {
        PatchError {
            line: self.at as u64 + 1,
            reason: reason.into(),
        }
    }

    fn line(&self, at: usize) -> Option<&str> {
        let line = self.lines.get(at)?;
        Some(line.strip_suffix('\n').unwrap_or(line))
    }

    fn read(&mut self) -> Result<(), PatchError> {
        let mut in_header = false;
        while let Some(line) = self.line(self.at).map(str::to_owned) {
            if line.starts_with("diff --git ") {
                in_header = true;
            } else if line.starts_with("--- ") && self.next_is_new_file() {
                self.file()?;
                in_header = false;
                continue;
            } else if is_hunk(&line) {
                return Err(self.error("a hunk without the `---` and `+++` lines of its file"));
            } else if line == "GIT binary patch"
                || (line.starts_with("Binary files ") && line.ends_with(" differ"))
            {
                return Err(self.error("a binary change: only text can be built"));
            } else if line.starts_with("*** ") && self.next_starts("--- ") {
                return Err(self.error("a context diff: make a unified one with `diff -u`"));
            } else if in_header {
                self.extended_header(&line)?;
            }
            self.at += 1;
        }
        Ok(())
    }

    fn next_starts(&self, prefix: &str) -> bool {
        self.line(self.at + 1)
            .is_some_and(|line| line.starts_with(prefix))
    }

    fn next_is_new_file(&self) -> bool {
        self.next_starts("+++ ")
    }

    /// The lines of git between `diff --git` and the hunks.
    fn extended_header(&mut self, line: &str) -> Result<(), PatchError> {
        for prefix in ["rename from ", "rename to ", "copy from ", "copy to "] {
            if let Some(path) = line.strip_prefix(prefix) {
                self.add(path.to_owned())?;
            }
        }
        for prefix in [
            "old mode ",
            "new mode ",
            "new file mode ",
            "deleted file mode ",
        ] {
            let mode = line.strip_prefix(prefix).map(str::trim_end);
            if mode.is_some_and(|mode| !matches!(mode, "100644" | "100755" | "100664")) {
                return Err(self.error(
                    "a mode that is no plain file's: links and submodules can't be patched",
                ));
            }
        }
        Ok(())
    }

    /// `---`, `+++` and the hunks of one file.
    fn file(&mut self) -> Result<(), PatchError> {
        let old = self.path("--- ", "a/")?;
        self.at += 1;
        let new = self.path("+++ ", "b/")?;
        if old.is_none() && new.is_none() {
            return Err(self.error("both names are /dev/null"));
        }
        self.at += 1;
        let before = self.hunks.len();
        while let Some(line) = self.line(self.at).map(str::to_owned) {
            if !is_hunk(&line) {
                break;
            }
            self.hunk(&line, old.as_deref(), new.as_deref())?;
        }
        if self.hunks.len() == before {
            return Err(self.error("a hunk (`@@ -1,2 +1,2 @@`) is missing here"));
        }
        self.no_surplus()?;
        for path in [old, new].into_iter().flatten() {
            self.add(path)?;
        }
        Ok(())
    }

    /// Behind a hunk there is another one, another file or text, but no line of a
    /// hunk: tools that apply patches would drop it without a word.
    fn no_surplus(&self) -> Result<(), PatchError> {
        let line = self.line(self.at).unwrap_or_default();
        let file = line.starts_with("--- ") && self.next_is_new_file();
        let surplus = line.starts_with([' ', '+', '-']) && line.trim_end() != "--" && !file;
        if surplus {
            return Err(self.error("the hunk before it has more lines than its header says"));
        }
        Ok(())
    }

    /// The path of a `---` or `+++` line; none for /dev/null.
    fn path(&self, prefix: &str, side: &str) -> Result<Option<String>, PatchError> {
        let line = self.line(self.at).unwrap_or_default();
        let name = line.strip_prefix(prefix).unwrap_or_default();
        // diff(1) writes a time after a tab.
        let name = name.split('\t').next().unwrap_or_default();
        let name = name.strip_suffix('\r').unwrap_or(name);
        if name == NO_FILE {
            return Ok(None);
        }
        if name.starts_with('"') {
            return Err(self.error("a quoted path: names of kernel files need no quotes"));
        }
        if name.starts_with('/') {
            return Err(self.error(format!("the path {name:?} is absolute")));
        }
        match name.split_once('/') {
            Some((first, rest)) if !matches!(first, "" | "." | "..") => Ok(Some(rest.to_owned())),
            _ => Err(self.error(format!(
                "the path {name:?} has no leading component such as {side}: make the patch with \
                 `git diff` at the top of the tree"
            ))),
        }
    }

    fn add(&mut self, path: String) -> Result<(), PatchError> {
        let path = path.trim_end_matches('\r').to_owned();
        if path.is_empty() || path.len() > MAX_PATH_BYTES {
            return Err(self.error(format!("a path has 1 to {MAX_PATH_BYTES} bytes")));
        }
        let bad_part = |part: &str| matches!(part, "" | "." | ".." | ".git");
        if path.split('/').any(bad_part) {
            return Err(self.error(format!("the path {path:?} leaves the kernel's tree")));
        }
        let good = |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '"' | '\'' | '$' | '`');
        if !path.chars().all(good) {
            return Err(self.error(format!(
                "the path {path:?} holds a character that no kernel file has"
            )));
        }
        self.files.insert(path);
        if self.files.len() > MAX_FILES {
            return Err(self.error(format!("more than {MAX_FILES} files in one patch")));
        }
        Ok(())
    }

    /// One hunk, from its header; leaves the reader behind it.
    fn hunk(
        &mut self,
        header: &str,
        old_path: Option<&str>,
        new_path: Option<&str>,
    ) -> Result<(), PatchError> {
        let Some((place, mut old, mut new)) = counts(header) else {
            return Err(self.error("a hunk header must look like `@@ -12,7 +12,9 @@`"));
        };
        if (old_path.is_none() && old > 0) || (new_path.is_none() && new > 0) {
            return Err(self.error("a hunk with lines of a file that is /dev/null"));
        }
        let mut hunk = Hunk {
            old: old_path.map(str::to_owned),
            new: new_path.map(str::to_owned),
            // A hunk without old lines comes after the line that it names.
            line: if old == 0 { place + 1 } else { place },
            before: Vec::new(),
        };
        let start = self.at as u64 + 1;
        self.at += 1;
        let mut last_was_line = false;
        loop {
            let line = self.line(self.at);
            let kind = line.map(|line| line.as_bytes().first().copied());
            if kind == Some(Some(b'\\')) && last_was_line {
                last_was_line = false;
                self.at += 1;
                continue;
            }
            if old == 0 && new == 0 {
                self.hunks.push(hunk);
                return Ok(());
            }
            let (minus, plus) = match kind {
                // Mailers cut the blank off an empty line.
                Some(Some(b' ') | None) => (1, 1),
                Some(Some(b'\r')) if line == Some("\r") => (1, 1),
                Some(Some(b'-')) => (1, 0),
                Some(Some(b'+')) => (0, 1),
                _ => (u64::MAX, 0),
            };
            match (old.checked_sub(minus), new.checked_sub(plus)) {
                (Some(o), Some(n)) => (old, new) = (o, n),
                _ => {
                    let end = if line.is_some() {
                        "goes on otherwise"
                    } else {
                        "ends"
                    };
                    return Err(self.error(format!(
                        "the hunk that begins in line {start} still lacks {old} old and {new} new \
                         lines, but the patch {end} here"
                    )));
                }
            }
            if minus == 1 {
                let line = self.line(self.at).unwrap_or_default();
                let text = line.get(1..).unwrap_or_default();
                hunk.before.push(text.trim_end_matches('\r').to_owned());
            }
            last_was_line = true;
            self.at += 1;
        }
    }
}

fn is_hunk(line: &str) -> bool {
    line.starts_with("@@ -")
}

/// Old line and counts of old and new in `@@ -12,7 +12,9 @@ text`.
fn counts(header: &str) -> Option<(usize, u64, u64)> {
    let (ranges, _) = header.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let (line, old) = range(old)?;
    Some((usize::try_from(line).ok()?, old, range(new)?.1))
}

fn range(text: &str) -> Option<(u64, u64)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Nine digits are more lines than a patch can have.
        (digits && text.len() <= 9).then(|| text.parse::<u64>().ok())?
    };
    match text.split_once(',') {
        Some((start, count)) => Some((number(start)?, number(count)?)),
        None => Some((number(text)?, 1)),
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
