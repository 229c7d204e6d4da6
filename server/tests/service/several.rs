//! Several servers on one database.

use crate::support::{Service, finish};
use resplice_api::{FinishStatus, JobStatus, Role};
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
