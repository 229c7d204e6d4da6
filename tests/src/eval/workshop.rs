//! What the worker's library needs to build by hand.

use anyhow::{Context, Result};
use resplice_target::{Cache, Target};
use resplice_worker::{build::Build, log::Log, sandbox::Local, step::Steps};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Sandboxes die with the thread that started them, so threads have to stay.
const THREADS_STAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// The runtime that builds run on.
pub fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(THREADS_STAY)
        .build()
        .context("start the runtime's threads")
}

/// A place to build in.
pub struct Workshop {
    target: Target,
    sandbox: Local,
    log: Log,
    steps: Steps,
}

impl Workshop {
    /// Opens one whose log is `NAME.log` in `directory`.
    pub async fn open(target: &Target, directory: &Path, name: &str) -> Result<Self> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("make {}", directory.display()))?;
        let path = directory.join(format!("{name}.log"));
        let log = Log::create(&path, false).with_context(|| format!("write {}", path.display()))?;
        Ok(Self {
            target: target.clone(),
            sandbox: Local::new(&work()).await?,
            log,
            steps: Steps::default(),
        })
    }

    /// A fresh build in it; the log is shared.
    pub fn build(&self) -> Result<Build<'_>> {
        Ok(Build::new(
            &self.target,
            &self.sandbox,
            &self.log,
            &self.steps,
            &work(),
        )?)
    }

    /// Says where the log is, for somebody to whom `error` is not enough.
    pub fn explain(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error: anyhow::Error = error.into();
        error.context(format!("see {}", self.log.path().display()))
    }

    /// The steps so far.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }
}

/// On the cache's file system, as the worker has it.
fn work() -> PathBuf {
    Cache::from_env().root().join("work")
}
