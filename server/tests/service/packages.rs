use crate::support::{OTHER_TARGET, Service, TARGET, finish, problem, stale};
use resplice_api::{FinishStatus, JobStatus, Role, client::Error};
use resplice_package::SecretKey;
use std::io::Cursor;

#[tokio::test]
async fn a_package_comes_whole_in_part_and_from_where_it_stopped() {
    let service = Service::start().await;
    let (update, package) = service.built().await;
    let sha256 = update.jobs[0].package.clone().unwrap().sha256;
    let size = package.len();
    let address = format!("{}/api/v1/packages/{sha256}", service.url);
    let http = reqwest::Client::new();
    let get = async |range: &str| {
        let token = service.token(Role::Engineer);
        let request = http.get(&address).bearer_auth(token.secret());
        let response = request.header("range", range).send().await.unwrap();
        let content_range = response.headers().get("content-range");
        let content_range = content_range.map(|value| value.to_str().unwrap().to_owned());
        (
            response.status().as_u16(),
            content_range,
            response.bytes().await.unwrap(),
        )
    };
    let (status, range, bytes) = get("bytes=10-19").await;
    assert_eq!(
        (status, range.unwrap()),
        (206, format!("bytes 10-19/{size}"))
    );
    assert_eq!(bytes, package[10..20]);
    assert_eq!(get("bytes=-5").await.2, package[size - 5..]);
    assert_eq!(get(&format!("bytes={size}-")).await.0, 416);
    let (status, _, bytes) = get("bytes=0-1,3-4").await;
    assert_eq!((status, bytes.len()), (200, size));

    let client = service.client(Role::Team);
    for have in [0, 1, size - 1, size] {
        let mut file = Cursor::new(package[..have].to_vec());
        let bytes = client
            .download_package(&sha256, size as u64, &mut file)
            .await
            .unwrap();
        assert_eq!((bytes, file.into_inner()), (size as u64, package.clone()));
    }
    let mut damaged = package[..50].to_vec();
    damaged[3] ^= 1;
    let result = client
        .download_package(&sha256, size as u64, &mut Cursor::new(damaged))
        .await;
    assert!(matches!(result, Err(Error::Digest { .. })), "{result:?}");
    let limit = size as u64 - 1;
    let result = client
        .download_package(&sha256, limit, &mut Cursor::new(Vec::new()))
        .await;
    assert!(matches!(result, Err(Error::TooLarge { .. })), "{result:?}");
}

#[tokio::test]
async fn a_bad_package_is_refused_and_fails_its_job() {
    type Spoil = fn(&mut Vec<u8>);
    let spoil: [(&str, Spoil); 3] = [
        ("flipped", |bytes| bytes[700] ^= 1),
        ("cut", |bytes| bytes.truncate(1024)),
        ("longer", |bytes| bytes.push(0)),
    ];
    for (name, spoil) in spoil {
        let service = Service::start().await;
        service.upload().await;
        let worker = service.worker("w").await;
        let lease = worker.lease(&[]).await.unwrap();
        let mut package = worker.package(&lease);
        spoil(&mut package);
        let answer = problem(worker.client.put_package(lease.job, 1, package).await);
        assert_eq!(answer.0, 422, "{name}");
        let job = worker.client.job(lease.job).await.unwrap();
        assert_eq!(
            (job.status, job.package),
            (JobStatus::Failed, None),
            "{name}"
        );
        assert!(
            job.reason.unwrap().starts_with("the package was refused"),
            "{name}"
        );
        let good = worker.package(&lease);
        assert_eq!(
            problem(worker.client.put_package(lease.job, 1, good).await),
            stale(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_package_signed_by_another_key_is_refused() {
    let service = Service::start().await;
    service.upload().await;
    // A key that is registered, but is not this worker's.
    let other = service.worker("other").await;
    let mut worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    worker.key = other.key;
    let package = worker.package(&lease);
    let error = worker
        .client
        .put_package(lease.job, 1, package)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not trusted"), "{error}");
}

#[tokio::test]
async fn a_worker_without_a_key_can_not_publish() {
    let service = Service::start().await;
    service.upload().await;
    let mut worker = service.worker("w").await;
    worker.name = "unknown".to_owned();
    let lease = worker.lease(&[]).await.unwrap();
    let package = worker.package(&lease);
    let error = worker
        .client
        .put_package(lease.job, 1, package)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("registered no key"), "{error}");
}

#[tokio::test]
async fn a_package_of_another_job_is_refused() {
    let service = Service::start().await;
    let first = service.upload().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let mine = worker.lease(&[]).await.unwrap();
    let foreign = worker.lease(&[]).await.unwrap();
    assert_eq!(mine.update.id, first.id);
    let package = worker.package(&foreign);
    let error = worker
        .client
        .put_package(mine.job, 1, package)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("it is for the update"),
        "{error}"
    );
    let mut retargeted = foreign.clone();
    retargeted.target = OTHER_TARGET.to_owned();
    let package = worker.package(&retargeted);
    let error = worker
        .client
        .put_package(foreign.job, 1, package)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("it is for the target"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_keeps_its_key() {
    let service = Service::start().await;
    let worker = service.worker("w").await;
    let mut new = resplice_api::NewWorker {
        name: "w".to_owned(),
        public_key: SecretKey::generate().unwrap().public().to_string(),
    };
    let taken = problem(worker.client.register_worker(&new).await);
    assert_eq!(taken, (409, "worker-exists".to_owned()));
    new.public_key = worker.key.public().to_string();
    worker.client.register_worker(&new).await.unwrap();
    new.name = "other".to_owned();
    let taken = problem(worker.client.register_worker(&new).await);
    assert_eq!(taken, (409, "key-exists".to_owned()));
}

#[tokio::test]
async fn a_host_gets_only_what_is_released_for_its_target() {
    let service = Service::start().await;
    let (update, package) = service.built().await;
    let sha256 = update.jobs[0].package.clone().unwrap().sha256;
    let limit = package.len() as u64;
    let (host, _) = service.enrol("right", TARGET).await;
    let (stranger, _) = service.enrol("wrong", OTHER_TARGET).await;
    let mut file = Cursor::new(Vec::new());
    assert_eq!(
        problem(host.download_package(&sha256, limit, &mut file).await).0,
        404
    );
    service
        .client(Role::Engineer)
        .release(update.id, "")
        .await
        .unwrap();
    assert_eq!(
        problem(stranger.download_package(&sha256, limit, &mut file).await).0,
        404
    );
    host.download_package(&sha256, limit, &mut file)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failed_job_keeps_no_package() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let stored = worker
        .client
        .put_package(lease.job, 1, worker.package(&lease))
        .await
        .unwrap();
    let failed = finish(FinishStatus::Failed);
    let job = worker.client.finish(lease.job, 1, &failed).await.unwrap();
    assert_eq!(job.package, None);
    let mut file = Cursor::new(Vec::new());
    let gone = worker
        .client
        .download_package(&stored.sha256, stored.bytes, &mut file)
        .await;
    assert_eq!(problem(gone).0, 404);
}
