//! A file before and after a patch in one text.
//!
//! Preprocessing a unit twice costs twice as much. So a touched header is given
//! to the preprocessor once, with both versions of each place that changes:
//!
//! ```text
//! __resplice_old__ __COUNTER__
//! lines before the patch
//! __resplice_new__ __COUNTER__
//! lines after it
//! __resplice_end__ __COUNTER__
//! ```
//!
//! That the unit's text before and after can then be told apart by these words
//! rests on this: neither version has a directive in it, so that macros,
//! conditions and included files are the same behind each of them; and no macro's
//! call and no comment or string goes across a border, since each border lies
//! outside of parentheses and after a semicolon, a brace or nothing at all. Where no
//! such border is to be found, there is no such text ([`both`] gives nothing).
//! What macros still make of the words shows when they come out, and so does a
//! version that counts further than the other (`split` in `compile/difference.rs`).

use super::{
    Patch,
    apply::read_source,
    line_changes,
    lines::{LineChange, MAX_DELAY_LINES, Scanner},
};
use crate::{Error, build::Build, sandbox::Bind};
use resplice_target::SANDBOX_SOURCE;
use std::{io::Write, ops::Range};

/// Begins what was there before.
pub const OLD: &str = "__resplice_old__";
/// Ends that, and begins what takes its place.
pub const NEW: &str = "__resplice_new__";
/// Ends that.
pub const END: &str = "__resplice_end__";
/// Follows each: how far the preprocessor has counted.
const COUNT: &str = "__COUNTER__";

/// What has to be bound over the source so that touched files have both versions,
/// and the files that can't have them: what is added, removed, or changed in a
/// way that [`both`] does not take.
///
/// # Errors
/// If files can't be read or written.
pub fn both_versions(build: &Build<'_>, patch: &Patch) -> Result<(Vec<Bind>, Vec<String>), Error> {
    let workspace = &build.workspace;
    let (mut binds, mut without) = (Vec::new(), Vec::new());
    for (index, file) in patch.sources().enumerate() {
        let text = if patch.added().contains(file) || patch.deleted().contains(file) {
            None
        } else {
            let old = read_source(&build.target.source_dir(), file)?;
            let new = workspace.read("out", &format!("{index}.post"))?;
            let diff = workspace.read("out", &format!("{index}.diff"))?;
            let changes = line_changes(&diff).ok();
            changes.and_then(|changes| both(&old, &new, &changes))
        };
        let Some(text) = text else {
            without.push(file.clone());
            continue;
        };
        let name = format!("post/both-{index}");
        workspace.write(&name, &text)?;
        binds.push(Bind::read_only(
            workspace.path(&name),
            format!("{SANDBOX_SOURCE}/{file}"),
        ));
    }
    Ok((binds, without))
}

/// Lines of the old text, and those of the new one that take their place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Region {
    old: Range<usize>,
    new: Range<usize>,
}

/// One text with both versions, or nothing if it can't be had.
#[must_use]
pub fn both(old: &[u8], new: &[u8], changes: &[LineChange]) -> Option<Vec<u8>> {
    let (old, new) = (Side::new(old)?, Side::new(new)?);
    let mut regions: Vec<Region> = Vec::new();
    let mut rest = changed(&old, &new, changes)?.into_iter().peekable();
    while let Some(mut region) = rest.next() {
        // The lines before are the same on both sides, back to the last region.
        let floor = regions.last().map_or(0, |last| last.old.end);
        while !(old.is_border(region.old.start) && new.is_border(region.new.start)) {
            if region.old.start == floor {
                let last = regions.pop()?;
                region.old.start = last.old.start;
                region.new.start = last.new.start;
                break;
            }
            region.old.start = region.old.start.checked_sub(1)?;
            region.new.start = region.new.start.checked_sub(1)?;
        }
        while !(old.is_border(region.old.end) && new.is_border(region.new.end)) {
            if let Some(next) = rest.next_if(|next| next.old.start == region.old.end) {
                region.old.end = next.old.end;
                region.new.end = next.new.end;
                continue;
            }
            if region.old.end == old.lines.len() {
                return None;
            }
            region.old.end += 1;
            region.new.end += 1;
        }
        regions.push(region);
    }
    let plain =
        |region: &Region| old.has_no_directive(&region.old) && new.has_no_directive(&region.new);
    if !regions.iter().all(plain) {
        return None;
    }
    write(&old, &new, &regions, changes)
}

