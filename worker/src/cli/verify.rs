//! `resplice-worker verify`: a finished package on the stock kernel.

use super::common::Common;
use anyhow::Context;
use clap::Args;
use resplice_package::{Package, SecretKey};
use resplice_worker::{
    Error,
    build::blocking,
    log::Log,
    verify::{GuestReport, Trial, in_guest},
};
use serde_json::json;
use std::{fs, path::PathBuf, process::ExitCode};

/// Apply a package to its stock kernel in a virtual machine and undo it, as a
/// build's own verification does, without its check. Exits with 0 if the kernel
/// took it, gave it back and had nothing to complain of, with 1 if not, with 2 if
/// the machine itself did not work.
#[derive(Debug, Args)]
pub struct VerifyCommand {
    #[command(flatten)]
    common: Common,
    /// The package (ID.rspl).
    #[arg(long, value_name = "FILE")]
    package: PathBuf,
    /// The key that it was signed with (see keygen).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// QEMU's CPU model.
    #[arg(long, default_value = "max", value_name = "MODEL")]
    cpu: String,
    /// Where the log goes.
    #[arg(long, value_name = "FILE", default_value = "verify.log")]
    log: PathBuf,
    /// Print the outcome as JSON, and no log.
    #[arg(long)]
    json: bool,
}

impl VerifyCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let key = SecretKey::load(&self.key)?;
        let bytes = fs::read(&self.package)
            .with_context(|| format!("read the package {}", self.package.display()))?;
        let package = Package::open(&bytes, &[key.public()])?;
        let target = self.common.target(&package.manifest().target.id)?;
        let trial = Trial::of_package(&package, &self.cpu)?;
        let log = Log::create(&self.log, !self.json)?;
        let cache = self.common.cache().root().to_owned();
        let (outcome, report) = blocking("run the verification", move || {
            let mut report = GuestReport::default();
            let outcome = in_guest(&target, &cache, &trial, &log, &mut report);
            Ok::<_, Error>((outcome, report))
        })
        .await?;
        let reason = outcome.as_ref().err().map(ToString::to_string);
        if self.json {
            println!("{}", json!({ "guest": report, "reason": reason }));
        } else {
            println!("{}", reason.as_deref().unwrap_or("applied and undone"));
        }
        Ok(match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(Error::Verification(_)) => ExitCode::FAILURE,
            Err(_) => ExitCode::from(2),
        })
    }
}
