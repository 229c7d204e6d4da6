//! What a patch reaches, before anybody builds it: whether it applies to a
//! kernel's source. The worker decides; this only spares a wait.

use crate::patch::{Hunk, Patch};
use resplice_api::FileKind;
use resplice_target::PathKind;
use std::{fs, io, path::Path};

/// Most reasons that are told of one kernel.
const MOST: usize = 20;
/// No file of the kernel's that anybody writes by hand is larger.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Most places where the hunks of a patch are tried in one kernel: some 0.05 s. An honest
/// patch needs few, its hunks stand near where they say.
const MAX_PLACES: usize = 5_000_000;

/// What a file of a patch is to a build.
#[must_use]
pub(crate) fn kind(path: &str) -> FileKind {
    match PathKind::of(path) {
        PathKind::Unit => FileKind::Unit,
        PathKind::Header => FileKind::Header,
        PathKind::Assembly => FileKind::Assembly,
        PathKind::Build | PathKind::DeviceTree | PathKind::Other => FileKind::Refused,
        PathKind::Idle(_) => FileKind::Idle,
    }
}

/// Why a patch does not apply to a source, as `patch --fuzz=0` would find out;
/// nothing if it does.
///
/// # Errors
/// If a file that is there can't be read.
pub(crate) fn misses(patch: &Patch, source: &Path) -> io::Result<Vec<String>> {
    let mut misses = Vec::new();
    let mut places = MAX_PLACES;
    for hunks in patch
        .parts
        .chunk_by(|a, b| a.old == b.old && a.new == b.new)
    {
        let Some(first) = hunks.first() else { continue };
        match &first.old {
            Some(path) => of_file(source, path, hunks, &mut places, &mut misses)?,
            None => {
                let path = first.new.as_deref().unwrap_or_default();
                if source.join(path).exists() {
                    misses.push(format!("{path}: the kernel has that file already"));
                }
            }
        }
        if misses.len() >= MOST {
            misses.truncate(MOST);
            break;
        }
    }
    Ok(misses)
}

