//! What compiles, by digest: part of what a build is a function of.

use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What a compiler calls, as it names them itself.
const PARTS: [&str; 4] = ["cc1", "as", "ld", "objcopy"];
/// Where a step looks for programs.
const DIRECTORIES: [&str; 2] = ["/usr/bin", "/usr/sbin"];

/// A program, or an image that holds all of them, and its sha256 in hex.
pub type Tool = (String, String);

/// The programs of this machine that `compiler` consists of.
pub(super) fn local(compiler: &str) -> Result<Vec<Tool>, String> {
    let mut tools = Vec::new();
    let mut add = |name: &str, path: &Path| {
        let digest = digest(path).map_err(|error| format!("read {}: {error}", path.display()))?;
        tools.push((format!("program {name}"), digest));
        Ok::<_, String>(())
    };
    let driver = find(compiler).ok_or_else(|| format!("there is no {compiler}"))?;
    add(compiler, &driver)?;
    for part in PARTS {
        let path = of(&driver, part).ok_or_else(|| format!("{compiler} has no {part}"))?;
        add(part, &path)?;
    }
    let make = find("make").ok_or("there is no make")?;
    add("make", &make)?;
    Ok(tools)
}

/// The file that the compiler calls for one of its parts.
fn of(driver: &Path, part: &str) -> Option<PathBuf> {
    let output = Command::new(driver)
        .arg(format!("-print-prog-name={part}"))
        .env_clear()
        .env("PATH", DIRECTORIES.join(":"))
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let named = String::from_utf8(output.stdout).ok()?;
    let named = named.trim();
    // A name without a directory is looked up as any other.
    if named.starts_with('/') {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    find(named)
}

fn find(name: &str) -> Option<PathBuf> {
    DIRECTORIES
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut HashWriter(&mut hash))?;
    Ok(hex::encode(hash.finalize()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
