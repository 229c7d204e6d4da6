//! Several servers on one database.

use crate::{
    chaos::servers::Running,
    rollout,
    support::{Service, TARGET, finish},
};
use jiff::{SignedDuration, Timestamp};
use resplice_api::{FinishStatus, JobStatus, LeaseRequest, Role, client::Client};
use resplice_server::versions;
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use std::time::{Duration, Instant};

#[tokio::test]
async fn whoever_follows_a_log_at_one_server_is_woken_by_what_comes_to_another() {
    let (one, two) = Service::pair().await;
    one.upload().await;
    let worker = one.worker("w").await;
    let job = worker.lease(&[]).await.unwrap().job;
    let reader = two.client(Role::Team);
    let mut offset = 0;
    for round in 0..5_u8 {
        let began = Instant::now();
        let waiting = tokio::spawn({
            let reader = reader.clone();
            async move { reader.log(job, Some(1), offset, true).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!waiting.is_finished());
        offset = worker
            .client
            .append_log(job, 1, offset, &[round])
            .await
            .unwrap();
        assert_eq!(waiting.await.unwrap().bytes, [round]);
        // Not by the clock: that is after 20 seconds.
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    let waiting = tokio::spawn({
        let reader = reader.clone();
        async move { reader.follow_log(job, |_, _| {}).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let end = finish(FinishStatus::Failed);
    worker.client.finish(job, 1, &end).await.unwrap();
    assert_eq!(waiting.await.unwrap(), JobStatus::Failed);
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn two_servers_take_each_piece_of_a_log_once() {
    let (one, two) = Service::pair().await;
    one.upload().await;
    let worker = one.worker("w").await;
    let job = worker.lease(&[]).await.unwrap().job;
    let other = two.client(Role::Worker);
    let text: Vec<u8> = (0..200_u8).collect();
    for (at, byte) in text.iter().enumerate() {
        let piece = [*byte];
        let (first, second) = tokio::join!(
            worker.client.append_log(job, 1, at as u64, &piece),
            other.append_log(job, 1, at as u64, &piece),
        );
        // Whoever comes second is told that the byte is there.
        assert_eq!(
            (first.unwrap(), second.unwrap()),
            (at as u64 + 1, at as u64 + 1)
        );
    }
    let log = one
        .client(Role::Team)
        .log(job, Some(1), 0, false)
        .await
        .unwrap();
    assert_eq!(log.bytes, text);
    one.stop().await;
    two.stop().await;
}

/// What one transaction has changed and not committed may become true after what
/// another one changes later: neither is missed, and they do not wait for each other
/// until they commit.
#[tokio::test]
async fn changes_of_offers_that_commit_in_another_order_are_both_seen() {
    let (one, two) = Service::pair().await;
    let engineer = one.client(Role::Engineer);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (update, _) = one.built().await;
        engineer.release(update.id, "").await.unwrap();
        ids.push(update.id);
    }
    let host = one.enrol("web-1", TARGET).await;
    let there = Client::new(&two.url, Some(host.1.token.clone())).unwrap();
    let seen = async || rollout::planned(&(there.clone(), host.1.clone())).await;
    assert_eq!(seen().await, ids);
    let revoke = |id| {
        let sql = format!("UPDATE updates SET revoked_at = 1, revoke_undo = 0 WHERE id = '{id}'");
        Statement::from_string(DbBackend::Postgres, sql)
    };
    let first = one.app.db.begin().await.unwrap();
    first.execute_raw(revoke(ids[0])).await.unwrap();
    assert_eq!(seen().await, ids);
    let second = two.app.db.begin().await.unwrap();
    second.execute_raw(revoke(ids[1])).await.unwrap();
    second.commit().await.unwrap();
    versions::settle().await;
    assert_eq!(seen().await, [ids[0]]);
    first.commit().await.unwrap();
    versions::settle().await;
    assert!(seen().await.is_empty());
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_server_whose_clock_is_ahead_takes_no_job_from_its_worker() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let job = worker.lease(&[]).await.unwrap().job;
    // By its own clock the lease ended long ago.
    let ahead = Running::start(service.kept(), 800);
    let url = format!("http://{}", ahead.address);
    let reader = Client::new(&url, Some(service.token(Role::Team))).unwrap();
    for _ in 0..30 {
        let found = reader.job(job).await.unwrap();
        assert_eq!((found.status, found.attempt), (JobStatus::Running, 1));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let end = finish(FinishStatus::Failed);
    worker.client.finish(job, 1, &end).await.unwrap();
    // Nor does it say so of a job that it gives out itself: workers refuse old ones.
    service.upload().await;
    let theirs = Client::new(&url, Some(service.token(Role::Worker))).unwrap();
    let request = LeaseRequest {
        worker: "w".to_owned(),
        targets: Vec::new(),
    };
    let lease = theirs.lease(&request).await.unwrap().unwrap();
    let age = Timestamp::now().duration_since(lease.issued_at);
    assert!(age.abs() < SignedDuration::from_secs(60), "{age}");
    drop(ahead);
    service.stop().await;
}
