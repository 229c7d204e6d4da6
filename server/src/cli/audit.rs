//! `resplice-server audit …`, on the machine where the data lie.

use super::{
    output::{bold, dim, say},
    place::ServerPlace,
};
use crate::{
    db::{self, Db, log, log_tiles},
    transparency,
};
use anyhow::Context;
use clap::Subcommand;
use resplice_tlog::{Verifier, tile};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Subcommand)]
pub(super) enum Audit {
    /// Hold the transparency log against its checkpoint, the tables, and checkpoints from elsewhere
    Verify {
        #[command(flatten)]
        place: ServerPlace,
        /// The key that must have signed it, as `audit key` shows; without, that of the data directory
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// A checkpoint that was kept elsewhere; may be given several times
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// Show the key that signs the log's checkpoints: keep it elsewhere
    Key {
        #[command(flatten)]
        place: ServerPlace,
    },
    /// Write the log into a directory, in the form of C2SP tlog-tiles
    Export {
        /// The directory, which is created
        directory: PathBuf,
        #[command(flatten)]
        place: ServerPlace,
    },
}

impl Audit {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Verify {
                place,
                key,
                checkpoint,
            } => verify(&place, key, &checkpoint).await,
            Self::Key { place } => {
                say!("{}", own_key(&place)?);
                Ok(ExitCode::SUCCESS)
            }
            Self::Export { directory, place } => {
                let db = open(&place).await?;
                let (entries, directory) = (export(&db, &directory).await?, directory.display());
                say!("{} entries in {directory}", bold(entries));
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn own_key(place: &ServerPlace) -> anyhow::Result<Verifier> {
    let file = place.data()?.join("log/key");
    Ok(transparency::read_key(&file)?.verifier())
}

async fn open(place: &ServerPlace) -> anyhow::Result<Db> {
    let file = place.data()?.join("resplice.db");
    let database = match place.database()? {
        Some(database) => database,
        None => {
            anyhow::ensure!(file.exists(), "there is no database {}", file.display());
            db::Place::Sqlite(file)
        }
    };
    db::open(&database).await
}

async fn verify(
    place: &ServerPlace,
    key: Option<String>,
    checkpoints: &[PathBuf],
) -> anyhow::Result<ExitCode> {
    let verifier = match key {
        Some(key) => key.parse().context("can't use the key that was given")?,
        None => own_key(place)?,
    };
    let mut kept = Vec::new();
    let copy = place.data()?.join("log/checkpoint");
    kept.extend(transparency::read_checkpoint(&copy, &verifier)?);
    for file in checkpoints {
        let checkpoint = transparency::read_checkpoint(file, &verifier)?;
        kept.push(checkpoint.with_context(|| format!("there is no {}", file.display()))?);
    }
    let report = transparency::verify(&open(place).await?, &verifier, &kept).await?;
    for finding in &report.findings {
        say!("{finding}");
    }
    if report.findings.is_empty() {
        say!("{} entries, all as they were signed", bold(report.size));
        say!("{}", dim(format!("  by {verifier}")));
        if report.pending > 0 {
            say!(
                "{}",
                dim(format!("  {} rows wait to be appended", report.pending))
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::bail!(
        "the log is not as it was signed: {} findings",
        report.findings.len()
    )
}

async fn export(db: &Db, directory: &Path) -> anyhow::Result<u64> {
    let head = log::head(db).await?;
    let tiles = log_tiles::all(db).await?;
    for (place, hashes) in tiles.iter() {
        // Rows may have been added since.
        let count = head.size >> (8 * place.level).min(63);
        let Some(width) = width(place.index, count) else {
            continue;
        };
        let name = format!("tile/{}/{}", place.level, file(place.index, width));
        let hashes = hashes.get(..usize::try_from(width)?).unwrap_or(hashes);
        write(&directory.join(name), hashes.as_flattened())?;
    }
    let mut index = 0;
    while let Some(width) = width(index, head.size) {
        let entries = log::entries(db, index * tile::WIDTH, width).await?;
        let bundle = tile::bundle(entries.iter().map(|(_, entry)| entry.as_bytes()))
            .context("an entry is too long for a bundle")?;
        let name = format!("tile/entries/{}", file(index, width));
        write(&directory.join(name), &bundle)?;
        index += 1;
    }
    write(&directory.join("checkpoint"), head.checkpoint.as_bytes())?;
    Ok(head.size)
}

/// How wide a tile is if there are `count` in its row; none if it is empty.
fn width(index: u64, count: u64) -> Option<u64> {
    let rest = count.checked_sub(index * tile::WIDTH)?;
    Some(rest.min(tile::WIDTH)).filter(|width| *width > 0)
}

fn file(index: u64, width: u64) -> String {
    let number = tile::number(index);
    match width {
        tile::WIDTH => number,
        partial => format!("{number}.p/{partial}"),
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let error = || format!("can't write {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(error)?;
    }
    std::fs::write(path, bytes).with_context(error)
}
