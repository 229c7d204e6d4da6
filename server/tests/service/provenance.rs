use crate::support::{OTHER_TARGET, Service, TARGET, Worker, finish, new_update, problem, stale};
use resplice_api::{FinishStatus, JobStatus, Role};
use resplice_package::{Package, Provenance, SecretKey, example};

#[tokio::test]
async fn a_package_is_told_with_its_origin_to_those_who_may_have_it() {
    let service = Service::start().await;
    let (update, package) = service.built().await;
    let info = update.jobs[0].package.clone().unwrap();
    let (host, _) = service.enrol("h1", TARGET).await;
    let (stranger, _) = service.enrol("h2", OTHER_TARGET).await;
    assert_eq!(problem(host.provenance(&info.sha256).await).0, 404);

    let bytes = service
        .client(Role::Team)
        .provenance(&info.sha256)
        .await
        .unwrap();
    let key = info.signer.parse().unwrap();
    let provenance = Provenance::open(&bytes, &[key]).unwrap();
    let package = Package::open(&package, &[key]).unwrap();
    provenance.vouches_for(&package).unwrap();
    assert_eq!(info.provenance, Some(resplice_package::sha256_hex(&bytes)));

    service
        .client(Role::Engineer)
        .release(update.id, "")
        .await
        .unwrap();
    assert_eq!(host.provenance(&info.sha256).await.unwrap(), bytes);
    assert_eq!(problem(stranger.provenance(&info.sha256).await).0, 404);
    let none = service.client(Role::Team).provenance(&"0".repeat(64)).await;
    assert_eq!(problem(none).0, 404);
}

#[tokio::test]
async fn a_job_is_not_built_without_a_provenance() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let package = worker.package(&lease);
    let client = &worker.client;
    let early = client.put_provenance(lease.job, 1, worker.provenance(&package));
    assert_eq!(problem(early.await), (409, "no-package".to_owned()));
    client
        .put_package(lease.job, 1, package.clone())
        .await
        .unwrap();
    let built = finish(FinishStatus::Built);
    let answer = problem(client.finish(lease.job, 1, &built).await);
    assert_eq!(answer, (409, "no-provenance".to_owned()));
    worker.store(&lease, &package).await;
    // The same again changes nothing; another package has none until it is told.
    client
        .put_package(lease.job, 1, package.clone())
        .await
        .unwrap();
    let job = client.job(lease.job).await.unwrap();
    assert!(job.package.unwrap().provenance.is_some());
    let mut other = lease.clone();
    other.update.name = "another".to_owned();
    client
        .put_package(lease.job, 1, worker.package(&other))
        .await
        .unwrap();
    let answer = problem(client.finish(lease.job, 1, &built).await);
    assert_eq!(answer, (409, "no-provenance".to_owned()));
    worker.store(&lease, &package).await;
    client.finish(lease.job, 1, &built).await.unwrap();
    let late = client.put_provenance(lease.job, 1, worker.provenance(&package));
    assert_eq!(problem(late.await), stale());
}

/// What the job says after this was stored as its package's provenance.
async fn refused(spoil: impl Fn(&Worker, &[u8]) -> Vec<u8>) -> String {
    let service = Service::start().await;
    service
        .client(Role::Team)
        .upload(&new_update(&[TARGET]))
        .await
        .unwrap();
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let package = worker.package(&lease);
    let client = &worker.client;
    client
        .put_package(lease.job, 1, package.clone())
        .await
        .unwrap();
    let put = client.put_provenance(lease.job, 1, spoil(&worker, &package));
    assert_eq!(problem(put.await).0, 422);
    let job = client.job(lease.job).await.unwrap();
    assert_eq!((job.status, job.package), (JobStatus::Failed, None));
    job.reason.unwrap()
}

#[tokio::test]
async fn a_tampered_statement_is_refused_and_fails_its_job() {
    let flipped = refused(|worker, package| {
        let mut bytes = worker.provenance(package);
        let text = String::from_utf8(bytes.clone()).unwrap();
        // A letter of the payload, in base64.
        let at = text.find("payload\":\"").unwrap() + 100;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        bytes
    });
    assert!(flipped.await.contains("altered"));
    let other_key = refused(|_, _| {
        let key = SecretKey::generate().unwrap();
        let bytes = Package::write(example::manifest(), example::members(), &key).unwrap();
        let package = Package::open(&bytes, &[key.public()]).unwrap();
        Provenance::write(&package, example::told(), &key).unwrap()
    });
    assert!(other_key.await.contains("not trusted"));
    let other_package = refused(|worker, _| {
        let bytes = Package::write(example::manifest(), example::members(), &worker.key).unwrap();
        worker.provenance(&bytes)
    });
    assert!(other_package.await.contains("it is about"));
    let nothing = refused(|_, _| b"{}".to_vec());
    assert!(nothing.await.contains("the provenance is refused"));
}
