use crate::support::{Service, TARGET, finish};
use resplice_api::{FinishStatus, Role, client::PlanAnswer};
use std::{io::Cursor, os::unix::fs::PermissionsExt};

#[tokio::test]
async fn a_restart_loses_nothing() {
    let service = Service::start().await;
    let (built, package) = service.built().await;
    service
        .client(Role::Engineer)
        .release(built.id, "reviewed")
        .await
        .unwrap();
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    worker
        .client
        .append_log(lease.job, 1, 0, b"before\n")
        .await
        .unwrap();
    let (_, enrolled) = service.enrol("web-1", TARGET).await;
    let before = service.client(Role::Team).updates(10, None).await.unwrap();

    let service = service.restart().await;
    let team = service.client(Role::Team);
    assert_eq!(team.updates(10, None).await.unwrap(), before);

    // The worker goes on with its attempt, the host with its token.
    let client = service.client(Role::Worker);
    client
        .append_log(lease.job, 1, 7, b"after\n")
        .await
        .unwrap();
    client
        .finish(lease.job, 1, &finish(FinishStatus::Failed))
        .await
        .unwrap();
    let log = team.log(lease.job, None, 0, false).await.unwrap();
    assert_eq!(
        (log.bytes.as_slice(), log.complete),
        (b"before\nafter\n".as_slice(), true)
    );
    let host = team.with_token(enrolled.token);
    let PlanAnswer::Plan { plan, .. } = host.plan(enrolled.host_id, None).await.unwrap() else {
        panic!("a plan comes back");
    };
    let planned = &plan.updates[0];
    let mut file = Cursor::new(Vec::new());
    let (sha256, bytes) = (&planned.package_sha256, planned.bytes);
    host.download_package(sha256, bytes, &mut file)
        .await
        .unwrap();
    assert_eq!(file.into_inner(), package);
}

#[tokio::test]
async fn tokens_are_private_files_and_only_their_digests_are_stored() {
    let service = Service::start().await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(service.data()), 0o700);
    for role in [
        Role::Admin,
        Role::Team,
        Role::Engineer,
        Role::Worker,
        Role::Enrol,
    ] {
        assert_eq!(mode(&service.token_file(role)), 0o600);
    }
    let secret = service.token(Role::Worker);
    let (_, secret) = secret.secret().rsplit_once('-').unwrap();
    for entry in std::fs::read_dir(service.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_removed_token_file_is_a_revoked_token() {
    let service = Service::start().await;
    let old = service.client(Role::Team);
    let token = service.token(Role::Team);
    std::fs::remove_file(service.token_file(Role::Team)).unwrap();
    let service = service.restart().await;
    assert_ne!(service.token(Role::Team), token);
    service.client(Role::Team).whoami().await.unwrap();
    let revoked = resplice_api::client::Client::new(&service.url, Some(token)).unwrap();
    assert_eq!(crate::support::problem(revoked.whoami().await).0, 401);
    drop(old);
}
