//! Fetching and unpacking package files.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::archive::PackageFile;
use crate::cache::{Cache, create_dir, remove_tree};
use crate::command::{command, drain, finish, output, spawn, succeeded};
use crate::error::{Context, Error, Mismatch};
use crate::progress::Progress;
use crate::recipe::is_root;

/// Largest package that is fetched, in bytes (linux-source has 139 MB, amd64's -dbg 858 MB).
const PACKAGE_MAX: u64 = 1 << 30;
/// How often a download's size is looked at.
const POLL: Duration = Duration::from_millis(150);

/// Returns the cached package file, fetched first if it is not there. An interrupted download is resumed.
pub(crate) fn fetch(
    cache: &Cache,
    file: &PackageFile,
    progress: &dyn Progress,
) -> Result<PathBuf, Error> {
    let name =
        format!("{}_{}_{}.deb", file.name, file.version, file.architecture).replace(':', "%3a");
    if file.bytes > PACKAGE_MAX {
        return Err(Error::TooLarge {
            what: name,
            bytes: file.bytes,
            limit: PACKAGE_MAX,
        });
    }
    let path = cache.debs().join(&name);
    let _lock = cache.lock(&name, progress)?;
    if path.exists() {
        match verify(&path, file) {
            Ok(()) => return Ok(path),
            Err(_) => fs::remove_file(&path).context("remove", &path)?,
        }
    }
    let partial = cache.debs().join(format!(".partial-{name}"));
    create_dir(&partial)?;
    progress.begin(
        &format!("download {} {}", file.name, file.version),
        Some(file.bytes),
    );
    download(file, &partial, progress)?;
    let loaded = only_file(&partial)?;
    if let Err(error) = verify(&loaded, file) {
        remove_tree(&partial)?;
        return Err(error);
    }
    fs::rename(&loaded, &path).context("rename", &loaded)?;
    remove_tree(&partial)?;
    progress.end();
    Ok(path)
}

fn download(file: &PackageFile, directory: &Path, progress: &dyn Progress) -> Result<(), Error> {
    let mut apt = command("apt-get");
    apt.args(["download", "-q", "-o", "Acquire::Retries=3"]);
    if is_root() {
        // apt would drop to its own user, who may not write into the cache.
        apt.args(["-o", "APT::Sandbox::User=root"]);
    }
    apt.arg(format!("{}={}", file.name, file.version))
        .current_dir(directory);
    let mut child = spawn(apt.stdout(Stdio::null()).stderr(Stdio::piped()), "apt")?;
    let messages = drain(child.stderr.take());
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for", "apt-get")? {
            break status;
        }
        progress.advance(directory_bytes(directory));
        std::thread::sleep(POLL);
    };
    let operation = format!(
        "download {} {} (try `apt-get update`)",
        file.name, file.version
    );
    succeeded(&operation, status, &messages.join().unwrap_or_default())
}

fn directory_bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

fn only_file(directory: &Path) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(directory).context("read the directory", directory)?;
    let mut files = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"));
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file),
        _ => Err(Error::Content {
            path: directory.to_owned(),
            reason: "apt-get left no single package there; remove the directory and try again"
                .to_owned(),
        }),
    }
}

fn verify(path: &Path, file: &PackageFile) -> Result<(), Error> {
    let bytes = fs::metadata(path).context("look at", path)?.len();
    if bytes != file.bytes {
        return Err(differs(
            path,
            "sizes",
            file.bytes.to_string(),
            bytes.to_string(),
        ));
    }
    let digest = sha256(path)?;
    if digest != file.sha256 {
        return Err(differs(
            path,
            "SHA-256 digests",
            file.sha256.clone(),
            digest,
        ));
    }
    Ok(())
}

fn differs(path: &Path, what: &'static str, expected: String, found: String) -> Error {
    Mismatch {
        what,
        left_name: "the archive's index".to_owned(),
        left: expected,
        right_name: path.display().to_string(),
        right: found,
        remedy: "run `apt-get update` and import again",
    }
    .into()
}

/// SHA-256 of a file, in hex.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    let file = File::open(path).context("open", path)?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut chunk).context("read", path)?;
        match chunk.get(..read) {
            None | Some([]) => return Ok(hex::encode(hasher.finalize())),
            Some(bytes) => hasher.update(bytes),
        }
    }
}

/// Unpacks a package's files below `root`.
pub(crate) fn unpack(deb: &Path, root: &Path) -> Result<(), Error> {
    create_dir(root)?;
    let operation = format!("unpack {}", deb.display());
    output(
        &operation,
        command("dpkg-deb").arg("-x").arg(deb).arg(root),
        "dpkg",
    )?;
    Ok(())
}

/// Unpacks the kernel tree out of a linux-source package into `directory`, without writing the tar file between.
pub(crate) fn unpack_source(deb: &Path, series: &str, directory: &Path) -> Result<(), Error> {
    create_dir(directory)?;
    let operation = format!("unpack {}", deb.display());
    let member = format!("./usr/src/linux-source-{series}.tar.xz");
    let mut package = spawn(
        command("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(deb)
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
        "dpkg",
    )?;
    let mut inner = spawn(
        command("tar")
            .args(["-xO", "-f", "-", &member])
            .stdin(pipe(package.stdout.take()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
        "tar",
    )?;
    let mut outer = spawn(
        command("tar")
            .args(["-xJf", "-", "--strip-components=1", "--no-same-owner", "-C"])
            .arg(directory)
            .stdin(pipe(inner.stdout.take()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped()),
        "tar",
    )?;
    let messages = drain(outer.stderr.take());
    let unpacked = finish(&operation, &mut outer, messages);
    for child in [&mut inner, &mut package] {
        let status = child.wait().context("wait for", &operation)?;
        unpacked.as_ref().map_or(Ok(()), |()| {
            succeeded(&operation, status, b"the package is damaged")
        })?;
    }
    unpacked
}

fn pipe(output: Option<std::process::ChildStdout>) -> Stdio {
    output.map_or_else(Stdio::null, Stdio::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn package(bytes: u64, sha256: &str) -> PackageFile {
        PackageFile {
            name: "linux-source-6.1".to_owned(),
            version: "6.1.176-1".to_owned(),
            architecture: "all".to_owned(),
            sha256: sha256.to_owned(),
            bytes,
        }
    }

    #[test]
    fn a_file_must_have_the_size_and_digest_of_the_index() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.deb");
        fs::write(&path, b"abc").unwrap();
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(verify(&path, &package(3, digest)).is_ok());
        assert!(verify(&path, &package(4, digest)).is_err());
        let error = verify(&path, &package(3, &"0".repeat(64)))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(digest) && error.contains(&"0".repeat(64)),
            "{error}"
        );
    }

    #[test]
    fn a_package_beyond_the_limit_is_not_even_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        let error = fetch(&cache, &package(PACKAGE_MAX + 1, ""), &crate::Quiet).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
