//! `resplice-worker rebuild`: whether a package is what its provenance says.

use super::common::{CheckFiles, Common, file_name};
use anyhow::Context;
use clap::Args;
use resplice_package::{MAX_PACKAGE_BYTES, MAX_PROVENANCE_BYTES, PublicKey};
use resplice_worker::{
    Error,
    build::Build,
    log::Log,
    package,
    patch::Patch,
    pipeline::{self, Options, Request},
    provenance::Run,
    rebuild::{Comparison, Original},
    report::Report,
    step::Steps,
};
use serde_json::json;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Build a package again from what its provenance says went in, and compare the
/// bytes. The worker's key is not needed. Exits with 0 if they are the same, with
/// 1 if not, with 2 if the provenance is refused or what went in is not here.
#[derive(Debug, Args)]
pub struct Rebuild {
    #[command(flatten)]
    common: Common,
    /// The package (ID.rspl).
    package: PathBuf,
    /// Its provenance [default: ID.provenance.json beside it]
    #[arg(long, value_name = "FILE")]
    provenance: Option<PathBuf>,
    /// The patch that it was built from.
    #[arg(long, value_name = "FILE")]
    patch: PathBuf,
    /// The public key of a worker that is trusted, 64 hex digits.
    #[arg(long = "worker-key", required = true, value_name = "HEX")]
    keys: Vec<PublicKey>,
    #[command(flatten)]
    check: CheckFiles,
    /// Where the log goes.
    #[arg(long, value_name = "FILE", default_value = "rebuild.log")]
    log: PathBuf,
    /// Print the outcome as JSON, and no log.
    #[arg(long)]
    json: bool,
}

impl Rebuild {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let original = match self.original()? {
            Ok(original) => original,
            Err(error) => return Ok(self.refuse(&error.to_string())),
        };
        let definition = original.provenance().definition();
        let asked = &definition.external_parameters;
        let target = self.common.target(&asked.target)?;
        let patch = String::from_utf8(read(&self.patch, 4 << 20)?)
            .with_context(|| format!("{} is not UTF-8 text", self.patch.display()))?;
        let request = Request {
            update_id: asked.update_id.clone(),
            name: asked.name.clone(),
            cves: asked.cves.clone(),
            patch: Patch::parse(&patch).map_err(Error::from)?,
            supersedes: asked.supersedes.clone(),
            check: self.check.read()?,
        };
        let options = Options {
            cache: self.common.cache().root().to_owned(),
            kmod: self.common.kmod()?,
            cpus: definition.internal_parameters.cpus.clone(),
            module_key: self.common.module_key()?,
        };
        if let Err(error) = original.check_inputs(&target, &request, &options.kmod) {
            return Ok(self.refuse(&error.to_string()));
        }
        let sandbox = self.common.sandbox().await?;
        let (log, steps) = (Log::create(&self.log, !self.json)?, Steps::default());
        let work = self.common.work();
        let build = Build::new(&target, sandbox.as_ref(), &log, &steps, &work)?;
        let run = Run::begin(&build, "rebuild".to_owned()).await?;
        let remarks = original.remarks(&run);
        for remark in &remarks {
            log.line(remark);
        }
        let mut report = Report::default();
        let built = pipeline::build(&build, &request, &options, &mut report).await?;
        let manifest = package::manifest(&target, &request, &built);
        let members = package::members(&built, &report)?;
        let outcome = original.compare(manifest, members, options.module_key.is_some())?;
        Ok(match outcome {
            Comparison::Same => {
                let text = format!("{} is what its provenance says", original.manifest().id);
                self.say(json!({ "same": true, "remarks": remarks }), &text);
                ExitCode::SUCCESS
            }
            Comparison::Differs(differences) => {
                let text = format!("other bytes: {}", differences.join("; "));
                let value =
                    json!({ "same": false, "differences": differences, "remarks": remarks });
                self.say(value, &text);
                ExitCode::FAILURE
            }
        })
    }

    /// The inner error says why package and provenance are not to be believed.
    fn original(&self) -> anyhow::Result<Result<Original, resplice_package::Error>> {
        let bytes = read(&self.package, MAX_PACKAGE_BYTES)?;
        let beside = || {
            let name = file_name(&self.package.with_extension("provenance.json"));
            self.package.with_file_name(name)
        };
        let path = self.provenance.clone().unwrap_or_else(beside);
        let provenance = read(&path, MAX_PROVENANCE_BYTES)?;
        Ok(Original::open(bytes, &provenance, &self.keys))
    }

    fn refuse(&self, reason: &str) -> ExitCode {
        self.say(json!({ "same": null, "reason": reason }), reason);
        ExitCode::from(2)
    }

    fn say(&self, value: serde_json::Value, text: &str) {
        if self.json {
            println!("{value}");
        } else {
            println!("{text}");
        }
    }
}

/// Reads a file, and one byte more than it may have: what is too large is refused
/// by whoever reads the bytes.
fn read(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("read {}", path.display()))?;
    Ok(bytes)
}
