use crate::support::{OTHER_TARGET, Service, TARGET, finish, new_update};
use resplice_api::{
    Check, CheckFile, FinishStatus, Heartbeat, JobStatus, NewReport, ReportEvent, Role, Step,
    client::PlanAnswer,
};
use sea_orm::{ConnectionTrait, Statement};
use std::io::Cursor;

fn step(name: &str) -> Step {
    Step {
        name: name.to_owned(),
        started_at: "2026-11-23T14:00:00Z".parse().unwrap(),
        millis: 1200,
        exit_code: Some(0),
    }
}

#[tokio::test]
async fn an_update_goes_from_upload_to_a_host_and_back() {
    let service = Service::start().await;
    let team = service.client(Role::Team);

    // Upload: a job per target, and what the worker needs comes with the lease.
    let mut new = new_update(&[TARGET, OTHER_TARGET]);
    new.check = Some(Check {
        script: Some("./probe".to_owned()),
        files: vec![CheckFile {
            name: "probe".to_owned(),
            mode: 0o755,
            base64: "aGVsbG8=".to_owned(),
        }],
    });
    let update = team.upload(&new).await.unwrap();
    assert_eq!(update.files, ["net/ipv6/seg6.c"]);
    assert!(update.has_check);
    assert_eq!(update.jobs.len(), 2);
    assert!(
        update
            .jobs
            .iter()
            .all(|job| job.status == JobStatus::Queued)
    );
    assert_eq!(team.patch(update.id).await.unwrap(), new.patch.as_bytes());

    let worker = service.worker("w1").await;
    let lease = worker.lease(&[TARGET]).await.unwrap();
    assert_eq!((lease.attempt, lease.target.as_str()), (1, TARGET));
    assert_eq!(lease.update.patch, new.patch);
    assert_eq!(lease.update.check, new.check);
    assert!(worker.lease(&[TARGET]).await.is_none());

    // Build: steps show while it runs, the log is followed to its end.
    let (job, attempt) = (lease.job, lease.attempt);
    let follower = tokio::spawn({
        let team = team.clone();
        async move {
            let mut seen = Vec::new();
            let end = team
                .follow_log(job, |_, bytes| seen.extend_from_slice(bytes))
                .await;
            (end.unwrap(), seen)
        }
    });
    let heartbeat = Heartbeat {
        steps: Some(vec![step("pre")]),
    };
    worker
        .client
        .heartbeat(job, attempt, &heartbeat)
        .await
        .unwrap();
    assert_eq!(team.job(job).await.unwrap().steps, [step("pre")]);
    let offset = worker
        .client
        .append_log(job, attempt, 0, b"CC seg6.o\n")
        .await
        .unwrap();
    worker
        .client
        .append_log(job, attempt, offset, b"\xff done\n")
        .await
        .unwrap();
    let package = worker.package(&lease);
    let stored = worker.store(&lease, &package).await;
    let mut end = finish(FinishStatus::Built);
    end.steps = vec![step("pre"), step("diff")];
    end.report = Some(serde_json::json!({"functions": 1}));
    let built = worker.client.finish(job, attempt, &end).await.unwrap();
    assert_eq!(built.status, JobStatus::Built);
    assert_eq!(built.package.as_ref(), Some(&stored));
    let (status, log) = follower.await.unwrap();
    assert_eq!(
        (status, log.as_slice()),
        (JobStatus::Built, b"CC seg6.o\n\xff done\n".as_slice())
    );

    // The other target's build comes to nothing; that is no obstacle.
    let other = worker.lease(&[]).await.unwrap();
    assert_eq!(other.target, OTHER_TARGET);
    let nothing = finish(FinishStatus::Nothing);
    worker
        .client
        .finish(other.job, other.attempt, &nothing)
        .await
        .unwrap();

    // A host sees nothing before the release.
    let (host, enrolled) = service.enrol("web-1", TARGET).await;
    assert_eq!(enrolled.worker_keys, [worker.key.public().to_string()]);
    let PlanAnswer::Plan { plan, etag } = host.plan(enrolled.host_id, None).await.unwrap() else {
        panic!("the first answer is a plan");
    };
    assert!(plan.updates.is_empty());
    let unchanged = host.plan(enrolled.host_id, Some(&etag)).await.unwrap();
    assert_eq!(unchanged, PlanAnswer::Unchanged);

    let released = service
        .client(Role::Engineer)
        .release(update.id, "reviewed")
        .await
        .unwrap();
    assert_eq!(released.released.unwrap().by, "engineer");

    // After it, the host gets the package and says what it did.
    let PlanAnswer::Plan { plan, .. } = host.plan(enrolled.host_id, Some(&etag)).await.unwrap()
    else {
        panic!("the plan has changed");
    };
    assert_eq!(plan.updates.len(), 1);
    assert_eq!(plan.updates[0].update_id, update.id);
    let mut file = Cursor::new(Vec::new());
    let sha256 = &plan.updates[0].package_sha256;
    let bytes = host
        .download_package(sha256, plan.updates[0].bytes, &mut file)
        .await
        .unwrap();
    assert_eq!((bytes, file.into_inner()), (package.len() as u64, package));

    let mut report = NewReport {
        update_id: update.id,
        code: None,
        event: ReportEvent::Applied,
        detail: "1 function replaced".to_owned(),
        pause_ns: Some(41_000),
        timeline: vec![step("download"), step("apply")],
    };
    host.report(enrolled.host_id, &report).await.unwrap();
    let shown = team.update(update.id).await.unwrap();
    assert_eq!(shown.reports.len(), 1);
    assert_eq!(shown.reports[0].host_name, "web-1");
    assert_eq!(shown.reports[0].pause_ns, Some(41_000));
    assert_eq!(team.hosts().await.unwrap()[0].applied, [update.id]);
    report.event = ReportEvent::Undone;
    host.report(enrolled.host_id, &report).await.unwrap();
    assert!(team.hosts().await.unwrap()[0].applied.is_empty());

    every_change_is_in_the_audit_log(&service).await;
}

