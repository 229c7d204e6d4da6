//! One leased job, from its first log line to its outcome on the server.

use super::{FAILED, Shutdown, Worker, backoff::Backoff, stream::stream};
use crate::{
    Error,
    build::Build,
    log::Log,
    package,
    patch::Patch,
    pipeline::{self, Options, Request},
    provenance::Run,
    report::Report,
    sandbox::Sandbox,
    step::Steps,
    verify::Check,
};
use resplice_api::{
    Finish, FinishStatus, Heartbeat, Lease, Step, client,
    limits::{MAX_BUILD_REPORT_BYTES, MAX_LISTING_BYTES, MAX_STEPS, MAX_TEXT_BYTES},
};
use resplice_package::SecretKey;
use resplice_target::{Cache, Target, TargetId};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::SetOnce, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Builds one job and tells the server what came of it.
pub(super) async fn run(worker: &Worker, lease: Lease, shutdown: &Shutdown) {
    tracing::info!(job = %lease.job, attempt = lease.attempt, target = lease.target, "building");
    let log = match log_file(worker, &lease) {
        Ok(log) => log,
        Err(error) => {
            tracing::error!(%error, "can't begin a job");
            return;
        }
    };
    let job = Job {
        lease,
        log,
        steps: Steps::default(),
        client: worker.client.clone(),
        sandbox: Arc::clone(&worker.sandbox),
        key: Arc::clone(&worker.key),
        options: worker.options.clone(),
        work: worker.work.clone(),
    };
    job.run(&worker.name, shutdown).await;
    if let Err(error) = std::fs::remove_file(job.log.path()) {
        tracing::warn!(%error, "can't remove a build log");
    }
}

fn log_file(worker: &Worker, lease: &Lease) -> std::io::Result<Log> {
    std::fs::create_dir_all(&worker.work)?;
    let name = format!("{}-{}.log", lease.job, lease.attempt);
    Log::create(&worker.work.join(name), false)
}

#[derive(Clone)]
struct Job {
    lease: Lease,
    log: Log,
    steps: Steps,
    client: client::Client,
    sandbox: Arc<dyn Sandbox>,
    key: Arc<SecretKey>,
    options: Options,
    work: PathBuf,
}

/// A package, and where it comes from.
struct Signed {
    package: Vec<u8>,
    provenance: Vec<u8>,
}

/// What a build came to, for the server.
struct Outcome {
    result: Result<Signed, Error>,
    report: Report,
}

impl Job {
    async fn run(&self, worker: &str, shutdown: &Shutdown) {
        let lost = shutdown.abandon.child_token();
        let ended = CancellationToken::new();
        let cancelled = Arc::new(SetOnce::new());
        let mut helpers = JoinSet::new();
        helpers.spawn(keep(self.clone(), lost.clone(), Arc::clone(&cancelled)));
        let streamer = tokio::spawn(stream(
            self.client.clone(),
            self.lease.clone(),
            self.log.clone(),
            ended.clone(),
            lost.clone(),
        ));
        self.log.line(&format!(
            "worker {worker}, sandbox {}, target {}, patch {}",
            self.sandbox.name(),
            self.lease.target,
            self.lease.update.patch_sha256
        ));
        let outcome = tokio::select! {
            outcome = self.contained() => outcome,
            // With the build its sandbox ends.
            who = cancelled.wait() => failed(Error::Cancelled(who.clone())),
            () = lost.cancelled() => {
                tracing::warn!(job = %self.lease.job, "dropped: the lease is lost");
                return;
            }
        };
        if let Err(error) = &outcome.result {
            self.log.error(&error.to_string());
        }
        tokio::select! {
            () = self.conclude(outcome, streamer, &ended) => {}
            () = lost.cancelled() => {}
        }
    }

