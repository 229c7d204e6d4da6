//! The same inputs give the same package, whoever builds it and wherever.

use crate::SEG6;
use resplice_package::{Package, PublicKey, SecretKey};
use resplice_target::{Cache, Target};
use resplice_tests::programs::{program, run_ok};
use resplice_tests::{CLOUD, repository, target, updates};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A machine with a worker: its own cache, but for the imported kernels, and
/// its own habits.
struct Place {
    cache: TempDir,
    script: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

impl Place {
    fn new(script: &'static str, environment: &'static [(&'static str, &'static str)]) -> Self {
        let kernels = Cache::from_env();
        // On the same file system: a build's directory is in the cache.
        let cache = TempDir::new_in(kernels.root()).unwrap();
        for name in ["targets", "sources"] {
            symlink(kernels.root().join(name), cache.path().join(name)).unwrap();
        }
        Self {
            cache,
            script,
            environment,
        }
    }

    /// Builds a patch there; everything that comes out is in the directory.
    fn build(&self, target: &Target, patch: &Path, key: &Path) -> TempDir {
        let out = TempDir::new().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--uts", "sh", "-c", self.script, "sh"]);
        command
            .arg(program("resplice-worker").unwrap())
            .args(["build", "--no-verify", "--json", "--name", "a fix"])
            .arg("--target")
            .arg(target.id().to_string())
            .arg("--cache")
            .arg(self.cache.path())
            .arg("--patch")
            .arg(patch)
            .arg("--key")
            .arg(key)
            .arg("--out")
            .arg(out.path())
            .envs(self.environment.iter().copied());
        run_ok(&mut command).unwrap();
        out
    }
}

fn package(directory: &Path, trusted: &[PublicKey]) -> (Vec<u8>, Package) {
    let is_package = |path: &PathBuf| path.extension().is_some_and(|end| end == "rspl");
    let mut entries = std::fs::read_dir(directory).unwrap();
    let path = entries
        .find_map(|entry| Some(entry.unwrap().path()).filter(is_package))
        .unwrap();
    let bytes = std::fs::read(path).unwrap();
    let package = Package::open(&bytes, trusted).unwrap();
    (bytes, package)
}

/// Other directory, host name, user's habits, time zone, language, number of
/// CPUs; the core too is built twice, since the caches are apart.
#[test]
fn two_workers_give_the_same_bytes() {
    let target = target(CLOUD).unwrap();
    let key = updates::worker_key().unwrap();
    let trusted = [SecretKey::load(&key).unwrap().public()];
    let one = Place::new(
        r#"hostname builder-one; umask 022; cd /; exec "$@""#,
        &[("TZ", "UTC"), ("LC_ALL", "C"), ("USER", "ann")],
    );
    let two = Place::new(
        r#"hostname other.example.org; umask 077; cd /tmp; exec taskset -c 0 "$@""#,
        &[
            ("TZ", "Pacific/Kiritimati"),
            ("LC_ALL", "C.UTF-8"),
            ("USER", "bob"),
            ("KBUILD_BUILD_USER", "bob"),
            ("KBUILD_BUILD_TIMESTAMP", "2001-02-03"),
            ("MAKEFLAGS", "-j3"),
            ("SOURCE_DATE_EPOCH", "1"),
            ("KCFLAGS", "-DNO"),
        ],
    );
    // The patch lies elsewhere as well: its path is no input.
    let elsewhere = TempDir::new().unwrap();
    let copy = elsewhere.path().join("renamed.diff");
    std::fs::copy(repository(SEG6), &copy).unwrap();
    let first = one.build(&target, &repository(SEG6), &key);
    let second = two.build(&target, &copy, &key);
    let (bytes, opened) = package(first.path(), &trusted);
    let (other_bytes, other) = package(second.path(), &trusted);
    assert!(opened.manifest().functions().count() > 0);
    // The members first: they tell where a difference is.
    assert_eq!(opened.manifest(), other.manifest());
    assert_eq!(opened.digest(), other.digest());
    assert!(bytes == other_bytes);
}
