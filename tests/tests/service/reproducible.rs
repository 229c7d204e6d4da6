//! The same inputs give the same package, whoever builds it and wherever.

use crate::{LOADAVG, SEG6};
use resplice_package::{Package, Provenance, PublicKey, SecretKey, part_member, provenance::Told};
use resplice_target::{Cache, Target};
use resplice_tests::programs::{program, run_ok};
use resplice_tests::{CLOUD, repository, target, updates};
use serde_json::Value;
use std::collections::BTreeMap;
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
        let mut command = self.worker();
        command
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
            .arg(out.path());
        run_ok(&mut command).unwrap();
        out
    }

    /// Builds there again what a directory holds; the exit code, and what is said.
    fn rebuild(&self, built: &Path, patch: &Path, trusted: PublicKey) -> (i32, Value) {
        let mut command = self.worker();
        command
            .args(["rebuild", "--json", "--worker-key", &trusted.to_string()])
            .arg("--cache")
            .arg(self.cache.path())
            .arg("--patch")
            .arg(patch)
            .arg("--log")
            .arg(self.cache.path().join("rebuild.log"))
            .arg(the(built, "rspl"));
        let output = command.output().unwrap();
        let said = serde_json::from_slice(&output.stdout);
        let said = said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), said)
    }

    fn worker(&self) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--uts", "sh", "-c", self.script, "sh"])
            .arg(program("resplice-worker").unwrap())
            .envs(self.environment.iter().copied());
        command
    }
}

/// The file in a directory whose name ends so.
fn the(directory: &Path, end: &str) -> PathBuf {
    let mut entries = std::fs::read_dir(directory).unwrap();
    let wanted = |path: &PathBuf| path.to_string_lossy().ends_with(&format!(".{end}"));
    entries
        .find_map(|entry| Some(entry.unwrap().path()).filter(wanted))
        .unwrap()
}

fn package(directory: &Path, trusted: &[PublicKey]) -> (Vec<u8>, Package) {
    let bytes = std::fs::read(the(directory, "rspl")).unwrap();
    let package = Package::open(&bytes, trusted).unwrap();
    (bytes, package)
}

/// From what the statement beside a package says, another worker comes to the same bytes:
/// one with neither the first one's key nor its caches, and with another directory, host
/// name, habits, time zone, language and number of CPUs.
#[test]
fn what_one_worker_builds_another_builds_again() {
    let target = target(CLOUD).unwrap();
    let key = updates::worker_key().unwrap();
    let secret = SecretKey::load(&key).unwrap();
    let trusted = secret.public();
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
    let patch = repository(SEG6);
    let first = one.build(&target, &patch, &key);
    let (code, said) = two.rebuild(first.path(), &patch, trusted);
    assert_eq!((code, &said["same"]), (0, &Value::Bool(true)), "{said}");
    assert_eq!(said["remarks"], Value::Array(Vec::new()), "{said}");

    // The patch lies elsewhere as well: its path is no input.
    let elsewhere = TempDir::new().unwrap();
    let copy = elsewhere.path().join("renamed.diff");
    std::fs::copy(&patch, &copy).unwrap();
    let second = two.build(&target, &copy, &key);
    is_the_same(first.path(), second.path(), trusted);
    drop(second);

    let built = first.path();
    refuses_another_patch(&two, built, trusted);
    finds_what_was_not_built(&two, built, &secret);
    refuses_a_tampered_statement(&two, built, trusted);
}

/// The members first: they tell where a difference is.
fn is_the_same(one: &Path, other: &Path, trusted: PublicKey) {
    let (bytes, opened) = package(one, &[trusted]);
    let (other_bytes, other) = package(other, &[trusted]);
    assert!(opened.manifest().functions().count() > 0);
    assert_eq!(opened.manifest(), other.manifest());
    assert_eq!(opened.digest(), other.digest());
    assert!(bytes == other_bytes);
}

fn refuses_another_patch(worker: &Place, built: &Path, trusted: PublicKey) {
    let (code, said) = worker.rebuild(built, &repository(LOADAVG), trusted);
    assert_eq!(code, 2, "{said}");
    assert!(
        said["reason"].as_str().unwrap().contains("the patch had"),
        "{said}"
    );
}

/// A worker whose key is trusted ships what it did not build; what was there comes back.
fn finds_what_was_not_built(worker: &Place, built: &Path, secret: &SecretKey) {
    let trusted = secret.public();
    let (bytes, original) = package(built, &[trusted]);
    let path = the(built, "provenance.json");
    let honest = std::fs::read(&path).unwrap();
    let provenance = Provenance::open(&honest, &[trusted]).unwrap();
    let module = part_member(&original.manifest().id, 0);
    let mut members: BTreeMap<String, Vec<u8>> = original
        .manifest()
        .members
        .iter()
        .map(|member| {
            let bytes = original.member(&member.name).unwrap();
            (member.name.clone(), bytes.to_vec())
        })
        .collect();
    *members.get_mut(&module).unwrap().last_mut().unwrap() ^= 1;
    let other = Package::write(original.manifest().clone(), members, secret).unwrap();
    let told = Told {
        set: provenance.definition().internal_parameters.clone(),
        more: provenance.definition().resolved_dependencies.clone(),
        metadata: provenance.metadata().clone(),
    };
    let opened = Package::open(&other, &[trusted]).unwrap();
    std::fs::write(&path, Provenance::write(&opened, told, secret).unwrap()).unwrap();
    std::fs::write(the(built, "rspl"), &other).unwrap();
    let (code, said) = worker.rebuild(built, &repository(SEG6), trusted);
    assert_eq!((code, &said["same"]), (1, &Value::Bool(false)), "{said}");
    let difference = said["differences"][0].as_str().unwrap();
    assert!(difference.starts_with(&module), "{said}");
    std::fs::write(the(built, "rspl"), &bytes).unwrap();
    // The statement about the other package is refused beside this one.
    let (code, said) = worker.rebuild(built, &repository(SEG6), trusted);
    assert_eq!(code, 2, "{said}");
    assert!(
        said["reason"].as_str().unwrap().contains("it is about"),
        "{said}"
    );
    std::fs::write(&path, honest).unwrap();
}

fn refuses_a_tampered_statement(worker: &Place, built: &Path, trusted: PublicKey) {
    let path = the(built, "provenance.json");
    let mut tampered = std::fs::read(&path).unwrap();
    let at = tampered.len() / 2;
    tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(&path, tampered).unwrap();
    let (code, said) = worker.rebuild(built, &repository(SEG6), trusted);
    assert_eq!(code, 2, "{said}");
    assert!(
        said["reason"].as_str().unwrap().contains("altered"),
        "{said}"
    );
}
