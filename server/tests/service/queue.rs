use crate::support::{OTHER_TARGET, Service, TARGET, finish, new_update, problem};
use resplice_api::{FinishStatus, Heartbeat, JobId, JobStatus, Role};
use resplice_package::PublicKey;
use std::time::Duration;

async fn jobs(service: &Service, count: usize) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for _ in 0..count {
        jobs.push(service.upload().await.jobs[0].id);
    }
    jobs
}

#[tokio::test]
async fn a_job_is_signed_for_the_worker_that_gets_it() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let file = resplice_server::job_key::public_file(service.data());
    let key: PublicKey = std::fs::read_to_string(file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let mut signature = [0; 64];
    hex::decode_to_slice(&lease.signature, &mut signature).unwrap();
    key.verify(lease.signed("w").as_bytes(), &signature)
        .unwrap();
    key.verify(lease.signed("v").as_bytes(), &signature)
        .unwrap_err();
    // It is the same key on the next day, and it is shown to those who set workers up.
    let service = service.restart().await;
    let keys = reqwest::Client::new().get(format!("{}/api/v1/keys", service.url));
    let keys = keys.bearer_auth(service.token(Role::Admin).secret());
    let keys: serde_json::Value = keys.send().await.unwrap().json().await.unwrap();
    assert_eq!(keys["jobs"], key.to_string());
}

#[tokio::test]
async fn higher_priorities_come_first_and_of_equal_ones_the_oldest() {
    let service = Service::start().await;
    let [a, b, c, d] = jobs(&service, 4).await.try_into().unwrap();
    let team = service.client(Role::Team);
    assert_eq!(team.prioritise_job(c, 50).await.unwrap().priority, 50);
    team.prioritise_job(a, -1).await.unwrap();
    for out_of_range in [101, -101] {
        assert_eq!(problem(team.prioritise_job(a, out_of_range).await).0, 422);
    }
    let worker = service.worker("w").await;
    for expected in [c, b, d, a] {
        assert_eq!(worker.lease(&[]).await.unwrap().job, expected);
    }
    let missing = team.prioritise_job(JobId::new(), 1).await;
    assert_eq!(problem(missing).0, 404);
}

#[tokio::test]
async fn a_job_that_waits_is_cancelled_at_once_and_never_leased() {
    let service = Service::start().await;
    let job = jobs(&service, 1).await[0];
    let team = service.client(Role::Team);
    let cancelled = team.cancel_job(job, "the wrong patch").await.unwrap();
    assert_eq!(cancelled.status, JobStatus::Cancelled);
    let reason = cancelled.reason.unwrap();
    assert!(reason.ends_with(": the wrong patch"), "{reason}");
    assert!(service.worker("w").await.lease(&[]).await.is_none());
    // Twice is as good as once.
    team.cancel_job(job, "again").await.unwrap();
    assert_eq!(team.job(job).await.unwrap().reason, Some(reason));
}

#[tokio::test]
async fn of_a_job_that_runs_the_worker_hears_and_nothing_is_published() {
    let service = Service::start().await;
    let job = jobs(&service, 1).await[0];
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let client = &worker.client;
    let beat = Heartbeat::default();
    assert_eq!(
        client.heartbeat(job, 1, &beat).await.unwrap().cancelled,
        None
    );
    let team = service.client(Role::Team);
    let asked = team.cancel_job(job, "not needed").await.unwrap();
    assert_eq!(asked.status, JobStatus::Running);
    let heard = client.heartbeat(job, 1, &beat).await.unwrap().cancelled;
    assert!(heard.unwrap().ends_with(": not needed"));
    // Its last words are still taken, a package it had just built is not kept.
    client.append_log(job, 1, 0, b"cancelled\n").await.unwrap();
    let package = worker.package(&lease);
    worker.store(&lease, &package).await;
    for _ in 0..2 {
        let ended = client.finish(job, 1, &finish(FinishStatus::Built)).await;
        let ended = ended.unwrap();
        assert_eq!(ended.status, JobStatus::Cancelled);
        assert_eq!(ended.package, None);
    }
    let missing = team.cancel_job(JobId::new(), "").await;
    assert_eq!(problem(missing).0, 404);
}

#[tokio::test]
async fn a_cancelled_job_whose_worker_vanishes_is_not_tried_again() {
    let service = Service::with_lease(Duration::from_millis(100)).await;
    let job = jobs(&service, 1).await[0];
    service.worker("w").await.lease(&[]).await.unwrap();
    let team = service.client(Role::Team);
    team.cancel_job(job, "").await.unwrap();
    let ended = team.follow_log(job, |_, _| {}).await.unwrap();
    assert_eq!(ended, JobStatus::Cancelled);
}

