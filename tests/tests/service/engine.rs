//! The sandbox of a container engine builds what the local one builds.

use crate::SEG6;
use resplice_package::{Package, SecretKey};
use resplice_target::Target;
use resplice_tests::engine::Engine;
use resplice_tests::programs::{program, run_ok};
use resplice_tests::{CLOUD, repository, target, updates};
use std::path::Path;
use std::process::Command;

/// Builds the fix and returns its package.
fn package(target: &Target, key: &Path, sandbox: impl Fn(&mut Command) -> &mut Command) -> Vec<u8> {
    let out = tempfile::tempdir().unwrap();
    let mut build = Command::new(program("resplice-worker").unwrap());
    build
        .args(["build", "--no-verify", "--json", "--target"])
        .arg(target.id().to_string())
        .arg("--patch")
        .arg(repository(SEG6))
        .arg("--key")
        .arg(key)
        .arg("--out")
        .arg(out.path());
    run_ok(sandbox(&mut build)).unwrap();
    let file = std::fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "rspl"))
        .unwrap();
    std::fs::read(file).unwrap()
}

#[test]
fn containers_give_the_same_bytes_as_the_local_sandbox() {
    let target = target(CLOUD).unwrap();
    let key = updates::worker_key().unwrap();
    let engine = Engine::start().unwrap();
    let contained = package(&target, &key, |build| {
        build.env("DOCKER_HOST", engine.address()).args([
            "--sandbox",
            "docker",
            "--image",
            &engine.image,
        ])
    });
    let left = engine.docker(&["ps", "--all", "--quiet"]).unwrap();
    assert_eq!(left, "", "containers are left");
    drop(engine);

    let trusted = [SecretKey::load(&key).unwrap().public()];
    let opened = Package::open(&contained, &trusted).unwrap();
    let names: Vec<&str> = opened
        .manifest()
        .functions()
        .map(|f| f.name.as_str())
        .collect();
    assert!(names.contains(&"seg6_validate_srh"), "{names:?}");

    let local = package(&target, &key, |build| build.args(["--sandbox", "local"]));
    let local = Package::open(&local, &trusted).unwrap();
    // The members first: they tell where a difference is.
    assert_eq!(opened.manifest(), local.manifest());
    assert_eq!(opened.digest(), local.digest());
}