    /// Builds in a task of its own: a panic there is that job's failure only.
    async fn contained(&self) -> Outcome {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().build());
        match tasks.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => failed(Error::internal("build the update", error)),
            None => failed(Error::internal("build the update", "there was no task")),
        }
    }

    async fn build(self) -> Outcome {
        let mut report = Report::default();
        let result = self.build_into(&mut report).await;
        Outcome { result, report }
    }

    async fn build_into(&self, report: &mut Report) -> Result<Signed, Error> {
        let unusable = |error: &dyn std::fmt::Display| {
            Error::internal(format!("open the target {}", self.lease.target), error)
        };
        let id: TargetId = self
            .lease
            .target
            .parse()
            .map_err(|error| unusable(&error))?;
        let target = Target::load(&Cache::new(&self.options.cache), &id)
            .map_err(|error| unusable(&error))?;
        let update = &self.lease.update;
        let check = update.check.as_ref().map(Check::new).transpose();
        let request = Request {
            update_id: update.id.to_string(),
            name: update.name.clone(),
            cves: update.cves.clone(),
            patch: Patch::parse(&update.patch)?,
            supersedes: self.lease.supersedes.clone(),
            check: check.map_err(|error| Error::Refused(format!("check: {error}")))?,
        };
        let sandbox = self.sandbox.as_ref();
        let build = Build::new(&target, sandbox, &self.log, &self.steps, &self.work)?;
        let invocation = format!("{}/{}", self.lease.job, self.lease.attempt);
        let run = Run::begin(&build, invocation).await?;
        let built = pipeline::build(&build, &request, &self.options, report).await?;
        let sign = async {
            let package = package::sign(&target, &request, &built, report, &self.key)?;
            let (options, key) = (&self.options, &self.key);
            let provenance = run.provenance(package.clone(), &request, options, key);
            Ok(Signed {
                provenance: provenance.await?,
                package,
            })
        };
        build.stage("sign", sign).await
    }

    /// Stores the package, sends the rest of the log, ends the attempt.
    async fn conclude(
        &self,
        outcome: Outcome,
        streamer: tokio::task::JoinHandle<()>,
        ended: &CancellationToken,
    ) {
        let Outcome { result, report } = outcome;
        let result = match result {
            Ok(signed) => self.store(&signed).await,
            Err(error) => Err(error),
        };
        self.show_code(&report).await;
        match &result {
            Ok(()) => self.log.line("done: the package is on the server"),
            Err(error) => tracing::info!(job = %self.lease.job, %error, "not built"),
        }
        ended.cancel();
        if let Err(error) = streamer.await {
            tracing::error!(%error, "the build log was not sent to its end");
        }
        let finish = finish(&result, &report, &self.steps);
        let outcome = self
            .retry(|| {
                self.client
                    .finish(self.lease.job, self.lease.attempt, &finish)
            })
            .await;
        match outcome {
            Ok(_) => tracing::info!(job = %self.lease.job, status = ?finish.status, "finished"),
            Err(error) => tracing::error!(job = %self.lease.job, %error, "can't finish the job"),
        }
    }

    async fn store(&self, signed: &Signed) -> Result<(), Error> {
        let (job, attempt) = (self.lease.job, self.lease.attempt);
        let put = || (self.client).put_package(job, attempt, signed.package.clone());
        self.retry(put)
            .await
            .map_err(|error| Error::internal("store the package on the server", error))?;
        let put = || (self.client).put_provenance(job, attempt, signed.provenance.clone());
        self.retry(put)
            .await
            .map(drop)
            .map_err(|error| Error::internal("store the provenance on the server", error))
    }

    /// Stores the listing, without which an update is as good.
    async fn show_code(&self, report: &Report) {
        let listing = report.listing.as_ref().map(serde_json::to_vec);
        let Some(Ok(listing)) = listing.filter(|_| !report.plans.is_empty()) else {
            return;
        };
        if listing.len() > MAX_LISTING_BYTES {
            tracing::warn!(job = %self.lease.job, "the listing is too large for the server");
            return;
        }
        let (job, attempt) = (self.lease.job, self.lease.attempt);
        let put = || self.client.put_listing(job, attempt, listing.clone());
        if let Err(error) = self.retry(put).await {
            tracing::warn!(%error, %job, "can't store the listing");
        }
    }

    /// Repeats a call until it succeeds or is refused. The lease bounds it: the
    /// heartbeat notices when that is lost, and everything here is dropped.
    async fn retry<T, F: Future<Output = Result<T, client::Error>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, client::Error> {
        let mut failed = Backoff::new(FAILED);
        loop {
            match call().await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "trying again");
                    tokio::time::sleep(failed.next()).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn failed(error: Error) -> Outcome {
    Outcome {
        result: Err(error),
        report: Report::default(),
    }
}

fn finish(result: &Result<(), Error>, report: &Report, steps: &Steps) -> Finish {
    let report = report.json().ok().filter(|report| {
        // Too large a report must not keep the outcome from the server.
        report.to_string().len() <= MAX_BUILD_REPORT_BYTES
    });
    let error = result.as_ref().err();
    let steps = api_steps(steps);
    // Without a command that failed, the step that came last has decided.
    let decided = || steps.last()?.exit_code.filter(|code| *code != 0);
    let exit_code = |error: &Error| error.exit_code().or_else(decided);
    Finish {
        status: error.map_or(FinishStatus::Built, Error::status),
        exit_code: error.map_or(Some(0), exit_code),
        reason: error.map(|error| error.to_string().chars().take(MAX_TEXT_BYTES / 4).collect()),
        report,
        steps,
    }
}

fn api_steps(steps: &Steps) -> Vec<Step> {
    steps.all().iter().take(MAX_STEPS).map(Step::from).collect()
}

/// Keeps the lease until it is lost: to another attempt, or because the server
/// could not be told in time that the worker lives.
///
/// `cancelled` is given the word of whoever cancels the job; the lease is kept, for
/// the end of the log.
async fn keep(job: Job, lost: CancellationToken, cancelled: Arc<SetOnce<String>>) {
    let mut lease = Duration::from_secs(job.lease.lease_seconds.max(3));
    let mut kept = Instant::now();
    let mut pause = lease / 3;
    loop {
        tokio::time::sleep(pause).await;
        let heartbeat = Heartbeat {
            steps: Some(api_steps(&job.steps)),
        };
        match job
            .client
            .heartbeat(job.lease.job, job.lease.attempt, &heartbeat)
            .await
        {
            Ok(answer) => {
                kept = Instant::now();
                lease = Duration::from_secs(answer.lease_seconds.max(3));
                pause = lease / 3;
                if let Some(who) = answer.cancelled {
                    // Known already: it was said before.
                    let _ = cancelled.set(who);
                }
            }
            Err(error) if error.is_transient() && kept.elapsed() < lease => {
                tracing::warn!(%error, "can't keep the lease yet");
                pause = (lease / 10).max(Duration::from_millis(500));
            }
            Err(error) => {
                tracing::warn!(%error, job = %job.lease.job, "the lease is lost");
                lost.cancel();
                return;
            }
        }
    }
}
