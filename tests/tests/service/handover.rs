//! Workers that are lost in the middle of a job.

use crate::LOADAVG;
use resplice_api::{Finish, FinishStatus, JobStatus, Token, Update, client::Client};
use resplice_package::SecretKey;
use resplice_target::Target;
use resplice_tests::service::{BUILD, Resplice, Service};
use resplice_tests::{CLOUD, target, updates};

/// Short, yet longer than a worker that lives can be kept from a heartbeat.
const SHORT_LEASE: u64 = 6;

/// Uploads a patch; returns when the worker compiles it.
fn compiling(resplice: &Resplice, worker: &mut Service, target: &Target) -> Update {
    let update = resplice.upload(target, LOADAVG).unwrap();
    worker
        .wait_for("compiling", BUILD, |_| {
            Ok(resplice.log(&update)?.contains("==> ").then_some(()))
        })
        .unwrap();
    let job = &resplice.show(&update).unwrap().jobs[0];
    assert_eq!((job.status, job.attempt), (JobStatus::Running, 1));
    update
}

/// Waits for the build, which must be the second attempt's by `second`.
fn built_by_second(resplice: &mut Resplice, update: &Update) -> Update {
    let update = resplice.ended(update).unwrap();
    let job = &update.jobs[0];
    assert_eq!(
        job.status,
        JobStatus::Built,
        "{}",
        resplice.log(&update).unwrap()
    );
    assert_eq!((job.attempt, job.worker.as_deref()), (2, Some("second")));
    update
}

#[test]
fn a_killed_workers_job_is_built_by_another() {
    let target = target(CLOUD).unwrap();
    let mut resplice = Resplice::start(SHORT_LEASE).unwrap();
    let mut first = resplice.worker("first").unwrap();
    let update = compiling(&resplice, &mut first, &target);
    first.kill().unwrap();

    let _second = resplice.worker("second").unwrap();
    let update = built_by_second(&mut resplice, &update);
    let before = update.jobs[0].package.clone().unwrap();

    // Whoever has the worker's token and the dead attempt's number gets nothing in.
    let token = Token::from_file(&resplice.token("worker")).unwrap();
    let client = Client::new(&resplice.url(), Some(token)).unwrap();
    let job = update.jobs[0].id;
    let package = updates::build(&target, LOADAVG).unwrap().bytes;
    let finish = Finish {
        status: FinishStatus::Failed,
        exit_code: Some(1),
        reason: Some("late".to_owned()),
        report: None,
        steps: Vec::new(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let put = runtime
        .block_on(client.put_package(job, 1, package))
        .unwrap_err();
    let ended = runtime
        .block_on(client.finish(job, 1, &finish))
        .unwrap_err();
    let wrote = runtime
        .block_on(client.append_log(job, 1, 0, b"late\n"))
        .unwrap_err();
    for error in [&put, &ended, &wrote] {
        assert!(error.is_stale_attempt(), "{error}");
    }
    let after = &resplice.show(&update).unwrap().jobs[0];
    assert_eq!(
        (after.status, after.package.as_ref()),
        (JobStatus::Built, Some(&before))
    );
}

#[test]
fn a_worker_that_comes_back_too_late_drops_its_job() {
    let target = target(CLOUD).unwrap();
    let mut resplice = Resplice::start(SHORT_LEASE).unwrap();
    let mut first = resplice.worker("first").unwrap();
    let update = compiling(&resplice, &mut first, &target);
    first.signal("STOP").unwrap();
    let second = resplice.worker("second").unwrap();
    let update = built_by_second(&mut resplice, &update);
    drop(second);
    let package = update.jobs[0].package.clone().unwrap();
    let [first_key, second_key] = ["first", "second"].map(|name| {
        let key = SecretKey::load(&resplice.key(name)).unwrap();
        key.public().to_string()
    });
    assert_eq!(package.signer, second_key);

    first.signal("CONT").unwrap();
    first
        .wait_for("dropping the job", BUILD, |first| {
            Ok(first.said()?.contains("the lease is lost").then_some(()))
        })
        .unwrap();
    // It is as good as any other for what comes next.
    let next = resplice.upload(&target, LOADAVG).unwrap();
    let next = resplice.ended(&next).unwrap();
    assert_eq!(
        next.jobs[0].status,
        JobStatus::Built,
        "{}",
        resplice.log(&next).unwrap()
    );
    assert_eq!(next.jobs[0].package.as_ref().unwrap().signer, first_key);
    let job = &resplice.show(&update).unwrap().jobs[0];
    assert_eq!((job.attempt, job.package.as_ref()), (2, Some(&package)));
}
