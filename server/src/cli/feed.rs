//! `resplice-server feed …`, on the machine where the data lie.

use super::{output::say, place::ServerPlace};
use crate::feeds;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum Feed {
    /// Show the public key that signs advisories (OpenPGP)
    Key {
        #[command(flatten)]
        place: ServerPlace,
        /// The publisher's name, as the server has it: the key's user id
        #[arg(long, default_value = feeds::PUBLISHER, value_name = "NAME")]
        publisher: String,
        /// Only its fingerprint
        #[arg(long)]
        fingerprint: bool,
    },
}

impl Feed {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Key {
            place,
            publisher,
            fingerprint,
        } = self;
        let key = feeds::read_key(&feeds::key_file(&place.data()?))?;
        if fingerprint {
            say!("{}", key.fingerprint());
        } else {
            say!("{}", key.public(&publisher).trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }
}