fn of_file(
    source: &Path,
    path: &str,
    hunks: &[Hunk],
    places: &mut usize,
    misses: &mut Vec<String>,
) -> io::Result<()> {
    let file = source.join(path);
    match fs::metadata(&file) {
        Ok(found) if found.is_file() && found.len() <= MAX_FILE_BYTES => {}
        Ok(_) => {
            misses.push(format!("{path}: no source file"));
            return Ok(());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            misses.push(format!("{path}: the kernel has no such file"));
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let bytes = fs::read(&file)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let mut from = 0;
    for (index, hunk) in hunks.iter().enumerate() {
        // Each costs a look at the whole file.
        if misses.len() >= MOST {
            break;
        }
        match place(&lines, hunk, from, places) {
            Some(at) => from = at + hunk.before.len(),
            None if *places == 0 => {
                misses.push(format!(
                    "{path}: hunk {} is too far from its line {} to look for",
                    index + 1,
                    hunk.line
                ));
                break;
            }
            None => misses.push(format!(
                "{path}: hunk {} (line {}) is about other lines",
                index + 1,
                hunk.line
            )),
        }
    }
    Ok(())
}

/// Where a hunk's lines stand, not before `from`: nearest to where it says. So many places
/// may still be tried.
fn place(lines: &[&str], hunk: &Hunk, from: usize, places: &mut usize) -> Option<usize> {
    let last = lines.len().checked_sub(hunk.before.len())?;
    let stated = hunk.line.saturating_sub(1).min(last);
    let fits = |at: usize| {
        let here = lines.get(at..at + hunk.before.len());
        here.is_some_and(|here| here.iter().zip(&hunk.before).all(|(a, b)| a == b))
    };
    (0..=last)
        .flat_map(|away| [stated.checked_sub(away), Some(stated + away)])
        .flatten()
        .filter(|at| (from..=last).contains(at))
        .map_while(|at| {
            *places = places.checked_sub(1)?;
            Some(at)
        })
        .find(|at| fits(*at))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::patch::check;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("fs")).unwrap();
        let text: String = (1..=20).map(|line| format!("line {line}\n")).collect();
        fs::write(tree.path().join("fs/a.c"), text).unwrap();
        tree
    }

    fn misses_of(patch: &str) -> Vec<String> {
        misses(&check(patch).unwrap(), tree().path()).unwrap()
    }

    fn patch(old: &str, new: &str, hunks: &str) -> String {
        format!("--- {old}\n+++ {new}\n{hunks}")
    }

    #[test]
    fn hunks_apply_where_they_say_or_elsewhere_in_order() {
        let there = "@@ -2,2 +2,2 @@\n line 2\n-line 3\n+line three\n";
        let moved = "@@ -8,2 +8,2 @@\n line 12\n-line 13\n+line thirteen\n";
        let ours = patch("a/fs/a.c", "b/fs/a.c", &format!("{there}{moved}"));
        assert_eq!(misses_of(&ours), [""; 0]);
        // A mailer may have changed the ends of lines.
        assert_eq!(misses_of(&ours.replace('\n', "\r\n")), [""; 0]);
        // What comes first has to stand first.
        let turned = patch("a/fs/a.c", "b/fs/a.c", &format!("{moved}{there}"));
        assert_eq!(
            misses_of(&turned),
            ["fs/a.c: hunk 2 (line 2) is about other lines"]
        );
        let other = "@@ -2,2 +2,2 @@\n line 2\n-line iii\n+line three\n";
        assert_eq!(
            misses_of(&patch("a/fs/a.c", "b/fs/a.c", other)),
            ["fs/a.c: hunk 1 (line 2) is about other lines"]
        );
        let long: String = (1..=30).map(|line| format!(" line {line}\n")).collect();
        let long = format!("@@ -1,30 +1,31 @@\n{long}+more\n");
        assert_eq!(misses_of(&patch("a/fs/a.c", "b/fs/a.c", &long)).len(), 1);
    }

    #[test]
    fn files_that_are_there_or_not_are_named() {
        let hunk = "@@ -1 +1 @@\n-a\n+b\n";
        assert_eq!(
            misses_of(&patch("a/fs/b.c", "b/fs/b.c", hunk)),
            ["fs/b.c: the kernel has no such file"]
        );
        assert_eq!(
            misses_of(&patch("a/fs", "b/fs", hunk)),
            ["fs: no source file"]
        );
        let new = "@@ -0,0 +1 @@\n+b\n";
        assert_eq!(misses_of(&patch("/dev/null", "b/fs/b.c", new)), [""; 0]);
        assert_eq!(
            misses_of(&patch("/dev/null", "b/fs/a.c", new)),
            ["fs/a.c: the kernel has that file already"]
        );
    }

    #[test]
    fn what_says_to_stand_far_away_is_not_looked_for_without_end() {
        let lines: Vec<String> = (0..400_000).map(|line| line.to_string()).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("a.c"), lines.join("\n")).unwrap();
        let hunks: String = (0..30_000)
            .map(|line| format!("@@ -400000 +400000 @@\n-{line}\n+x\n"))
            .collect();
        let hunks = check(&patch("a/a.c", "b/a.c", &hunks)).unwrap();
        let misses = misses(&hunks, tree.path()).unwrap();
        let far = "a.c: hunk 13 is too far from its line 400000 to look for";
        assert_eq!(misses, [far]);
    }

    #[test]
    fn many_reasons_are_cut_short() {
        let files = (0..40).map(|n| {
            patch(
                &format!("a/{n}.c"),
                &format!("b/{n}.c"),
                "@@ -1 +1 @@\n-a\n+b\n",
            )
        });
        assert_eq!(misses_of(&files.collect::<String>()).len(), MOST);
    }
}