/// The lines that differ, from what diff says of where they end.
fn changed(old: &Side<'_>, new: &Side<'_>, changes: &[LineChange]) -> Option<Vec<Region>> {
    let (mut old_at, mut new_at) = (0, 0);
    let mut regions = Vec::new();
    for change in changes {
        let old_end = change.old_next.checked_sub(1)?;
        let new_end = change.new_next.checked_sub(1)?;
        let mut region = Region {
            old: old_at..old_end,
            new: new_at..new_end,
        };
        let (before, after) = (
            old.lines.get(region.old.clone())?,
            new.lines.get(region.new.clone())?,
        );
        let alike = before.iter().zip(after).take_while(|(a, b)| a == b).count();
        region.old.start += alike;
        region.new.start += alike;
        (old_at, new_at) = (old_end, new_end);
        regions.push(region);
    }
    // What follows the last one is the same, too.
    (old.lines.get(old_at..)? == new.lines.get(new_at..)?).then_some(regions)
}

fn write(
    old: &Side<'_>,
    new: &Side<'_>,
    regions: &[Region],
    changes: &[LineChange],
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    for region in regions {
        for line in old.lines.get(at..region.old.start)? {
            out.extend_from_slice(line);
        }
        let begins = region.old.start + 1;
        // Writing to a vector can't fail.
        let _ = write!(out, "{OLD} {COUNT}\n#line {begins}\n");
        for line in old.lines.get(region.old.clone())? {
            out.extend_from_slice(line);
        }
        let _ = write!(out, "{NEW} {COUNT}\n#line {begins}\n");
        let mut wanted = None;
        for number in region.new.clone() {
            if let Some(change) = changes.iter().find(|change| change.new_next == number + 1) {
                wanted = change.shifts.then_some(*change);
            }
            // As `with_line_directives` puts them.
            if let Some(change) = wanted
                && new.states.get(number)?.clean
            {
                if number + 1 - change.new_next >= MAX_DELAY_LINES {
                    return None;
                }
                let line = change.old_next + (number + 1 - change.new_next);
                let _ = writeln!(out, "#line {line}");
                wanted = None;
            }
            out.extend_from_slice(new.lines.get(number)?);
        }
        let _ = write!(out, "{END} {COUNT}\n#line {}\n", region.old.end + 1);
        at = region.old.end;
    }
    for line in old.lines.get(at..)? {
        out.extend_from_slice(line);
    }
    Some(out)
}

/// One version of the file.
struct Side<'a> {
    lines: Vec<&'a [u8]>,
    /// What holds before each line, and at the end.
    states: Vec<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// Outside of comments, directives and parentheses.
    clean: bool,
    /// Nothing is left open before it, not even a macro's name.
    border: bool,
}

impl<'a> Side<'a> {
    fn new(text: &'a [u8]) -> Option<Self> {
        let known = [
            &b"__resplice_"[..],
            b"#line",
            b"# line",
            b"push_macro",
            b"pop_macro",
        ];
        if text.last().is_some_and(|&byte| byte != b'\n')
            || known
                .iter()
                .any(|word| memchr::memmem::find(text, word).is_some())
        {
            return None;
        }
        let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        let mut scanner = Scanner::default();
        let mut states = Vec::with_capacity(lines.len() + 1);
        for line in &lines {
            states.push(State::of(&scanner));
            scanner.line(line);
        }
        states.push(State::of(&scanner));
        Some(Self { lines, states })
    }

    fn is_border(&self, line: usize) -> bool {
        // The end of a file is none: what includes it goes on.
        line < self.lines.len() && self.states.get(line).is_some_and(|state| state.border)
    }

    /// Spelled in any way: `??=` and `%:` stand for `#`.
    fn has_no_directive(&self, lines: &Range<usize>) -> bool {
        let lines = self.lines.get(lines.clone()).unwrap_or_default();
        let marks = [&b"#"[..], b"%:", b"??="];
        !lines.iter().any(|line| {
            let line = line.trim_ascii_start();
            marks.iter().any(|mark| line.starts_with(mark))
        })
    }
}

impl State {
    fn of(scanner: &Scanner) -> Self {
        Self {
            clean: scanner.takes_directive(false),
            border: scanner.takes_directive(false) && scanner.is_between(),
        }
    }
}

#[cfg(test)]
#[path = "both_tests.rs"]
mod tests;
