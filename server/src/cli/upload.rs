//! `resplice-server update upload`: a patch, and what checks that it helps.

use super::{
    Connection,
    output::{bold, json, say},
    watch,
};
use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use resplice_api::{Check, CheckFile, JobStatus, NewUpdate, UpdateId, client::update_page, limits};
use std::{
    fs::File,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Args)]
pub(super) struct Upload {
    /// A unified diff against the kernel's source
    patch: PathBuf,
    /// A kernel to build for; may be given several times
    #[arg(long = "target", required = true, value_name = "ID")]
    targets: Vec<String>,
    /// One line for people; the patch's file name if it is left out
    #[arg(long)]
    name: Option<String>,
    /// A CVE id; may be given several times
    #[arg(long = "cve", value_name = "ID")]
    cves: Vec<String>,
    /// An update whose place this one takes: its patch carries that one's changes
    /// too. Hosts exchange the one for the other in one stop.
    #[arg(long, value_name = "ID")]
    supersedes: Vec<UpdateId>,
    /// Anything else, for people
    #[arg(long, default_value = "")]
    notes: String,
    /// A script for the verification guest: exit code 0 means fixed, 1 vulnerable
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// A file to lie beside the script; may be given several times
    #[arg(long = "check-file", value_name = "FILE")]
    check_files: Vec<PathBuf>,
    /// Follow the builds until they end; 1 if one of them gives no package
    #[arg(long)]
    wait: bool,
    /// JSON for machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Upload {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.connection.client()?;
        let update = client.upload(&self.read()?).await?;
        if !self.json {
            say!("uploaded {}", bold(&update.name));
            say!("{}", update_page(client.server(), update.id));
        }
        if !self.wait {
            if self.json {
                json(&update)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        watch::follow(&client, &update, self.json).await?;
        let update = client.update(update.id).await?;
        if self.json {
            json(&update)?;
        } else {
            watch::show(&update, client.server());
        }
        let all_built = update.jobs.iter().all(|job| job.status == JobStatus::Built);
        Ok(if all_built {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn read(&self) -> anyhow::Result<NewUpdate> {
        let patch = read_text(&self.patch, limits::MAX_PATCH_BYTES)?;
        let stem = || {
            self.patch
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        };
        let Some(name) = self.name.clone().or_else(stem) else {
            bail!("{} has no name; give one with --name", self.patch.display());
        };
        Ok(NewUpdate {
            name,
            patch,
            targets: self.targets.clone(),
            cves: self.cves.clone(),
            supersedes: self.supersedes.clone(),
            notes: self.notes.clone(),
            check: self.read_check()?,
        })
    }

    fn read_check(&self) -> anyhow::Result<Option<Check>> {
        if self.check.is_none() && self.check_files.is_empty() {
            return Ok(None);
        }
        let script = match &self.check {
            Some(path) => Some(read_text(path, limits::MAX_CHECK_BYTES)?),
            None => None,
        };
        let files = self.check_files.iter().map(|path| read_check_file(path));
        Ok(Some(Check {
            script,
            files: files.collect::<anyhow::Result<_>>()?,
        }))
    }
}

fn read_check_file(path: &Path) -> anyhow::Result<CheckFile> {
    let error = || format!("can't read {}", path.display());
    let name = path.file_name().and_then(|name| name.to_str());
    let mode = std::fs::metadata(path)
        .with_context(error)?
        .permissions()
        .mode();
    Ok(CheckFile {
        name: name.with_context(error)?.to_owned(),
        mode: mode & 0o777,
        base64: BASE64_STANDARD.encode(read_bytes(path, limits::MAX_CHECK_BYTES)?),
    })
}

fn read_text(path: &Path, limit: usize) -> anyhow::Result<String> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))
}

fn read_bytes(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("can't read {}", path.display()))?;
    if bytes.len() > limit {
        bail!(
            "{} has more than the {limit} bytes that are allowed",
            path.display()
        );
    }
    Ok(bytes)
}
