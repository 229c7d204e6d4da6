//! `resplice-server update provenance`: where a package comes from.

use super::{
    Connection,
    output::{bold, dim, json, say},
};
use anyhow::{Context, bail};
use clap::Args;
use resplice_api::{Job, PackageInfo, UpdateId, client::Client, limits};
use resplice_package::{Package, Provenance, PublicKey};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Show what a package was built from, after its signature was verified; with
/// --out, fetch all that `resplice-worker rebuild` needs.
#[derive(Args)]
pub(super) struct Show {
    /// The update
    id: UpdateId,
    /// The target, if it was built for several
    #[arg(long)]
    target: Option<String>,
    /// Write package, provenance and patch into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The statement as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Show {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.connection.client()?;
        let update = client.update(self.id).await?;
        let built = update.jobs.iter().filter(|job| job.package.is_some());
        let wanted = |job: &&Job| {
            self.target
                .as_ref()
                .is_none_or(|target| job.target == *target)
        };
        let jobs: Vec<&Job> = built.filter(wanted).collect();
        let [job] = jobs.as_slice() else {
            let targets: Vec<&str> = jobs.iter().map(|job| job.target.as_str()).collect();
            bail!(
                "{} packages; name one of their targets with --target: {}",
                jobs.len(),
                targets.join(", ")
            );
        };
        let package = job.package.as_ref().context("the job has no package")?;
        let bytes = client.provenance(&package.sha256).await?;
        let key: PublicKey = package.signer.parse()?;
        let provenance = Provenance::open(&bytes, &[key])?;
        if provenance.package_sha256() != package.sha256 {
            bail!("the provenance is about another package; the server is not to be trusted");
        }
        if let Some(directory) = &self.out {
            fetch(&client, self.id, package, &bytes, directory).await?;
        }
        if self.json {
            json(&provenance.json()?)?;
        } else {
            show(&provenance);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(provenance: &Provenance) {
    let definition = provenance.definition();
    let (asked, set) = (
        &definition.external_parameters,
        &definition.internal_parameters,
    );
    let run = provenance.metadata();
    say!("{} for {}", bold(&asked.name), asked.target);
    say!("package  {}", provenance.package_sha256());
    say!("signer   {}", provenance.signer());
    say!("built    {} by {}", run.finished_on, provenance.built_by());
    say!("job      {}", run.invocation_id);
    say!("sandbox  {}, tried on {}", set.sandbox, tried(&set.cpus));
    say!("target   {}", asked.target_digest);
    for dependency in &definition.resolved_dependencies {
        say!("{}  {}", dim(&dependency.digest.sha256), dependency.name);
    }
}

fn tried(cpus: &[String]) -> String {
    if cpus.is_empty() {
        return "no processor".to_owned();
    }
    cpus.join(", ")
}

/// Writes what a rebuild needs into a directory.
async fn fetch(
    client: &Client,
    update: UpdateId,
    info: &PackageInfo,
    provenance: &[u8],
    directory: &Path,
) -> anyhow::Result<()> {
    let mut package = std::io::Cursor::new(Vec::new());
    let limit = limits::MAX_PACKAGE_BYTES as u64;
    client
        .download_package(&info.sha256, limit, &mut package)
        .await?;
    let package = package.into_inner();
    let opened = Package::open(&package, &[info.signer.parse()?])?;
    let id = &opened.manifest().id;
    let patch = client.patch(update).await?;
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    for (name, bytes) in [
        (format!("{id}.rspl"), package.as_slice()),
        (format!("{id}.provenance.json"), provenance),
        (format!("{id}.patch"), &patch),
    ] {
        let path = directory.join(name);
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
