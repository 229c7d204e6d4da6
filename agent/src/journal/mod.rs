//! The journal: every step of every update, in the order it was taken, on disk
//! before the step itself is. Whatever moment the agent or the host dies at,
//! the journal says what may have happened.
//!
//! One JSON object a line, appended and synced. A last line that was cut off by
//! a crash is dropped: the step that it announced had not begun.

mod entry;

pub use entry::{By, Entry, Info, Record, State, Step};

use crate::fault;
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Largest journal in bytes that is read.
const MAX_JOURNAL_BYTES: u64 = 64 << 20;
/// From this size in bytes on, old entries are dropped when it is opened.
const COMPACT_BYTES: u64 = 4 << 20;
/// How many of the newest entries always stay.
const KEPT_ENTRIES: usize = 1000;

/// The journal, open for appending.
pub struct Journal {
    path: PathBuf,
    file: File,
    boot: String,
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens or creates the journal, for the boot with the id `boot`.
    ///
    /// # Errors
    /// If it can't be read or written, or holds a damaged line that is not the last.
    pub fn open(path: &Path, boot: &str) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("can't open the journal {}", path.display()))?;
        let mut journal = Self::empty(path, file, boot);
        if let Some(dir) = path.parent() {
            // A new file's name has to be on disk as well.
            File::open(dir)?.sync_all()?;
        }
        let torn = journal.load()?;
        if let Some(whole) = torn {
            journal.file.set_len(whole)?;
            journal.file.sync_all()?;
        }
        if journal.file.metadata()?.len() > COMPACT_BYTES {
            journal.compact()?;
        }
        Ok(journal)
    }

    /// Opens the journal to look at it, while another process may be writing.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn view(path: &Path, boot: &str) -> Result<Self> {
        let file = File::open(path)
            .with_context(|| format!("can't open the journal {}", path.display()))?;
        let mut journal = Self::empty(path, file, boot);
        journal.load()?;
        Ok(journal)
    }

    fn empty(path: &Path, file: File, boot: &str) -> Self {
        Self {
            path: path.to_owned(),
            file,
            boot: boot.to_owned(),
            entries: Vec::new(),
        }
    }

    /// Reads all whole lines. If the last one is cut off, says where it begins.
    fn load(&mut self) -> Result<Option<u64>> {
        let path = self.path.display();
        let size = self.file.metadata()?.len();
        if size > MAX_JOURNAL_BYTES {
            bail!("the journal {path} has {size} bytes: move it away to go on");
        }
        let bytes = fs::read(&self.path)?;
        let whole = bytes
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        for (number, line) in bytes[..whole].split_inclusive(|&b| b == b'\n').enumerate() {
            let entry = serde_json::from_slice(line).with_context(|| {
                format!(
                    "the journal {path} is damaged at line {}: move it away to go on",
                    number + 1
                )
            })?;
            self.entries.push(entry);
        }
        Ok((whole < bytes.len()).then_some(whole as u64))
    }

    /// Drops old entries, but never the newest of an update.
    pub(crate) fn compact(&mut self) -> Result<()> {
        let records = self.records();
        let first_kept = self.entries.len().saturating_sub(KEPT_ENTRIES);
        let mut number = 0;
        self.entries.retain_mut(|entry| {
            number += 1;
            let Some(record) = records.get(&entry.update) else {
                return true;
            };
            if entry.state == State::Settled && record.ever_settled {
                return true;
            }
            if entry.seq == record.last.seq {
                let known = match entry.state {
                    State::Applied => record.applied_package.clone(),
                    _ => None,
                };
                entry.package = entry.package.take().or(known).or(record.package.clone());
                entry.info.clone_from(&record.info);
                return true;
            }
            number > first_kept
        });
        let mut text = Vec::new();
        for entry in &self.entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        crate::state::replace(&self.path, &text)?;
        self.file = OpenOptions::new()
            .append(true)
            .read(true)
            .open(&self.path)?;
        Ok(())
    }

    /// Writes an entry and waits until it is on disk.
    ///
    /// # Errors
    /// If the disk does not take it: the step that it announces must not be taken.
    pub fn append(&mut self, mut entry: Entry) -> Result<&Entry> {
        entry.seq = self.entries.last().map_or(0, |last| last.seq) + 1;
        entry.time = Timestamp::now();
        entry.boot.clone_from(&self.boot);
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        fault::write_all(&mut self.file, &line)
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("can't write to the journal {}", self.path.display()))?;
        fault::point();
        self.entries.push(entry);
        self.entries.last().context("the journal is empty")
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The id of this boot.
    #[must_use]
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// What is known of each update, by its id on the server.
    #[must_use]
    pub fn records(&self) -> BTreeMap<String, Record> {
        let mut records: BTreeMap<String, Record> = BTreeMap::new();
        for entry in &self.entries {
            let record = records
                .entry(entry.update.clone())
                .or_insert_with(|| Record {
                    last: entry.clone(),
                    package: None,
                    applied_package: None,
                    info: None,
                    wanted: false,
                    settled: false,
                    ever_settled: false,
                    unsettled_boots: 0,
                    settled_in: None,
                    counted: None,
                    setbacks: 0,
                });
            // A package that was merely fetched or looked at settles nothing: what
            // was quarantined or undone stays so.
            let preparing = matches!(entry.state, State::Downloaded | State::Verified);
            let ended = !matches!(record.last.state, State::Downloaded | State::Verified);
            if entry.state != State::Settled && !(preparing && ended) {
                record.last = entry.clone();
            }
            record.follow(entry);
            record.package = entry.package.clone().or(record.package.take());
            if let (State::Applying | State::Applied, Some(package)) = (entry.state, &entry.package)
            {
                record.applied_package = Some(package.clone());
            }
            record.info = entry.info.clone().or(record.info.take());
            record.setbacks = match entry.state {
                State::Refused | State::Failed | State::Busy => record.setbacks + 1,
                State::Applied | State::Undone => 0,
                _ => record.setbacks,
            };
        }
        records
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn open(dir: &tempfile::TempDir) -> Result<Journal> {
        Journal::open(&dir.path().join("journal.jsonl"), "boot-1")
    }

    fn add(journal: &mut Journal, update: &str, state: State) {
        journal
            .append(Entry::new(update, state, By::Operator))
            .unwrap();
    }

    #[test]
    fn entries_survive_and_are_numbered() {
        let dir = tempfile::tempdir().unwrap();
        add(&mut open(&dir).unwrap(), "a", State::Downloaded);
        add(&mut open(&dir).unwrap(), "a", State::Verified);
        let journal = open(&dir).unwrap();
        let seqs: Vec<u64> = journal.entries().iter().map(|e| e.seq).collect();
        assert_eq!(seqs, [1, 2]);
        assert_eq!(journal.records()["a"].last.state, State::Verified);
    }

    #[test]
    fn a_line_cut_off_at_any_byte_is_dropped_and_the_journal_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(&dir).unwrap();
        add(&mut journal, "a", State::Applying);
        let path = dir.path().join("journal.jsonl");
        let first = fs::read(&path).unwrap().len();
        add(&mut journal, "a", State::Applied);
        let whole = fs::read(&path).unwrap();
        for length in first..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut journal = open(&dir).unwrap();
            assert_eq!(journal.records()["a"].last.state, State::Applying);
            add(&mut journal, "a", State::Failed);
            assert_eq!(open(&dir).unwrap().entries().len(), 2);
        }
    }

    #[test]
    fn a_damaged_line_is_not_skipped() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("journal.jsonl"), "{}\n").unwrap();
        assert!(open(&dir).is_err());
    }

    #[test]
    fn setbacks_count_until_it_works() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(&dir).unwrap();
        for state in [State::Applying, State::Busy, State::Applying, State::Busy] {
            add(&mut journal, "a", state);
        }
        assert_eq!(journal.records()["a"].setbacks, 2);
        add(&mut journal, "a", State::Applied);
        assert_eq!(journal.records()["a"].setbacks, 0);
    }

    #[test]
    fn fetching_a_package_again_does_not_wash_away_what_became_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(&dir).unwrap();
        for state in [State::Quarantined, State::Downloaded, State::Verified] {
            add(&mut journal, "a", state);
        }
        assert_eq!(journal.records()["a"].last.state, State::Quarantined);
        add(&mut journal, "a", State::Applying);
        assert_eq!(journal.records()["a"].last.state, State::Applying);
    }

    #[test]
    fn compaction_keeps_the_newest_entry_of_every_update() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(&dir).unwrap();
        add(&mut journal, "old", State::Quarantined);
        for _ in 0..KEPT_ENTRIES + 10 {
            add(&mut journal, "new", State::Busy);
        }
        journal.compact().unwrap();
        add(&mut journal, "new", State::Applied);
        let again = open(&dir).unwrap();
        assert_eq!(again.entries().len(), KEPT_ENTRIES + 2);
        assert_eq!(again.records()["old"].last.state, State::Quarantined);
        assert_eq!(again.records()["new"].last.seq, KEPT_ENTRIES as u64 + 12);
    }
}
