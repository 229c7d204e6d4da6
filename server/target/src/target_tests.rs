#![allow(clippy::unwrap_used)]
use super::*;

fn input(role: Role, version: &str) -> Input {
    Input {
        role,
        name: format!("{role:?}").to_lowercase(),
        version: version.to_owned(),
        file: "x.deb".to_owned(),
        sha256: "00".repeat(32),
        bytes: 1,
    }
}

fn record() -> Record {
    Record {
        format: FORMAT,
        id: "debian:6.1.0-50-cloud-amd64".parse().unwrap(),
        package_version: "6.1.176-1".to_owned(),
        arch: "x86_64".to_owned(),
        cc_version_text: "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0".to_owned(),
        banner: "Linux version".to_owned(),
        vmlinux_sha256: "00".repeat(32),
        inputs: vec![
            input(Role::Kbuild, "6.1.192-2"),
            input(Role::Image, "6.1.176-1"),
        ],
    }
}

#[test]
fn what_was_created_is_loaded_and_listed() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    fs::create_dir_all(cache.target("6.1.0-50-cloud-amd64")).unwrap();
    let created = Target::create(&cache, record()).unwrap();
    let loaded = Target::load(&cache, created.id()).unwrap();
    assert_eq!(loaded.record, created.record);
    assert_eq!(Target::imported(&cache).unwrap().len(), 1);
}

#[test]
fn a_missing_older_or_foreign_record_is_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    let id = record().id;
    let load = |text: &str| {
        fs::create_dir_all(cache.target(id.release())).unwrap();
        fs::write(cache.target(id.release()).join("target.json"), text).unwrap();
        Target::load(&cache, &id)
    };
    assert!(matches!(
        Target::load(&cache, &id),
        Err(Error::NotImported { .. })
    ));
    assert!(matches!(
        load("{\"format\":0}"),
        Err(Error::NotImported { .. })
    ));
    assert!(matches!(
        load(&format!("{{\"format\":{FORMAT}}}")),
        Err(Error::Content { .. })
    ));
    assert!(matches!(load("{"), Err(Error::Content { .. })));
    let mut other = record();
    other.id = "debian:6.1.0-47-cloud-amd64".parse().unwrap();
    assert!(matches!(
        load(&serde_json::to_string(&other).unwrap()),
        Err(Error::Content { .. })
    ));
}

#[test]
fn the_digest_does_not_depend_on_kbuild_or_the_order_of_inputs() {
    let mut other = record();
    other.inputs = vec![
        input(Role::Image, "6.1.176-1"),
        input(Role::Kbuild, "6.1.176-1"),
    ];
    assert_eq!(digest(&record()), digest(&other));
    other.inputs = vec![input(Role::Image, "6.1.176-2")];
    assert_ne!(digest(&record()), digest(&other));
}

#[test]
fn a_module_build_leaves_the_shared_tree_alone() {
    let target = Target {
        cache: Cache::new("/cache"),
        record: record(),
    };
    let recipe = target.module_build(Path::new("/job/module"));
    let writable: Vec<&str> = recipe
        .mounts
        .iter()
        .filter(|mount| mount.access != Access::ReadOnly)
        .map(|mount| mount.at)
        .collect();
    assert_eq!(writable, [SANDBOX_MODULE]);
}