async fn every_change_is_in_the_audit_log(service: &Service) {
    let db = &service.app.db;
    let sql = "SELECT action, completed_at FROM audit ORDER BY id";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    let actions: Vec<String> = rows
        .iter()
        .map(|row| row.try_get("", "action").unwrap())
        .collect();
    for row in &rows {
        row.try_get::<i64>("", "completed_at")
            .expect("every entry is completed");
    }
    assert_eq!(
        actions,
        [
            "update.upload",
            "worker.register",
            "job.lease",
            "package.store",
            "provenance.store",
            "job.finish",
            "job.lease",
            "job.finish",
            "host.enrol",
            "update.release",
            "host.report",
            "host.report",
        ]
    );
}

#[tokio::test]
async fn a_job_goes_to_one_of_many_workers() {
    let service = Service::start().await;
    for _ in 0..15 {
        let update = new_update(&[TARGET, OTHER_TARGET]);
        service.client(Role::Team).upload(&update).await.unwrap();
    }
    let mut workers = tokio::task::JoinSet::new();
    for i in 0..8 {
        let worker = service.worker(&format!("w{i}")).await;
        workers.spawn(async move {
            let mut jobs = Vec::new();
            while let Some(lease) = worker.lease(&[]).await {
                jobs.push(lease.job);
            }
            jobs
        });
    }
    let mut jobs: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(jobs.len(), 30);
    jobs.sort();
    jobs.dedup();
    assert_eq!(jobs.len(), 30);
}

#[tokio::test]
async fn pages_of_updates_follow_each_other_newest_first() {
    let service = Service::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(service.upload().await.id);
    }
    ids.reverse();
    let team = service.client(Role::Team);
    let first = team.updates(2, None).await.unwrap();
    let second = team.updates(2, first.next).await.unwrap();
    let third = team.updates(2, second.next).await.unwrap();
    assert_eq!(third.next, None);
    let pages = [first.updates, second.updates, third.updates].concat();
    let listed: Vec<_> = pages.iter().map(|update| update.id).collect();
    assert_eq!(listed, ids);
    assert_eq!(pages[0].targets[0].target, TARGET);
}
