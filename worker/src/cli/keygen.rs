//! `resplice-worker keygen`.

use clap::Args;
use resplice_package::SecretKey;
use std::{path::PathBuf, process::ExitCode};

/// Make a signing key (ed25519, PKCS#8 PEM, mode 0600) and print its public half.
#[derive(Debug, Args)]
pub struct Keygen {
    /// The file to make; it must not exist.
    file: PathBuf,
}

impl Keygen {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let key = SecretKey::generate_file(&self.file)?;
        println!("{}", key.public());
        Ok(ExitCode::SUCCESS)
    }
}
