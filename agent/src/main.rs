//! `resplice`, the host agent: polls a server for released updates, verifies
//! them, has the kernel match and apply them, reports, undoes.
//!
//! - [`cli`]: the command line; [`commands`]: one file a command.
//! - [`agent`]: the steps of an update, each in the [`journal`] before it is taken.
//! - [`kernel`]: what the core says in sysfs, and loading modules.
//! - [`vouch`]: what the server's TUF repository vouches for.
//! - [`server`], [`poll`], [`policy`]: the plan, carrying it out, and what the
//!   agent does by itself.
//! - [`bundle`]: a repository in a file.
//! - [`boot`]: what a restart, or a crash, means for the updates.
//! - [`doctor`], [`metrics`], [`effective`]: how this host stands; [`pause`]:
//!   applying nothing for a while.
//! - [`fault`]: where tests kill it.
//! - [`state`]: the state directory; [`host`]: the machine; [`text`]: output.
//!
//! Nothing is loaded that a trusted worker has not signed, that the plan does not
//! name by its digest, or that is for another kernel; and of what a server offers
//! nothing that its repository does not vouch for.
#![forbid(unsafe_code)]

mod agent;
#[cfg(test)]
mod attack_test;
#[cfg(test)]
mod awaited_test;
mod boot;
mod bundle;
mod cli;
mod commands;
mod doctor;
mod effective;
mod fault;
#[cfg(test)]
mod flip_test;
mod host;
mod journal;
mod kernel;
#[cfg(test)]
mod kill_test;
mod ledger;
mod metrics;
#[cfg(test)]
mod parts_test;
mod pause;
mod policy;
mod poll;
#[cfg(test)]
mod revoke_test;
#[cfg(test)]
mod rig;
mod rollout;
mod server;
#[cfg(test)]
mod server_test;
#[cfg(test)]
mod stand_test;
mod state;
#[cfg(test)]
mod steps_test;
#[cfg(test)]
mod supersede_test;
mod text;
mod vouch;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if cli.global.quiet {
        text::be_quiet();
    }
    match commands::run(&cli) {
        Ok(code) => code,
        Err(error) => {
            text::error(&format!("resplice: {error:#}"));
            ExitCode::from(commands::ERROR)
        }
    }
}
