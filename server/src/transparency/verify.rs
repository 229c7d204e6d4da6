//! Holds the whole log against its checkpoint, against checkpoints that were kept
//! elsewhere, and against the tables that it is about.

use crate::db::{self, Db, log, log_tiles};
use resplice_api::LogEntry;
use resplice_tlog::{
    Checkpoint, Verifier,
    tile::Tiles,
    tree::{Frontier, leaf_hash},
};
use sea_orm::DatabaseTransaction;
use std::fmt;

/// Entries that are read at a time.
const PAGE: u64 = 1000;
/// Most findings that are told.
const MAX_FINDINGS: usize = 100;

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The checkpoint is not signed by the key, or says something else.
    Checkpoint(String),
    /// The entry with this index is not the one that was appended, or not there.
    Entry(u64, String),
    /// A row of the audit log or a release is not what the entry says.
    Row(u64, String),
    /// The log does not begin as a checkpoint that was kept says.
    Kept(u64, String),
    /// A tile is not made of the entries.
    Tiles(String),
    /// Rows claim to be in the log and are not.
    Claims(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint(what) => write!(f, "the checkpoint: {what}"),
            Self::Entry(index, what) => write!(f, "entry {index}: {what}"),
            Self::Row(index, what) => write!(f, "what entry {index} is about: {what}"),
            Self::Kept(size, what) => write!(f, "the checkpoint of {size} entries: {what}"),
            Self::Tiles(what) => write!(f, "the tiles: {what}"),
            Self::Claims(what) => write!(f, "the tables: {what}"),
        }
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Number of entries.
    pub size: u64,
    /// Rows that are not in the log yet.
    pub pending: usize,
    /// What is not as it was; nothing if all is well.
    pub findings: Vec<Finding>,
}

struct Walk<'a> {
    db: &'a DatabaseTransaction,
    verifier: &'a Verifier,
    frontier: Frontier,
    tiles: Tiles,
    counts: [u64; 3],
    findings: Vec<Finding>,
}

/// Verifies the log as it is at one moment: servers may go on. `kept` are checkpoints
/// from elsewhere, signed by the key.
///
/// # Errors
/// The database's; what is wrong with the log is in the report.
pub async fn verify(
    db: &Db,
    verifier: &Verifier,
    kept: &[Checkpoint],
) -> Result<Report, db::Error> {
    let db = &db::snapshot(db).await?;
    let head = log::head(db).await?;
    let mut walk = Walk {
        db,
        verifier,
        frontier: Frontier::default(),
        tiles: Tiles::default(),
        counts: [0; 3],
        findings: Vec::new(),
    };
    let mut kept: Vec<_> = kept.iter().collect();
    kept.sort_by_key(|checkpoint| checkpoint.size);
    let mut kept = kept.into_iter().peekable();
    'pages: loop {
        let first = walk.frontier.size();
        let wanted = PAGE.min(head.size - first);
        if wanted == 0 {
            break;
        }
        let page = log::entries(db, first, wanted).await?;
        if page.is_empty() {
            walk.found(Finding::Entry(
                first,
                "it and all after it are missing".to_owned(),
            ));
            break;
        }
        for (seq, text) in page {
            if seq != walk.frontier.size() {
                let at = walk.frontier.size();
                walk.found(Finding::Entry(at, "it is missing".to_owned()));
                break 'pages;
            }
            walk.entry(seq, &text).await?;
            while let Some(checkpoint) = kept.next_if(|c| c.size == seq + 1) {
                walk.against(checkpoint);
            }
        }
    }
    for checkpoint in kept {
        let what = format!(
            "the log has only {} entries: its end was cut off",
            head.size
        );
        walk.found(Finding::Kept(checkpoint.size, what));
    }
    walk.end(&head).await?;
    Ok(Report {
        size: head.size,
        pending: log::pending(db, 10_000).await?.len(),
        findings: walk.findings,
    })
}

impl Walk<'_> {
    fn found(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    async fn entry(&mut self, seq: u64, text: &str) -> Result<(), db::Error> {
        let leaf = leaf_hash(text.as_bytes());
        self.frontier.push(leaf);
        if let Err(error) = self.tiles.push(seq, leaf) {
            self.found(Finding::Tiles(error.to_string()));
        }
        let entry: LogEntry = match serde_json::from_str(text) {
            Ok(entry) => entry,
            Err(error) => {
                self.found(Finding::Entry(seq, format!("it can't be read: {error}")));
                return Ok(());
            }
        };
        match &entry {
            LogEntry::Log { key, .. } if seq != 0 || *key != self.verifier.to_string() => {
                let what = "the log begins here, or with another key".to_owned();
                self.found(Finding::Entry(seq, what));
            }
            LogEntry::Log { .. } => {}
            LogEntry::Begin { .. } => self.counts[0] += 1,
            LogEntry::Complete { .. } => self.counts[1] += 1,
            LogEntry::Release { .. } => self.counts[2] += 1,
        }
        if seq == 0 && !matches!(entry, LogEntry::Log { .. }) {
            self.found(Finding::Entry(
                0,
                "it does not name the log's key".to_owned(),
            ));
        }
        match log::source(self.db, seq, &entry).await? {
            Some(source) if source == entry => {}
            Some(_) => self.found(Finding::Row(seq, "it was changed".to_owned())),
            None => self.found(Finding::Row(seq, "it is missing".to_owned())),
        }
        Ok(())
    }

    fn against(&mut self, checkpoint: &Checkpoint) {
        if checkpoint.root != self.frontier.root() {
            let what = "the log began otherwise then: it was rewritten".to_owned();
            self.found(Finding::Kept(checkpoint.size, what));
        }
    }

    async fn end(&mut self, head: &log::Head) -> Result<(), db::Error> {
        if head.size > 0 {
            match self.verifier.open(&head.checkpoint) {
                Err(error) => self.found(Finding::Checkpoint(error.to_string())),
                Ok(signed) if signed.size != head.size => {
                    let what = format!("it is of {} entries, not {}", signed.size, head.size);
                    self.found(Finding::Checkpoint(what));
                }
                Ok(signed) if signed.root != self.frontier.root() => {
                    let what = "the entries are not those that were signed".to_owned();
                    self.found(Finding::Checkpoint(what));
                }
                Ok(_) => {}
            }
        }
        if !log::entries(self.db, head.size, 1).await?.is_empty() {
            let what = "it is behind the end of what was signed".to_owned();
            self.found(Finding::Entry(head.size, what));
        }
        if log_tiles::all(self.db).await? != self.tiles {
            self.found(Finding::Tiles(
                "they are not those of the entries".to_owned(),
            ));
        }
        let claimed = log::claimed(self.db).await?;
        if claimed != self.counts {
            let what = format!(
                "{claimed:?} rows say that they are logged as begun, completed and released, {:?} are",
                self.counts
            );
            self.found(Finding::Claims(what));
        }
        Ok(())
    }
}
