//! Backups of the whole service: one tar file, made while the server runs.
//!
//! | member | what it is |
//! |---|---|
//! | `backup.json` | [`Head`]: the format, and the version of the schema |
//! | `database/TABLE.jsonl` | the table's columns, then a row a line |
//! | `data/…` | every other file of the data directory |
//! | `data/blobs/ab/abcdef…` | the files of the store, from wherever they lie |
//! | `end.json` | [`End`]: how much there is; without it the file was cut off |
//!
//! Rows are read and written by SQL of our own, in one transaction that sees one
//! moment, on both databases: what was taken from the one can be put into the
//! other, and no program of PostgreSQL's has to be there in the right version. So
//! it is with the store: out of a directory into a bucket, and back.
//! Files are taken after the rows, so that all that the rows name is there; what
//! came later than the rows is left alone by the server that starts on it.

mod files;
mod restore;
mod rows;

pub use restore::restore;

use crate::{
    db::{self, Db, Place},
    store::{Home, Store},
};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use tar::{Builder, Header};

/// The format number that this program writes and reads.
const FORMAT: u32 = 1;
const HEAD: &str = "backup.json";
const END: &str = "end.json";
const DATABASE: &str = "database/";
const DATA: &str = "data/";
/// Where the store's files are in a backup, wherever they lay.
const BLOBS: &str = "blobs/";

/// What a backup begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`FORMAT`].
    format: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// The program that made it.
    pub made_by: String,
    /// The migrations that its rows have been through.
    migrations: Vec<String>,
}

/// What a backup ends with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Files of the data directory.
    pub files: u64,
}

/// Writes a backup of a server's database and data directory into a new file of
/// mode 0600: it holds keys.
///
/// # Errors
/// If something can't be read or written; then there is no file.
pub async fn backup(place: &Place, home: &Home, data: &Path, output: &Path) -> anyhow::Result<End> {
    ensure!(
        !output.exists(),
        "{} is there already: a backup is never overwritten",
        output.display()
    );
    let db = db::open_as_it_is(place).await?;
    let part = output.with_extension("part");
    let _ = fs::remove_file(&part);
    let store = Store::open(home, data)?;
    let end = write(&db, &store, data, &part).await;
    if end.is_err() {
        let _ = fs::remove_file(&part);
    }
    let end = end?;
    fs::rename(&part, output).with_context(|| format!("can't write {}", output.display()))?;
    Ok(end)
}

async fn write(db: &Db, store: &Store, data: &Path, output: &Path) -> anyhow::Result<End> {
    let failed = || format!("can't write {}", output.display());
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(output)
        .with_context(failed)?;
    let mut tar = Builder::new(file);
    let mut end = End::default();
    let _store = store.hold(false).await?;
    let snapshot = db::snapshot(db).await?;
    let head = Head {
        format: FORMAT,
        made_at: Timestamp::now(),
        made_by: made_by(),
        migrations: db::migrations(&snapshot).await?,
    };
    add(&mut tar, HEAD, &serde_json::to_vec(&head)?).with_context(failed)?;
    for table in db::tables() {
        let mut spool = tempfile::tempfile_in(output.parent().unwrap_or(Path::new(".")))
            .or_else(|_| tempfile::tempfile())
            .context("can't make a temporary file")?;
        let count = rows::write(&snapshot, table, &mut spool)
            .await
            .with_context(|| format!("can't read the table {table}"))?;
        let name = format!("{DATABASE}{table}.jsonl");
        add_file(&mut tar, &name, &mut spool).with_context(failed)?;
        end.rows.insert(table.to_owned(), count);
    }
    drop(snapshot);
    end.files = files::write(data, &mut tar)? + blobs(store, &mut tar).await?;
    add(&mut tar, END, &serde_json::to_vec(&end)?).with_context(failed)?;
    tar.into_inner()
        .and_then(|file| file.sync_all())
        .with_context(failed)?;
    Ok(end)
}

/// Adds the store's files, each checked against its name; returns how many.
async fn blobs(store: &Store, tar: &mut Builder<File>) -> anyhow::Result<u64> {
    let mut count = 0;
    for kept in store.list().await? {
        let Some(digest) = kept.digest else { continue };
        let bytes = store.read(&digest).await?;
        let name = format!("{DATA}{BLOBS}{}/{digest}", &digest[..2]);
        add(tar, &name, &bytes).with_context(|| format!("can't take {}", kept.place))?;
        count += 1;
    }
    Ok(count)
}

fn made_by() -> String {
    concat!("resplice-server ", env!("CARGO_PKG_VERSION")).to_owned()
}

fn add(tar: &mut Builder<File>, name: &str, bytes: &[u8]) -> io::Result<()> {
    append(tar, name, bytes.len() as u64, 0o600, bytes)
}

/// Adds a file from its beginning to its end.
fn add_file(tar: &mut Builder<File>, name: &str, file: &mut File) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    file.flush()?;
    let bytes = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    append(tar, name, bytes, 0o600, file)
}

fn append(
    tar: &mut Builder<File>,
    name: &str,
    bytes: u64,
    mode: u32,
    from: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(mode);
    tar.append_data(&mut header, name, from.take(bytes))
}
