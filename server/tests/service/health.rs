//! How the server says how it is.

use crate::support::{Service, TARGET, finish};
use resplice_api::{FinishStatus, Role, Step};
use sea_orm::ConnectionTrait;

async fn get(service: &Service, path: &str, role: Option<Role>) -> (u16, String) {
    let mut request = reqwest::Client::new().get(format!("{}{path}", service.url));
    if let Some(role) = role {
        request = request.bearer_auth(service.token(role).secret());
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_server_is_ready_until_its_log_is_tampered_with_or_its_database_fails() {
    let service = Service::start().await;
    assert_eq!(
        get(&service, "/readyz", None).await,
        (200, "ready\n".to_owned())
    );
    service.upload().await;
    let db = &service.app.db;
    service.app.transparency.follow(db).await.unwrap();
    let sql = "UPDATE log_head SET checkpoint = ''";
    db.execute_unprepared(sql).await.unwrap();
    service.upload().await;
    service.app.transparency.follow(db).await.unwrap_err();
    assert_eq!(get(&service, "/readyz", None).await.0, 503);
    db.execute_unprepared("DROP TABLE log_head").await.unwrap();
    let (status, words) = get(&service, "/readyz", None).await;
    assert_eq!((status, words.as_str()), (503, "the database fails\n"));
    // It still runs.
    assert_eq!(get(&service, "/healthz", None).await.0, 200);
}

#[tokio::test]
async fn the_metrics_follow_the_queue_the_builds_and_the_polls() {
    let service = Service::start().await;
    let path = "/api/v1/metrics";
    assert_eq!(get(&service, path, None).await.0, 401);
    assert_eq!(get(&service, path, Some(Role::Worker)).await.0, 403);
    service.upload().await;
    service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let mut end = finish(FinishStatus::Failed);
    end.steps = vec![Step {
        name: "diff".to_owned(),
        started_at: jiff::Timestamp::now(),
        millis: 2500,
        exit_code: Some(1),
    }];
    worker.client.finish(lease.job, 1, &end).await.unwrap();
    // The end of an attempt may be told twice.
    worker.client.finish(lease.job, 1, &end).await.unwrap();
    let (host, enrolled) = service.enrol("web-1", TARGET).await;
    let first = host.plan(enrolled.host_id, None).await.unwrap();
    let resplice_api::client::PlanAnswer::Plan { etag, .. } = first else {
        panic!("the first answer is a plan");
    };
    for _ in 0..2 {
        host.plan(enrolled.host_id, Some(&etag)).await.unwrap();
    }
    let (status, text) = get(&service, path, Some(Role::Engineer)).await;
    assert_eq!(status, 200);
    for line in [
        "resplice_jobs{status=\"failed\"} 1",
        "resplice_jobs{status=\"queued\"} 1",
        "resplice_hosts 1",
        "resplice_polls_total{answer=\"changed\"} 1",
        "resplice_polls_total{answer=\"unchanged\"} 2",
        "resplice_build_step_seconds_sum{step=\"diff\"} 2.5",
        "resplice_build_step_seconds_count{step=\"diff\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    let age = text
        .lines()
        .find_map(|l| l.strip_prefix("resplice_queue_age_seconds "));
    assert!(age.unwrap().parse::<f64>().unwrap() > 0.0);
}
