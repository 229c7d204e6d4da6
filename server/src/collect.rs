//! Takes away files of the store that nothing refers to.
//!
//! A file is kept if a row refers to it, if it is younger than a limit, or if it
//! was stored again within that time: what an upload has put into the store gets
//! its row later. Whoever stores a file holds a lock that this waits for, and
//! stores it anew if it is gone; a backup holds it, too.

use crate::{
    db::{self, Db, audit},
    store::Store,
};
use anyhow::Context;
use std::time::{Duration, SystemTime};

/// The least limit that may be asked for: longer than any request takes.
pub const LEAST_AGE: Duration = Duration::from_secs(3600);
/// Files that are looked at under one lock.
const BATCH: usize = 100;

/// A file that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waste {
    /// Where it is.
    pub place: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Finds what nothing refers to and is older than `age`; with `remove`, takes it
/// away.
///
/// # Errors
/// If the store or the database can't be read, or a file can't be removed.
pub async fn collect(
    db: &Db,
    store: &Store,
    age: Duration,
    remove: bool,
) -> anyhow::Result<Vec<Waste>> {
    let before = SystemTime::now()
        .checked_sub(age)
        .context("there is no such time")?;
    let columns = db::references(db).await?;
    let mut waste = Vec::new();
    for batch in store.older_than(before).await?.chunks(BATCH) {
        // Until the batch is done nobody stores anything.
        let _lock = store.hold(true).await?;
        let names = batch.iter().filter_map(|file| file.digest.clone());
        let referenced = db::referenced(db, &columns, &names.collect::<Vec<_>>()).await?;
        let mut found = Vec::new();
        for file in batch {
            let is_waste = file
                .digest
                .as_ref()
                .is_none_or(|name| !referenced.contains(name));
            if is_waste && store.is_older_than(file, before).await {
                found.push(file);
            }
        }
        if remove && !found.is_empty() {
            let object = format!("{} files", found.len());
            let entry = audit::Entry {
                actor: "server",
                role: "server",
                action: "store.collect",
                object: &object,
            };
            let id = audit::begin(db, &entry).await?;
            for file in &found {
                store.remove(file).await?;
            }
            audit::complete(db, &id, 200, None).await?;
        }
        waste.extend(found.into_iter().map(|file| Waste {
            place: file.place.clone(),
            bytes: file.bytes,
        }));
    }
    Ok(waste)
}
