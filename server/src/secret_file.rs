//! Files with secrets: those that people put beside the settings, and the server's
//! own, in a directory that several servers may share.

use anyhow::Context;
use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};
use tempfile::NamedTempFile;

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

/// Writes a line to a file of mode 0600, in place of what was there.
///
/// # Errors
/// If it can't be written; then what was there is left as it was.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let error = || format!("can't write {}", path.display());
    let file = beside(path, text).with_context(error)?;
    file.persist(path).with_context(error)?;
    Ok(())
}

/// The same if there is no such file. If two servers do so at once, one of them
/// wins; returns whether it was this one.
///
/// # Errors
/// If it can't be written.
pub fn create(path: &Path, text: &str) -> anyhow::Result<bool> {
    let error = || format!("can't make {}", path.display());
    let file = beside(path, text).with_context(error)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failed) => Err(failed.error).with_context(error),
    }
}

/// A file with the text, in the same directory, under a name that nobody else has
/// and that a backup leaves out. It goes away unless it is given another.
fn beside(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(directory.unwrap_or(Path::new(".")))?;
    writeln!(file, "{text}")?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn many_write_at_once_and_each_whole() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for _ in 0..50 {
                        write(file, &format!("{writer}").repeat(99)).unwrap();
                    }
                });
            }
        });
        let text = read(&file).unwrap();
        let first = text.get(..1).unwrap();
        assert_eq!(text, format!("{}\n", first.repeat(99)));
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn one_of_many_makes_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        let won: Vec<usize> = std::thread::scope(|scope| {
            let made: Vec<_> = (0..8)
                .map(|writer| {
                    let file = &file;
                    scope.spawn(move || create(file, &writer.to_string()).unwrap())
                })
                .collect();
            let made = made.into_iter().map(|thread| thread.join().unwrap());
            made.enumerate()
                .filter_map(|(writer, won)| won.then_some(writer))
                .collect()
        });
        assert_eq!(won.len(), 1);
        assert_eq!(read(&file).unwrap(), format!("{}\n", won.first().unwrap()));
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }
}
