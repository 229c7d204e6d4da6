//! Building for a server: take a job, build it, tell what came of it, again.
//!
//! Nothing that a job does ends the worker. A server that can't be reached is
//! asked again, ever less often. A job whose lease is lost is dropped, and with
//! it everything that runs for it.

mod backoff;
mod job;
mod order;
mod stream;

use crate::{pipeline::Options, sandbox::Sandbox};
use backoff::Backoff;
use jiff::Timestamp;
pub use order::{Refused, verify};
use resplice_api::{Lease, LeaseRequest, NewWorker, client};
use resplice_package::{PublicKey, SecretKey};
use resplice_target::{Cache, Target};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Between two questions for work: at first, and at most.
const IDLE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));
/// After a call that failed: at first, and at most.
const FAILED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What a worker works with.
pub struct Worker {
    /// The server.
    pub client: client::Client,
    /// The worker's name there.
    pub name: String,
    /// What the server signs jobs with.
    pub server_key: PublicKey,
    /// What it signs packages with.
    pub key: Arc<SecretKey>,
    /// Where commands run.
    pub sandbox: Arc<dyn Sandbox>,
    /// How updates are built.
    pub options: Options,
    /// Where builds have their directories.
    pub work: PathBuf,
}

/// How a worker is told to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take no other job.
    pub stop: CancellationToken,
    /// Drop the running one, too; the server gives it to someone else.
    pub abandon: CancellationToken,
}

impl Worker {
    /// Registers the worker's key, then builds until told to stop; with `once`,
    /// until one job is done.
    ///
    /// # Errors
    /// If the server turns the worker itself away.
    pub async fn run(&self, once: bool, shutdown: &Shutdown) -> Result<(), client::Error> {
        if !self.register(shutdown).await? {
            return Ok(());
        }
        let mut idle = Backoff::new(IDLE);
        let mut failed = Backoff::new(FAILED);
        while !shutdown.stop.is_cancelled() {
            let pause = match self.lease().await {
                Ok(Some(lease)) => {
                    if let Err(error) =
                        verify(&lease, &self.name, &self.server_key, Timestamp::now())
                    {
                        tracing::error!(job = %lease.job, %error, "refused a job");
                        tokio::select! {
                            () = tokio::time::sleep(failed.next()) => {}
                            () = shutdown.stop.cancelled() => {}
                        }
                        continue;
                    }
                    idle.reset();
                    failed.reset();
                    job::run(self, lease, shutdown).await;
                    if once {
                        return Ok(());
                    }
                    continue;
                }
                Ok(None) => {
                    failed.reset();
                    idle.next()
                }
                Err(error) => {
                    tracing::warn!(%error, "can't get a job");
                    failed.next()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Whether it was registered; not if told to stop meanwhile.
    async fn register(&self, shutdown: &Shutdown) -> Result<bool, client::Error> {
        let worker = NewWorker {
            name: self.name.clone(),
            public_key: self.key.public().to_string(),
        };
        let mut failed = Backoff::new(FAILED);
        loop {
            match self.client.register_worker(&worker).await {
                Ok(_) => return Ok(true),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "can't register yet");
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = tokio::time::sleep(failed.next()) => {}
                () = shutdown.stop.cancelled() => return Ok(false),
            }
        }
    }

    /// Asks for a job for one of the targets that are here now.
    async fn lease(&self) -> Result<Option<Lease>, client::Error> {
        let cache = Cache::new(&self.options.cache);
        let targets = Target::imported(&cache).unwrap_or_else(|error| {
            tracing::warn!(%error, "can't list the imported targets");
            Vec::new()
        });
        let targets: Vec<String> = targets
            .iter()
            .map(|target| target.id().to_string())
            .collect();
        if targets.is_empty() {
            // An empty list would mean any.
            tracing::warn!("no target is imported: run `resplice-server target import`");
            return Ok(None);
        }
        let request = LeaseRequest {
            worker: self.name.clone(),
            targets,
        };
        self.client.lease(&request).await
    }
}
