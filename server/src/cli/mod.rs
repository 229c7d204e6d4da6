//! The command line.

mod audit;
mod backup;
mod bundle;
mod collect;
mod feed;
mod host;
mod job;
mod keys;
mod output;
mod place;
mod provenance;
mod rollout;
mod serve;
mod target;
mod token;
mod update;
mod upload;
mod user;
mod watch;
mod webhook;

use clap::{Args, Parser, Subcommand};
use resplice_api::{Token, client::Client};
use std::{path::PathBuf, process::ExitCode};

/// The Resplice server, and the commands that talk to it.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve::Serve>),
    /// Write all that a server keeps into one file, while it runs
    Backup(backup::Backup),
    /// Put a backup into a new directory, and into a new database
    Restore(backup::Restore),
    /// List files of the store that nothing refers to, or take them away
    Collect(collect::Collect),
    /// Print a file of settings, with each one as it is by default
    Config,
    /// Kernels to build for, in this machine's cache
    #[command(subcommand)]
    Target(target::Target),
    /// Updates on a server
    #[command(subcommand)]
    Update(update::Update),
    /// Jobs of a server
    #[command(subcommand)]
    Job(job::Job),
    /// Keys of a server's repository, on the machine where they lie
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Write what a server has released for a kernel into one file
    Bundle(bundle::Bundle),
    /// Rollouts of updates in waves
    #[command(subcommand)]
    Rollout(rollout::RolloutCommand),
    /// Plans for rollouts in waves
    #[command(subcommand)]
    Wave(rollout::Wave),
    /// Groups of hosts
    #[command(subcommand)]
    Group(rollout::GroupCommand),
    /// Hosts of a server
    #[command(subcommand)]
    Host(host::Host),
    /// Tokens of a server
    #[command(subcommand)]
    Token(token::Token),
    /// The transparency log over the audit log and the releases
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The feeds that vendors read
    #[command(subcommand)]
    Feed(feed::Feed),
    /// What the own server is told about updates, as a vendor
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Print the document of the API (OpenAPI 3.1)
    Openapi,
    /// People's accounts on a server
    #[command(subcommand)]
    User(user::User),
}

/// How to reach a server.
#[derive(Args)]
struct Connection {
    /// Address of the server
    #[arg(
        long,
        env = "RESPLICE_SERVER",
        default_value = "http://127.0.0.1:8440",
        value_name = "URL"
    )]
    server: String,
    /// File with the token; mode 0600
    #[arg(long, env = "RESPLICE_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
}

impl Connection {
    fn client(&self) -> anyhow::Result<Client> {
        let token = Token::from_file(&self.token_file)?;
        Ok(Client::new(&self.server, Some(token))?)
    }
}

/// Runs the command that the arguments name; 1 if it fails, 2 if they are wrong.
pub async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(command) => command.run().await,
        Command::Target(command) => command.run().await,
        Command::Update(command) => command.run().await,
        Command::Job(command) => command.run().await,
        Command::Keys(command) => command.run(),
        Command::Feed(command) => command.run(),
        Command::Webhook(command) => command.run().await,
        Command::Bundle(command) => command.run().await,
        Command::Host(command) => command.run().await,
        Command::Rollout(command) => command.run().await,
        Command::Wave(command) => command.run().await,
        Command::Group(command) => command.run().await,
        Command::Token(command) => command.run().await,
        Command::User(command) => command.run().await,
        Command::Audit(command) => command.run().await,
        Command::Backup(command) => command.run().await,
        Command::Restore(command) => command.run().await,
        Command::Collect(command) => command.run().await,
        Command::Config => {
            output::say!("{}", crate::settings::TEMPLATE.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Openapi => {
            output::say!("{}", crate::routes::document().trim_end());
            Ok(ExitCode::SUCCESS)
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
