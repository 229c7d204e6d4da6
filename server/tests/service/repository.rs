//! The repository as anybody sees it who has no token.

use crate::support::{OTHER_TARGET, Service, TARGET};
use reqwest::{StatusCode, header};
use resplice_api::{Role, package_target};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

async fn get(service: &Service, path: &str) -> reqwest::Response {
    let address = format!("{}/repo/{path}", service.url);
    reqwest::Client::new().get(address).send().await.unwrap()
}

fn python() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = set("RESPLICE_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("resplice")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/resplice")));
    let python = cache.unwrap().join("tools/tuf/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `deploy/setup --test`",
        python.display()
    );
    python
}

#[tokio::test]
async fn what_is_released_is_public_and_what_is_not_is_not() {
    let service = Service::start().await;
    let (update, package) = service.built().await;
    let sha256 = resplice_package::sha256_hex(&package);
    let name = package_target(update.id, TARGET);
    let file = format!("targets/{sha256}.{name}");
    assert_eq!(get(&service, &file).await.status(), StatusCode::NOT_FOUND);
    service
        .client(Role::Engineer)
        .release(update.id, "")
        .await
        .unwrap();
    let answer = get(&service, &file).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let cache = answer.headers()[header::CACHE_CONTROL].clone();
    assert_eq!(cache, "public, immutable, max-age=31536000");
    assert_eq!(answer.bytes().await.unwrap(), package);
    let other = package_target(update.id, OTHER_TARGET);
    for absent in [
        format!("targets/{sha256}.{other}"),
        format!("targets/{sha256}"),
        format!("targets/{}.{name}", "0".repeat(64)),
        "targets/..%2Fmetadata%2Ftimestamp.json".to_owned(),
        "metadata/..%2Flock".to_owned(),
        "metadata/..%2F..%2Fkeys".to_owned(),
        "metadata/2.root.json".to_owned(),
        "lock".to_owned(),
    ] {
        let status = get(&service, &absent).await.status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{absent}");
    }
}

#[tokio::test]
async fn a_cache_may_keep_all_but_the_timestamp() {
    let service = Service::start().await;
    for (file, cache) in [
        (
            "metadata/1.root.json",
            "public, immutable, max-age=31536000",
        ),
        ("metadata/timestamp.json", "public, max-age=10"),
    ] {
        let answer = get(&service, file).await;
        assert_eq!(answer.status(), StatusCode::OK, "{file}");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], cache, "{file}");
        let etag = answer.headers()[header::ETAG].clone();
        let again = reqwest::Client::new()
            .get(format!("{}/repo/{file}", service.url))
            .header(header::IF_NONE_MATCH, etag)
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{file}");
    }
}

#[tokio::test]
async fn the_repository_outlives_a_restart_with_its_keys() {
    let service = Service::start().await;
    let (_, enrolled) = service.enrol("web-1", TARGET).await;
    let service = service.restart().await;
    let (_, again) = service.enrol("web-2", TARGET).await;
    assert_eq!(enrolled.root, again.root);
}

#[tokio::test]
async fn python_tuf_verifies_what_is_published() {
    let service = Service::start().await;
    let (update, package) = service.built().await;
    let (_, enrolled) = service.enrol("web-1", TARGET).await;
    service
        .client(Role::Engineer)
        .release(update.id, "")
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("trusted.json");
    std::fs::write(&root, &enrolled.root).unwrap();
    let name = package_target(update.id, TARGET);
    let script = Path::new("tests/python/verify.py");
    let run = |name: String| {
        let mut command = Command::new(python());
        command.arg("-B").arg(script).arg(&service.url).arg(&root);
        command.arg(dir.path().join("host")).arg(name);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = run(name).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert_eq!(said.trim(), resplice_package::sha256_hex(&package));
    let other = run(package_target(update.id, OTHER_TARGET)).await.unwrap();
    assert!(!other.status.success());
}
