//! The worker's commands.

mod build;
mod common;
mod keygen;
mod r#match;
mod rebuild;
mod run;
mod verify;

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
    /// Build for a server.
    Run(run::Run),
    /// Build one update without a server.
    Build(build::BuildCommand),
    /// Try a finished package on its stock kernel.
    Verify(verify::VerifyCommand),
    /// Build a finished package again and compare the bytes.
    Rebuild(rebuild::Rebuild),
    /// Match units against a kernel's files.
    Match(r#match::MatchCommand),
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// What the command gives.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Keygen(command) => command.run(),
            Command::Run(command) => command.run().await,
            Command::Build(command) => command.run().await,
            Command::Verify(command) => command.run().await,
            Command::Rebuild(command) => command.run().await,
            Command::Match(command) => command.run().await,
        }
    }
}
