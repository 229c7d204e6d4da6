//! Which translation units a source file is part of.

use crate::Error;
use std::{fs, path::Path};

/// Largest source file that is searched, in bytes.
const MAX_SOURCE_BYTES: u64 = 16 << 20;

/// The units that contain a `.c` file: itself, or the files beside it that
/// include it (`kernel/sched/rt.c` is part of `kernel/sched/build_policy.c`).
///
/// # Errors
/// If its directory can't be read.
pub fn units_of(source: &Path, file: &str) -> Result<Vec<String>, Error> {
    let (directory, name) = file.rsplit_once('/').unwrap_or(("", file));
    let path = source.join(directory);
    let needle = format!("\"{name}\"");
    let mut units = Vec::new();
    for entry in fs::read_dir(&path).map_err(Error::file("list", &path))? {
        let entry = entry.map_err(Error::file("list", &path))?;
        let other = entry.file_name().to_string_lossy().into_owned();
        let small = entry.metadata().is_ok_and(|m| m.len() <= MAX_SOURCE_BYTES);
        if !other.ends_with(".c") || other == name || !small {
            continue;
        }
        let text = fs::read(entry.path()).map_err(Error::file("read", &entry.path()))?;
        if includes(&text, needle.as_bytes()) {
            units.push(match directory {
                "" => other,
                _ => format!("{directory}/{other}"),
            });
        }
    }
    if units.is_empty() {
        units.push(file.to_owned());
    }
    units.sort();
    Ok(units)
}

fn includes(text: &[u8], needle: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n').any(|line| {
        let after = line
            .trim_ascii_start()
            .strip_prefix(b"#")
            .and_then(|rest| rest.trim_ascii_start().strip_prefix(b"include"));
        after.is_some_and(|rest| rest.trim_ascii_start().starts_with(needle))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_others_include_is_part_of_their_units() {
        let dir = tempfile::tempdir().unwrap();
        let sched = dir.path().join("kernel/sched");
        fs::create_dir_all(&sched).unwrap();
        fs::write(sched.join("rt.c"), "int x;\n").unwrap();
        fs::write(sched.join("core.c"), "/* \"rt.c\" */\n").unwrap();
        fs::write(sched.join("build_policy.c"), "# include \"rt.c\"\n").unwrap();
        let units = |file| units_of(dir.path(), file).unwrap();
        assert_eq!(units("kernel/sched/rt.c"), ["kernel/sched/build_policy.c"]);
        assert_eq!(units("kernel/sched/core.c"), ["kernel/sched/core.c"]);
    }
}
