//! The worker: builds live kernel updates, for a server's jobs or by hand.
#![forbid(unsafe_code)]

mod cli;

use clap::Parser;
use std::process::ExitCode;
use std::time::Duration;

/// Sandboxes die with their parent, and to the kernel the parent is the thread
/// that started them. Tokio ends threads that were idle for ten seconds; these
/// stay for a year.
const THREADS_STAY: Duration = Duration::from_secs(365 * 24 * 3600);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(THREADS_STAY)
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(worker()),
        Err(error) => {
            eprintln!("resplice-worker: can't start its threads: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn worker() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("RESPLICE_LOG").unwrap_or_else(|_| {
                tracing_subscriber::EnvFilter::new("warn,resplice_worker=info")
            }),
        )
        .init();
    match cli::Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("resplice-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}