#[tokio::test]
async fn a_job_runs_again_beside_what_its_first_attempt_left() {
    let service = Service::start().await;
    let job = jobs(&service, 1).await[0];
    let team = service.client(Role::Team);
    let early = problem(team.retry_job(job).await);
    assert_eq!(early, (409, "wrong-status".to_owned()));
    let worker = service.worker("w").await;
    worker.lease(&[]).await.unwrap();
    let client = &worker.client;
    client.append_log(job, 1, 0, b"first\n").await.unwrap();
    let failed = finish(FinishStatus::Failed);
    client.finish(job, 1, &failed).await.unwrap();

    let queued = team.retry_job(job).await.unwrap();
    assert_eq!((queued.status, queued.reason), (JobStatus::Queued, None));
    let lease = worker.lease(&[]).await.unwrap();
    assert_eq!((lease.job, lease.attempt), (job, 2));
    client.append_log(job, 2, 0, b"second\n").await.unwrap();
    worker.store(&lease, &worker.package(&lease)).await;
    client
        .finish(job, 2, &finish(FinishStatus::Built))
        .await
        .unwrap();

    for (attempt, text) in [(1, b"first\n".as_slice()), (2, b"second\n")] {
        let log = team.log(job, Some(attempt), 0, false).await.unwrap();
        assert_eq!((log.bytes.as_slice(), log.complete), (text, true));
    }
    let attempts = team.attempts(job).await.unwrap().attempts;
    let outcomes: Vec<_> = attempts
        .iter()
        .map(|a| (a.attempt, a.outcome.as_deref(), a.reason.as_deref()))
        .collect();
    let said = Some("as the test says");
    assert_eq!(
        outcomes,
        [(1, Some("failed"), said), (2, Some("built"), said)]
    );
}

#[tokio::test]
async fn what_was_released_is_not_built_again() {
    let service = Service::start().await;
    let mut new = new_update(&[TARGET, OTHER_TARGET]);
    new.name = "two targets".to_owned();
    let update = service.client(Role::Team).upload(&new).await.unwrap();
    let worker = service.worker("w").await;
    let lease = worker.lease(&[TARGET]).await.unwrap();
    let client = &worker.client;
    let package = worker.package(&lease);
    worker.store(&lease, &package).await;
    client
        .finish(lease.job, 1, &finish(FinishStatus::Built))
        .await
        .unwrap();
    let failed = worker.lease(&[]).await.unwrap();
    client
        .finish(failed.job, 1, &finish(FinishStatus::Failed))
        .await
        .unwrap();
    let engineer = service.client(Role::Engineer);
    engineer.release(update.id, "one is enough").await.unwrap();
    let refused = problem(engineer.retry_job(failed.job).await);
    assert_eq!(refused, (409, "already-released".to_owned()));
}

#[tokio::test]
async fn jobs_are_listed_newest_first_by_status_and_page() {
    let service = Service::start().await;
    let all = jobs(&service, 5).await;
    let team = service.client(Role::Team);
    team.cancel_job(all[1], "").await.unwrap();
    let first = team.jobs(None, 3, None).await.unwrap();
    let rest = team.jobs(None, 3, first.next).await.unwrap();
    assert_eq!(rest.next, None);
    let seen: Vec<JobId> = first.jobs.iter().chain(&rest.jobs).map(|j| j.id).collect();
    let newest_first: Vec<JobId> = all.iter().rev().copied().collect();
    assert_eq!(seen, newest_first);
    let cancelled = team
        .jobs(Some(JobStatus::Cancelled), 9, None)
        .await
        .unwrap();
    assert_eq!(cancelled.jobs.len(), 1);
    assert_eq!(cancelled.jobs[0].id, all[1]);
}

#[tokio::test]
async fn a_team_has_no_more_running_jobs_than_its_limit() {
    let service = Service::with_team_limit(2).await;
    jobs(&service, 6).await;
    let mut claims = tokio::task::JoinSet::new();
    for n in 0..6 {
        let worker = service.worker(&format!("w{n}")).await;
        claims.spawn(async move { worker.lease(&[]).await });
    }
    let leases: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
    assert_eq!(leases.len(), 2);
    let worker = service.worker("w0-again").await;
    assert!(worker.lease(&[]).await.is_none());
    let end = finish(FinishStatus::Nothing);
    worker.client.finish(leases[0].job, 1, &end).await.unwrap();
    assert!(worker.lease(&[]).await.is_some());
    assert!(worker.lease(&[]).await.is_none());
}
