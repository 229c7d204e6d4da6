//! Putting a backup back.

use super::{BLOBS, DATA, DATABASE, END, End, FORMAT, HEAD, Head, rows};
use crate::{
    app::create_private_directory,
    db::{self, Db, Place, log},
    secret_file,
    store::{Home, Store, sha256_hex},
};
use anyhow::{Context, bail, ensure};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{BufReader, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};
use tar::{Archive, Entry, EntryType};

/// Most bytes of what is read whole: the head and the end.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Most bytes of a file of the store: more than any request may bring.
const MAX_BLOB_BYTES: u64 = 1 << 30;

/// Puts a backup into an empty directory, an empty database, and a store: what a
/// bucket has already does no harm, for everything there is named by its digest.
///
/// # Errors
/// If something is there already, if the backup is damaged or of another version,
/// or if something can't be written: then what was written is not to be used.
pub async fn restore(
    input: &Path,
    place: &Place,
    home: &Home,
    data: &Path,
) -> anyhow::Result<(Head, End)> {
    let failed = || format!("can't restore {}", input.display());
    let file = File::open(input).with_context(failed)?;
    create_private_directory(data)?;
    let is_empty = fs::read_dir(data).map(|mut all| all.next().is_none());
    ensure!(
        is_empty.with_context(failed)?,
        "{} is not empty: a backup goes into a new directory",
        data.display()
    );
    let mut archive = Archive::new(BufReader::new(file));
    let mut entries = archive.entries().with_context(failed)?;
    let first = entries.next().context("it is empty").with_context(failed)?;
    let head = head(&mut first.with_context(failed)?).with_context(failed)?;
    let db = db::open(place).await?;
    let transaction = db::begin(&db).await?;
    let here = db::migrations(&transaction).await?;
    ensure!(
        here == head.migrations,
        "the backup was made by {}, whose database has another schema: restore it with that \
         version, and start the newer one on it then",
        head.made_by
    );
    let store = Store::open(home, data)?;
    store.check().await?;
    let mut restore = Restore {
        db: transaction,
        store,
        data: data.to_owned(),
        end: End::default(),
    };
    restore.make_room(place).await?;
    let mut said = None;
    for entry in entries {
        let mut entry = entry.with_context(failed)?;
        ensure!(said.is_none(), "{}: there is more behind its end", failed());
        let name = entry.path().with_context(failed)?.into_owned();
        said = restore
            .take(&mut entry, &name)
            .await
            .with_context(|| format!("can't restore {} of {}", name.display(), input.display()))?;
    }
    let said = said
        .context("its end is missing: it was cut off")
        .with_context(failed)?;
    ensure!(
        said == restore.end,
        "{}: it says that it has {said:?}, and has {:?}",
        failed(),
        restore.end
    );
    restore.db.commit().await.context("can't commit the rows")?;
    keep_checkpoint(&db, data).await?;
    db.close().await.context("can't close the database")?;
    Ok((head, said))
}

fn head(entry: &mut Entry<'_, impl Read>) -> anyhow::Result<Head> {
    let name = entry.path()?.into_owned();
    ensure!(
        name == Path::new(HEAD),
        "it is no backup of a Resplice server"
    );
    let head: serde_json::Value = serde_json::from_slice(&text(entry)?)?;
    let format = head.get("format").and_then(serde_json::Value::as_u64);
    ensure!(
        format == Some(u64::from(FORMAT)),
        "its format is {format:?}, this program reads {FORMAT}: use the version that made it"
    );
    Ok(serde_json::from_value(head)?)
}

fn text(entry: &mut Entry<'_, impl Read>) -> anyhow::Result<Vec<u8>> {
    ensure!(
        entry.size() <= MAX_TEXT_BYTES,
        "it has {} bytes",
        entry.size()
    );
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct Restore {
    db: DatabaseTransaction,
    store: Store,
    data: PathBuf,
    end: End,
}

impl Restore {
    /// Makes sure that nothing is in the database but what migrations have put there,
    /// and takes that away: it comes with the backup.
    async fn make_room(&self, place: &Place) -> anyhow::Result<()> {
        let filled = db::filled();
        for table in db::tables() {
            if filled.contains(&table) {
                self.db
                    .execute_unprepared(&format!("DELETE FROM {table}"))
                    .await?;
                continue;
            }
            let count = db::count(&self.db, table).await?;
            ensure!(
                count == 0,
                "the database {place} is not empty: its table {table} has {count} rows; a backup \
                 goes into a new database"
            );
        }
        Ok(())
    }

    /// Takes one member in; what it says, if it is the end.
    async fn take(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        name: &Path,
    ) -> anyhow::Result<Option<End>> {
        ensure!(
            entry.header().entry_type() == EntryType::Regular,
            "it is no regular file"
        );
        if name == Path::new(END) {
            return Ok(Some(serde_json::from_slice(&text(entry)?)?));
        }
        if let Ok(within) = name.strip_prefix(DATA) {
            let blob = within.to_str().and_then(|name| name.strip_prefix(BLOBS));
            match blob {
                Some(blob) => self.blob(entry, blob).await?,
                None => self.file(entry, within)?,
            }
            self.end.files += 1;
            return Ok(None);
        }
        let table = name.to_str().and_then(|name| name.strip_prefix(DATABASE));
        let table = table.and_then(|name| name.strip_suffix(".jsonl"));
        let Some(table) = table.filter(|table| db::tables().contains(table)) else {
            bail!("it is no part of a backup");
        };
        ensure!(!self.end.rows.contains_key(table), "it is there twice");
        let count = rows::read(&self.db, table, BufReader::new(entry)).await?;
        self.end.rows.insert(table.to_owned(), count);
        Ok(None)
    }

    /// Puts a file into the store, if its bytes are those that its name says.
    async fn blob(&self, entry: &mut Entry<'_, impl Read>, blob: &str) -> anyhow::Result<()> {
        let bytes = entry.size();
        ensure!(bytes <= MAX_BLOB_BYTES, "it has {bytes} bytes");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let found = sha256_hex(&bytes);
        ensure!(
            blob == format!("{}/{found}", &found[..2]),
            "its bytes have the sha256 {found}"
        );
        self.store.put(bytes).await?;
        Ok(())
    }

    /// Writes a file, for its owner alone.
    fn file(&self, entry: &mut Entry<'_, impl Read>, within: &Path) -> anyhow::Result<()> {
        let plain = within
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        ensure!(
            plain && within.file_name().is_some(),
            "it would leave the directory"
        );
        let path = self.data.join(within);
        if let Some(directory) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        let mode = entry.header().mode()? & 0o700;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        std::io::copy(entry, &mut file)?;
        Ok(file.sync_all()?)
    }
}

/// The copy of the newest checkpoint is the one that the rows have: the file may
/// have been newer than they.
async fn keep_checkpoint(db: &Db, data: &Path) -> anyhow::Result<()> {
    let head = log::head(db).await?;
    if head.size == 0 {
        return Ok(());
    }
    let directory = data.join("log");
    create_private_directory(&directory)?;
    secret_file::write(&directory.join("checkpoint"), head.checkpoint.trim_end())
}
