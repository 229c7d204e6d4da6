//! The state directory: who may read it, and whether there is room.

use super::{Level, Place};
use crate::agent::Agent;
use anyhow::{Context, Result};
use resplice_package::MAX_PACKAGE_BYTES;
use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

/// Below that many free bytes a journal entry may not fit any more.
const NO_ROOM_BYTES: u64 = 16 << 20;

pub fn keys(agent: &Agent, _: &Place) -> Result<(Level, String)> {
    let dir = agent.state.path();
    let owner = fs::metadata(dir)?.uid();
    let files = [
        "host.key",
        "token",
        "host.json",
        "journal.jsonl",
        "repository/root.json",
    ];
    let mut exposed = Vec::new();
    for path in std::iter::once(dir.to_owned()).chain(files.map(|name| dir.join(name))) {
        exposed.extend(exposure(&path, owner)?);
    }
    Ok(match exposed.is_empty() {
        true => (Level::Ok, "keys and journal are private".to_owned()),
        false => (Level::Critical, exposed.join("; ")),
    })
}

/// Who else can read or write a file; the state directory itself keeps them out as
/// long as its own mode is right.
fn exposure(path: &Path, owner: u32) -> Result<Option<String>> {
    let shown = path.display();
    let seen = match fs::symlink_metadata(path) {
        Ok(seen) => seen,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("can't look at {shown}")),
    };
    Ok(if seen.is_symlink() {
        Some(format!("{shown} is a symbolic link"))
    } else if seen.mode() & 0o077 != 0 {
        let mode = seen.mode() & 0o777;
        Some(format!(
            "others can read {shown} (mode {mode:04o}): `chmod go= {shown}`"
        ))
    } else if seen.uid() != owner {
        Some(format!("{shown} belongs to another user ({})", seen.uid()))
    } else {
        None
    })
}

pub fn space(agent: &Agent, _: &Place) -> Result<(Level, String)> {
    let dir = agent.state.path();
    let seen = rustix::fs::statvfs(dir)
        .with_context(|| format!("can't ask for the free space of {}", dir.display()))?;
    let free = seen.f_bavail.saturating_mul(seen.f_frsize);
    let words = format!("{} MB are free at {}", free / 1_000_000, dir.display());
    Ok((level_of(free), words))
}

fn level_of(free: u64) -> Level {
    match free {
        ..NO_ROOM_BYTES => Level::Critical,
        // The package on its way, and the one that is in effect.
        _ if free < 2 * MAX_PACKAGE_BYTES as u64 => Level::Warning,
        _ => Level::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_a_warning_and_none_is_critical() {
        assert_eq!(level_of(NO_ROOM_BYTES - 1), Level::Critical);
        assert_eq!(level_of(NO_ROOM_BYTES), Level::Warning);
        assert_eq!(level_of(u64::MAX), Level::Ok);
    }
}
