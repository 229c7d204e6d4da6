use crate::support::{Service, finish, problem};
use resplice_api::{
    FinishStatus, Role,
    limits::{MAX_LOG_BYTES, MAX_LOG_CHUNK_BYTES},
};
use sea_orm::ConnectionTrait;
use std::time::{Duration, Instant};

#[tokio::test]
async fn bytes_are_appended_at_the_end_and_nowhere_else() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let job = worker.lease(&[]).await.unwrap().job;
    let client = &worker.client;
    client.append_log(job, 1, 0, b"hello").await.unwrap();
    for offset in [6, 100] {
        let error = client.append_log(job, 1, offset, b"x").await.unwrap_err();
        let problem = error.problem().unwrap();
        assert_eq!((problem.status, problem.code()), (409, "wrong-offset"));
        assert_eq!(problem.expected_offset, Some(5));
    }
    // A call whose answer was lost may be made again, also with more behind it.
    assert_eq!(
        client.append_log(job, 1, 0, b"hello, you").await.unwrap(),
        10
    );
    let piece = client.log(job, None, 0, false).await.unwrap();
    assert_eq!(
        (piece.bytes.as_slice(), piece.attempt, piece.complete),
        (b"hello, you".as_slice(), 1, false)
    );
    assert_eq!(client.log(job, None, 7, false).await.unwrap().bytes, b"you");
    assert_eq!(problem(client.log(job, None, 11, false).await).0, 409);
}

#[tokio::test]
async fn a_long_log_goes_in_and_comes_out_in_pieces() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let job = worker.lease(&[]).await.unwrap().job;
    let long: Vec<u8> = (0..5 * MAX_LOG_CHUNK_BYTES + 7)
        .map(|i| (i % 251) as u8)
        .collect();
    worker.client.append_log(job, 1, 0, &long).await.unwrap();
    worker
        .client
        .finish(job, 1, &finish(FinishStatus::Failed))
        .await
        .unwrap();
    let mut read = Vec::new();
    let reader = service.client(Role::Engineer);
    reader
        .follow_log(job, |_, bytes| read.extend_from_slice(bytes))
        .await
        .unwrap();
    assert!(read == long);
    assert_eq!(reader.job(job).await.unwrap().log_bytes, long.len() as u64);
}

#[tokio::test]
async fn a_full_log_takes_no_more() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let job = worker.lease(&[]).await.unwrap().job;
    worker.client.append_log(job, 1, 0, b"x").await.unwrap();
    let sql = format!("UPDATE attempts SET log_bytes = {}", MAX_LOG_BYTES - 1);
    service.app.db.execute_unprepared(&sql).await.unwrap();
    worker
        .client
        .append_log(job, 1, MAX_LOG_BYTES - 1, b"y")
        .await
        .unwrap();
    let full = problem(worker.client.append_log(job, 1, MAX_LOG_BYTES, b"z").await);
    assert_eq!(full, (413, "too-large".to_owned()));
}

#[tokio::test]
async fn a_follower_is_woken_by_bytes_and_not_by_the_clock() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let job = worker.lease(&[]).await.unwrap().job;
    let reader = service.client(Role::Team);
    let began = Instant::now();
    let waiting = tokio::spawn(async move { reader.log(job, Some(1), 0, true).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    worker.client.append_log(job, 1, 0, b"x").await.unwrap();
    assert_eq!(waiting.await.unwrap().bytes, b"x");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn followers_do_not_hold_up_a_server_that_stops() {
    let service = Service::start().await;
    let job = service.upload().await.jobs[0].id;
    let reader = service.client(Role::Team);
    let waiting = tokio::spawn(async move { reader.log(job, Some(1), 0, true).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    service.restart().await;
    assert!(began.elapsed() < Duration::from_secs(10));
    let _ = waiting.await.unwrap();
}

#[tokio::test]
async fn logs_that_an_earlier_version_kept_in_files_are_taken_in() {
    let service = Service::start().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let job = worker.lease(&[]).await.unwrap().job;
    let directory = service.data().join("logs").join(job.to_string());
    std::fs::create_dir_all(&directory).unwrap();
    let long: Vec<u8> = (0..2 * MAX_LOG_CHUNK_BYTES + 7)
        .map(|i| (i % 251) as u8)
        .collect();
    std::fs::write(directory.join("1.log"), &long).unwrap();
    let service = service.restart().await;
    assert!(!directory.exists());
    let reader = service.client(Role::Team);
    let piece = reader.log(job, Some(1), 0, false).await.unwrap();
    assert!(piece.bytes == long);
    // It goes on where it ended.
    let client = service.client(Role::Worker);
    let end = long.len() as u64;
    client.append_log(job, 1, end, b"more").await.unwrap();
    let piece = reader.log(job, Some(1), end - 1, false).await.unwrap();
    assert_eq!(piece.bytes[1..], *b"more");
}
