use crate::support::{Service, finish, problem, stale};
use resplice_api::{FinishStatus, Heartbeat, JobId, JobStatus, Lease, Role};
use std::time::Duration;

async fn lease_again(service: &Service, name: &str) -> Lease {
    let worker = service.worker(name).await;
    for _ in 0..200 {
        if let Some(lease) = worker.lease(&[]).await {
            return lease;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the job was not queued again");
}

#[tokio::test]
async fn a_zombie_worker_can_change_nothing_and_publish_nothing() {
    let service = Service::with_lease(Duration::from_millis(400)).await;
    service.upload().await;
    let zombie = service.worker("zombie").await;
    let old = zombie.lease(&[]).await.unwrap();
    zombie
        .client
        .append_log(old.job, 1, 0, b"first attempt\n")
        .await
        .unwrap();
    let new = lease_again(&service, "second").await;
    assert_eq!((new.job, new.attempt), (old.job, 2));

    let (job, client) = (old.job, &zombie.client);
    assert_eq!(
        problem(client.heartbeat(job, 1, &Heartbeat::default()).await),
        stale()
    );
    assert_eq!(
        problem(client.append_log(job, 1, 14, b"more\n").await),
        stale()
    );
    assert_eq!(
        problem(client.put_package(job, 1, zombie.package(&old)).await),
        stale()
    );
    assert_eq!(
        problem(client.finish(job, 1, &finish(FinishStatus::Built)).await),
        stale()
    );
    // Nor does an attempt count that is still to come.
    assert_eq!(problem(client.append_log(job, 3, 0, b"x").await), stale());

    let reader = service.client(Role::Team);
    let state = reader.job(job).await.unwrap();
    assert_eq!(
        (state.status, state.attempt, state.package),
        (JobStatus::Running, 2, None)
    );
    let first = reader.log(job, Some(1), 0, false).await.unwrap();
    assert_eq!(
        (first.bytes.as_slice(), first.complete),
        (b"first attempt\n".as_slice(), true)
    );
    assert!(
        reader
            .log(job, Some(2), 0, false)
            .await
            .unwrap()
            .bytes
            .is_empty()
    );
}

#[tokio::test]
async fn a_heartbeat_keeps_a_lease_beyond_its_time() {
    let service = Service::with_lease(Duration::from_millis(400)).await;
    service.upload().await;
    let worker = service.worker("steady").await;
    let lease = worker.lease(&[]).await.unwrap();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let beat = Heartbeat::default();
        worker.client.heartbeat(lease.job, 1, &beat).await.unwrap();
    }
    let end = finish(FinishStatus::Refused);
    let job = worker.client.finish(lease.job, 1, &end).await.unwrap();
    assert_eq!((job.status, job.attempt), (JobStatus::Refused, 1));
}

#[tokio::test]
async fn a_job_whose_workers_vanish_is_set_aside_after_three_attempts() {
    let service = Service::with_lease(Duration::from_millis(100)).await;
    let update = service.upload().await;
    let mut job = None;
    for attempt in 1..=3 {
        let lease = lease_again(&service, &format!("w{attempt}")).await;
        assert_eq!(lease.attempt, attempt);
        job = Some(lease.job);
    }
    let ended = ended(&service, job.unwrap()).await;
    assert_eq!(ended.status, JobStatus::Failed);
    assert!(
        ended.reason.unwrap().starts_with("poison: 3 attempts"),
        "{}",
        update.id
    );
    assert!(service.worker("w4").await.lease(&[]).await.is_none());
}

async fn ended(service: &Service, job: JobId) -> resplice_api::Job {
    let client = service.client(Role::Team);
    client.follow_log(job, |_, _| {}).await.unwrap();
    client.job(job).await.unwrap()
}

#[tokio::test]
async fn an_end_may_be_told_twice_but_not_changed() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let failed = finish(FinishStatus::Failed);
    let first = worker.client.finish(lease.job, 1, &failed).await.unwrap();
    let second = worker.client.finish(lease.job, 1, &failed).await.unwrap();
    assert_eq!(first, second);
    let other = finish(FinishStatus::Nothing);
    assert_eq!(
        problem(worker.client.finish(lease.job, 1, &other).await),
        stale()
    );
}

#[tokio::test]
async fn a_job_is_not_built_without_a_package() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let built = finish(FinishStatus::Built);
    let answer = problem(worker.client.finish(lease.job, 1, &built).await);
    assert_eq!(answer, (409, "no-package".to_owned()));
    let mut unexplained = finish(FinishStatus::Failed);
    unexplained.reason = None;
    assert_eq!(
        problem(worker.client.finish(lease.job, 1, &unexplained).await).0,
        422
    );
}
