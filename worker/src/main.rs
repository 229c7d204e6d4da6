//! The worker: builds live kernel updates, for a server's jobs or by hand.
#![forbid(unsafe_code)]

mod cli;

use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("RESPLICE_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,resplice_worker=info")),
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
