//! Updates as the kernel sees them: their parts, put together.

use super::{Kernel, lines, read};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
};

/// An update as the kernel sees it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LiveUpdate {
    /// Id in the kernel.
    pub id: String,
    /// `applied` if any of its parts is, else `superseded`, `undone` or `loaded`.
    pub state: String,
    /// The parts that are loaded, by number.
    pub parts: Vec<LivePart>,
    /// How many parts it has, loaded or not.
    pub parts_built: u64,
    /// One line a function: `name unit old_addr size -> new_addr size`.
    pub functions: Vec<String>,
    /// How long the machine stood still, in nanoseconds.
    pub pause_ns: Option<u64>,
    /// How much of that was spent on the change itself, in nanoseconds.
    pub work_ns: Option<u64>,
    /// How often it was tried.
    pub attempts: Option<u64>,
    /// Bytes of memory that it takes.
    pub bytes: Option<u64>,
}

/// A part of an update: its module for one kernel object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LivePart {
    /// The module's name.
    pub name: String,
    /// Its number, from 0.
    pub number: u64,
    /// The patched object.
    pub object: String,
    /// `loaded`, `applied`, `undone` or `superseded`.
    pub state: String,
}

impl LivePart {
    /// Whether its functions are in effect.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.state == APPLIED
    }
}

const APPLIED: &str = "applied";
const SUPERSEDED: &str = "superseded";

impl LiveUpdate {
    /// Whether its functions are in effect.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.state == APPLIED
    }

    /// Whether another update has taken its place in the kernel.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        !self.is_applied() && self.parts.iter().any(|part| part.state == SUPERSEDED)
    }

    /// Whether the part for that kernel object is in effect.
    #[must_use]
    pub fn has(&self, object: &str) -> bool {
        let is_it = |part: &&LivePart| part.object == object && part.is_applied();
        self.parts.iter().any(|part| is_it(&part))
    }

    fn add(&mut self, mut other: Self) {
        if !self.is_applied() && (other.is_applied() || self.state.is_empty()) {
            self.state.clone_from(&other.state);
        }
        self.parts.append(&mut other.parts);
        self.functions.append(&mut other.functions);
        self.parts_built = other.parts_built;
        self.bytes = match (self.bytes, other.bytes) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        // The core keeps these for the update as a whole.
        self.pause_ns = other.pause_ns;
        self.work_ns = other.work_ns;
        self.attempts = other.attempts;
    }
}

impl Kernel {
    /// The updates that are loaded, in the order of their ids.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn updates(&self) -> Result<Vec<LiveUpdate>> {
        let mut updates: BTreeMap<String, LiveUpdate> = BTreeMap::new();
        for name in self.part_names()? {
            let Some(part) = self.part(&name)? else {
                continue;
            };
            let update = updates
                .entry(part.id.clone())
                .or_insert_with(|| LiveUpdate {
                    id: part.id.clone(),
                    ..LiveUpdate::default()
                });
            update.add(part);
        }
        let mut updates: Vec<LiveUpdate> = updates.into_values().collect();
        for update in &mut updates {
            update.parts.sort_by_key(|part| part.number);
        }
        Ok(updates)
    }

    /// Ids of the updates that are in effect, from what everybody may read.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn applied(&self) -> Result<BTreeSet<String>> {
        let mut applied = BTreeSet::new();
        for name in self.part_names()? {
            let dir = self.update_dir(&name)?;
            if read(&dir.join("state"))?.as_deref() == Some(APPLIED) {
                applied.extend(read(&dir.join("id"))?);
            }
        }
        Ok(applied)
    }

    fn part_names(&self) -> Result<Vec<String>> {
        let dir = self.sysfs.join("updates");
        let failed = || format!("can't list {}", dir.display());
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(failed),
        };
        let names = entries.map(|entry| Ok(entry.with_context(failed)?.file_name()));
        let names: Result<Vec<_>> = names.collect();
        Ok(names?
            .iter()
            .filter_map(|name| Some(name.to_str()?.to_owned()))
            .collect())
    }

    /// One update; none if no part of it is loaded.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn update(&self, id: &str) -> Result<Option<LiveUpdate>> {
        self.update_dir(id)?;
        Ok(self.updates()?.into_iter().find(|update| update.id == id))
    }

    /// What one module's directory says, as an update of that part alone; none
    /// if it has gone meanwhile.
    fn part(&self, name: &str) -> Result<Option<LiveUpdate>> {
        let dir = self.update_dir(name)?;
        let (Some(state), Some(id)) = (read(&dir.join("state"))?, read(&dir.join("id"))?) else {
            return Ok(None);
        };
        let number = |file| -> Result<Option<u64>> {
            Ok(read(&dir.join(file))?.and_then(|text| text.parse().ok()))
        };
        let part = LivePart {
            name: name.to_owned(),
            number: number("part")?.unwrap_or_default(),
            object: read(&dir.join("object"))?.unwrap_or_default(),
            state: state.clone(),
        };
        Ok(Some(LiveUpdate {
            id,
            state,
            parts: vec![part],
            parts_built: number("parts")?.unwrap_or_default(),
            functions: lines(read(&dir.join("functions"))?),
            pause_ns: number("pause_ns")?,
            work_ns: number("work_ns")?,
            attempts: number("attempts")?,
            bytes: number("bytes")?,
        }))
    }
}
