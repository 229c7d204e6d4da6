//! `resplice-worker run`: build for a server.

use super::common::Common;
use anyhow::Context;
use clap::Args;
use resplice_api::{Token, client::Client};
use resplice_package::{PublicKey, SecretKey};
use resplice_worker::{
    lease::{Shutdown, Worker},
    pipeline::Options,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use tokio::signal::unix::{SignalKind, signal};

/// Build for a server until SIGTERM: then the running job is finished; a second
/// one drops it, and the server gives it to another worker.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    common: Common,
    /// The server's address, such as http://127.0.0.1:8440.
    #[arg(long, value_name = "URL", env = "RESPLICE_SERVER")]
    server: String,
    /// File with the worker's token.
    #[arg(long, value_name = "FILE", env = "RESPLICE_TOKEN_FILE")]
    token_file: PathBuf,
    /// File with the server's public key for jobs: jobs/key.pub of its data directory, or
    /// what `resplice-server job key` prints. Other jobs are not run.
    #[arg(long, value_name = "FILE", env = "RESPLICE_SERVER_KEY")]
    server_key: PathBuf,
    /// File with the signing key (see keygen).
    #[arg(long, value_name = "FILE", env = "RESPLICE_KEY")]
    key: PathBuf,
    /// The worker's name on the server [default: the host's name]
    #[arg(long, env = "RESPLICE_NAME")]
    name: Option<String>,
    /// QEMU's CPU models to verify on.
    #[arg(
        long,
        default_value = "max",
        value_name = "MODEL",
        env = "RESPLICE_CPU",
        value_delimiter = ','
    )]
    cpu: Vec<String>,
    /// End after one job.
    #[arg(long)]
    once: bool,
}

impl Run {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let token = Token::from_file(&self.token_file)?;
        let worker = Worker {
            client: Client::new(&self.server, Some(token))?,
            name: self.name.clone().map_or_else(host_name, Ok)?,
            server_key: server_key(&self.server_key)?,
            key: Arc::new(SecretKey::load(&self.key)?),
            sandbox: Arc::from(self.common.sandbox().await?),
            options: Options {
                cache: self.common.cache().root().to_owned(),
                kmod: self.common.kmod()?,
                cpus: self.cpu.clone(),
                module_key: self.common.module_key()?,
            },
            work: self.common.work(),
        };
        let shutdown = Shutdown::default();
        let waiting = tokio::spawn(wait_for_signals(shutdown.clone()));
        tracing::info!(server = self.server, name = worker.name, "worker is up");
        let outcome = worker.run(self.once, &shutdown).await;
        waiting.abort();
        outcome?;
        Ok(ExitCode::SUCCESS)
    }
}

fn server_key(path: &Path) -> anyhow::Result<PublicKey> {
    let failed = || format!("read the server's key {}", path.display());
    let text = fs::read_to_string(path).with_context(failed)?;
    text.trim().parse().with_context(failed)
}

async fn wait_for_signals(shutdown: Shutdown) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    for token in [&shutdown.stop, &shutdown.abandon] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
        token.cancel();
    }
    Ok(())
}

fn host_name() -> anyhow::Result<String> {
    let path = "/proc/sys/kernel/hostname";
    let name = fs::read_to_string(path).with_context(|| format!("read {path}; or give --name"))?;
    Ok(name.trim().to_owned())
}
