//! The worker's commands.

mod build;
mod common;
mod keygen;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Builds live kernel updates.
#[derive(Debug, Parser)]
#[command(name = "resplice-worker", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a signing key.
    Keygen(keygen::Keygen),
    /// Build one update without a server.
    Build(build::BuildCommand),
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// What the command gives.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Keygen(command) => command.run(),
            Command::Build(command) => command.run().await,
        }
    }
}
