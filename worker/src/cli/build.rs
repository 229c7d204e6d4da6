//! `resplice-worker build`: the pipeline without a server.

use super::common::{CheckFiles, Common, colour, file_name};
use anyhow::Context;
use clap::Args;
use owo_colors::OwoColorize;
use resplice_api::FinishStatus;
use resplice_objdiff::semantic::{Palette, render};
use resplice_package::SecretKey;
use resplice_worker::{
    Error,
    build::Build,
    log::Log,
    package,
    patch::Patch,
    pipeline::{self, Built, Options, Request},
    provenance::Run,
    report::Report,
    step::Steps,
};
use serde_json::json;
use std::{fs, path::PathBuf, process::ExitCode};

/// Build one update without a server: DIR gets ID.rspl and
/// ID.provenance.json (with --key), the modules, plan.json, report.json, report.txt, listing.json, steps.json and build.log; skeleton.patch if
/// the patch needs code of its author.
#[derive(Debug, Args)]
pub struct BuildCommand {
    #[command(flatten)]
    common: Common,
    /// The unified diff.
    #[arg(long, value_name = "FILE")]
    patch: PathBuf,
    /// The kernel, such as debian:6.1.0-50-cloud-amd64.
    #[arg(long)]
    target: String,
    /// Where the results go.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Sign a package with this key (see keygen).
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// One line for people [default: the patch file's name]
    #[arg(long)]
    name: Option<String>,
    /// CVE ids that it fixes.
    #[arg(long)]
    cve: Vec<String>,
    /// Id in the kernel of an update whose place this one takes: its patch
    /// carries that one's changes too.
    #[arg(long, value_name = "ID")]
    supersedes: Vec<String>,
    #[command(flatten)]
    check: CheckFiles,
    /// QEMU's CPU models to verify on.
    #[arg(long, default_value = "max", value_name = "MODEL")]
    cpu: Vec<String>,
    /// Do not try the update in a virtual machine.
    #[arg(long)]
    no_verify: bool,
    /// Print the outcome as JSON, and no log.
    #[arg(long)]
    json: bool,
}

impl BuildCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        fs::create_dir_all(&self.out).with_context(|| format!("make {}", self.out.display()))?;
        let target = self.common.target(&self.target)?;
        let key = self.key.as_deref().map(SecretKey::load).transpose()?;
        let sandbox = self.common.sandbox().await?;
        let options = Options {
            cache: self.common.cache().root().to_owned(),
            kmod: self.common.kmod()?,
            cpus: if self.no_verify {
                Vec::new()
            } else {
                self.cpu.clone()
            },
            module_key: self.common.module_key()?,
        };
        let log = Log::create(&self.out.join("build.log"), !self.json)?;
        let steps = Steps::default();
        let mut report = Report::default();
        let outcome = async {
            let request = self.request()?;
            let build = Build::new(&target, sandbox.as_ref(), &log, &steps, &self.common.work())?;
            let run = Run::begin(&build, "local".to_owned()).await?;
            let built = pipeline::build(&build, &request, &options, &mut report).await?;
            let package = match &key {
                Some(key) => {
                    let sign = async {
                        let package = package::sign(&target, &request, &built, &report, key)?;
                        let provenance = run.provenance(package.clone(), &request, &options, key);
                        Ok((provenance.await?, package))
                    };
                    Some(build.stage("sign", sign).await?)
                }
                None => None,
            };
            Ok::<_, anyhow::Error>((built, package))
        };
        let outcome = outcome.await;
        self.save("report.json", &serde_json::to_vec_pretty(&report)?)?;
        self.save("steps.json", &serde_json::to_vec_pretty(&steps.all())?)?;
        if !report.plans.is_empty() {
            self.save("plan.json", &serde_json::to_vec_pretty(&report.plans)?)?;
        }
        if let Some(listing) = &report.listing {
            self.save("listing.json", &serde_json::to_vec_pretty(listing)?)?;
        }
        if let Some(skeleton) = &report.skeleton {
            self.save("skeleton.patch", skeleton.as_bytes())?;
        }
        self.show(&report)?;
        match outcome {
            Ok((built, signed)) => self.succeed(&built, signed.as_ref(), &steps),
            Err(error) => {
                log.error(&format!("{error:#}"));
                self.fail(&error)
            }
        }
    }

    /// The report for reviewers: `report.txt`, and on the terminal.
    fn show(&self, report: &Report) -> anyhow::Result<()> {
        let Some(found) = &report.semantic else {
            return Ok(());
        };
        let text = render(&report.plans, found, Palette::Plain);
        self.save("report.txt", text.as_bytes())?;
        if !self.json {
            let palette = if colour() {
                Palette::Colour
            } else {
                Palette::Plain
            };
            println!("{}", render(&report.plans, found, palette));
        }
        Ok(())
    }

    fn request(&self) -> anyhow::Result<Request> {
        let text = fs::read_to_string(&self.patch)
            .with_context(|| format!("read the patch {}", self.patch.display()))?;
        let name = self.name.clone().unwrap_or_else(|| file_name(&self.patch));
        Ok(Request {
            update_id: "local".to_owned(),
            name,
            cves: self.cve.clone(),
            patch: Patch::parse(&text).map_err(Error::from)?,
            supersedes: self.supersedes.clone(),
            check: self.check.read()?,
        })
    }

    fn succeed(
        &self,
        built: &Built,
        signed: Option<&(Vec<u8>, Vec<u8>)>,
        steps: &Steps,
    ) -> anyhow::Result<ExitCode> {
        for part in &built.parts {
            self.save(&format!("{}.ko", part.name), &part.module)?;
        }
        self.save("resplice.ko", &built.core)?;
        let mut result = format!("{}.ko", built.identity.id());
        if let Some((provenance, package)) = signed {
            let id = built.identity.id();
            self.save(&format!("{id}.provenance.json"), provenance)?;
            result = format!("{id}.rspl");
            self.save(&result, package)?;
        }
        let functions: Vec<&str> = built
            .parts
            .iter()
            .flat_map(|part| part.plan.replaced())
            .map(|function| function.name.as_str())
            .collect();
        if self.json {
            let text = json!({
                "status": FinishStatus::Built, "id": built.identity.id(), "objects": built.objects(),
                "functions": functions, "result": self.out.join(&result), "steps": steps.all(),
            });
            println!("{text}");
        } else {
            let path = self.out.join(&result);
            let word = if colour() {
                "built".green().to_string()
            } else {
                "built".to_owned()
            };
            println!("{word} {} ({})", path.display(), functions.join(", "));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn fail(&self, error: &anyhow::Error) -> anyhow::Result<ExitCode> {
        let known = error.downcast_ref::<Error>();
        let status = known.map_or(FinishStatus::Failed, Error::status);
        if self.json {
            let text = json!({
                "status": status, "reason": format!("{error:#}"),
                "exit_code": known.and_then(Error::exit_code),
            });
            println!("{text}");
        }
        // Told apart by scripts: 1 failed, 2 refused, 3 nothing to do, 4 needs code.
        Ok(ExitCode::from(match status {
            FinishStatus::Refused => 2,
            FinishStatus::Nothing => 3,
            FinishStatus::NeedsCode => 4,
            _ => 1,
        }))
    }

    fn save(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.out.join(name);
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))
    }
}
