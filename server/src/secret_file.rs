//! Files with secrets that people put beside the settings.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Largest file in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The text of a file that only its owner may read.
///
/// # Errors
/// The system's; and of others' rights to it, its length, or what is no text.
pub fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "others can read it, its mode is {:04o}; run `chmod 600 {}`",
            mode & 0o7777,
            path.display()
        )));
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is longer than 64 KiB"));
    }
    Ok(text)
}
