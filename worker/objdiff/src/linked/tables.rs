//! Table entries about a range of code.

use std::ops::Range;

use crate::elf::{Object, Place as Code, RelocKind, SectionId, SectionKind};
use crate::sites::{alternative_fields, entry_size};

use super::fields::{Field, RawAim};
use super::region::{From, Region, SHF};
use super::{Check, Place, Result, orc};

/// Bytes of struct alt_instr that say where the replacement is.
const REPLACEMENT_FIELD: u64 = 4;

/// An entry of a table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    table: SectionId,
    kind: SectionKind,
    range: Range<u64>,
    /// Of its table; late ones are not among them.
    relocs: Range<usize>,
    code: Code,
    /// For alternatives: feature, bytes of the original and of the replacement.
    alternative: Option<(u32, u8, u8)>,
}

/// Reads the tables of an object: each entry begins with its code.
pub(super) fn read(object: &Object) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for section in &object.sections {
        let size = match section.kind {
            SectionKind::OrcUnwindIp => continue,
            SectionKind::StaticCallTrampKey | SectionKind::KprobeBlacklist => 8,
            _ => match entry_size(section) {
                Some(size) => size,
                None => continue,
            },
        };
        if !(section.bytes.len() as u64).is_multiple_of(size) {
            return Err(format!("{} is cut off", section.name));
        }
        for start in (0..section.bytes.len() as u64).step_by(size as usize) {
            let range = start..start + size;
            let field = match section.kind {
                SectionKind::McountLoc
                | SectionKind::Parainstructions
                | SectionKind::KprobeBlacklist => RelocKind::Abs64,
                _ => RelocKind::Pc32,
            };
            let code = section.reloc_at(start).filter(|r| r.kind == field);
            let code = code.and_then(|r| object.reloc_place(r));
            entries.push(Entry {
                table: section.id,
                kind: section.kind,
                relocs: section.reloc_range(range.start, range.end),
                code: code
                    .ok_or_else(|| format!("{}+{start:#x} is about nothing", section.name))?,
                alternative: section
                    .bytes_in(range.start, range.end)
                    .filter(|_| section.kind == SectionKind::Altinstructions)
                    .and_then(alternative_fields),
                range,
            });
        }
    }
    Ok(entries)
}

/// Entries about a range, in the order of tables and places.
fn about(entries: &[Entry], place: Place, size: u64) -> Vec<Entry> {
    let end = place.offset.saturating_add(size);
    let mut found: Vec<Entry> = entries
        .iter()
        .filter(|e| e.code.section == place.section)
        .filter(|e| (place.offset..end).contains(&e.code.offset))
        .cloned()
        .collect();
    found.sort_by_key(|e| (e.kind, e.code.offset));
    found
}

impl Check<'_> {
    pub(super) fn tables(&mut self, region: &Region) -> Result<()> {
        let own = Place {
            section: region.section,
            offset: region.start,
        };
        let mut post = about(&self.units[region.unit].post.entries, own, region.size);
        // What they are about is the core's to fill in.
        post.retain(|entry| entry.kind != SectionKind::RuntimeConst);
        let module = about(&self.module.side.entries, region.place, region.size);
        for (index, wanted) in post.iter().enumerate() {
            let object = &self.units[region.unit].post.object;
            let table = object.section(wanted.table).name.clone();
            let wrong = |what: &str| format!("{}: entry of {table} {what}", region.name);
            let Some(found) = module.get(index) else {
                return Err(wrong("is left out"));
            };
            let distance = |of: &Entry, from: u64| of.code.offset.wrapping_sub(from);
            let relocs = &object.section(wanted.table).relocs[wanted.relocs.clone()];
            let mask = |entry: &Entry, object: &Object| {
                let section = object.section(entry.table);
                let bytes = section.bytes_in(entry.range.start, entry.range.end);
                let mut bytes = bytes.unwrap_or_default().to_vec();
                for reloc in relocs {
                    let at = usize::try_from(reloc.offset - wanted.range.start).ok()?;
                    bytes.get_mut(at..at + reloc.kind.width() as usize)?.fill(0);
                }
                Some(bytes)
            };
            let (from, to) = (
                object.section(wanted.table),
                self.module.side.object.section(found.table),
            );
            let same = wanted.kind == found.kind
                && from.flags & SHF == to.flags & SHF
                && to.align >= from.align
                && distance(wanted, region.start) == distance(found, region.place.offset)
                && self.module.side.object.section(found.table).name == table
                && mask(wanted, object) == mask(found, &self.module.side.object);
            if !same {
                return Err(wrong("is different"));
            }
            self.entry_fields(region, wanted, found)
                .map_err(|what| wrong(&what))?;
        }
        if module.len() != post.len() {
            return Err(format!("{}: table entries too many", region.name));
        }
        Ok(())
    }

    /// What an entry refers to besides its code.
    fn entry_fields(&mut self, region: &Region, wanted: &Entry, found: &Entry) -> Result<()> {
        let post = &self.units[region.unit].post.object;
        let relocs: Vec<_> = post.section(wanted.table).relocs[wanted.relocs.clone()].to_vec();
        let module = &self.module.side.object;
        let end = found.range.end;
        let late = self.module.late.keys();
        let late =
            late.filter(|(id, at)| *id == found.table && found.range.contains(at) && *at < end);
        let count = module.section(found.table).relocs[found.relocs.clone()].len() + late.count();
        if count != relocs.len() {
            return Err("has other references".into());
        }
        for reloc in relocs {
            let offset = reloc.offset - wanted.range.start;
            if offset == 0 {
                continue;
            }
            if wanted.kind == SectionKind::Altinstructions && offset == REPLACEMENT_FIELD {
                self.replacement_code(region, wanted, found)?;
                continue;
            }
            let field = Field {
                offset,
                kind: reloc.kind,
                is_short: false,
                tail: 0,
                is_branch: false,
                aim: RawAim::Reloc(reloc.symbol, reloc.addend),
            };
            let at = Place {
                section: found.table,
                offset: found.range.start + offset,
            };
            let from = From {
                region,
                in_table: true,
                is_branch: false,
            };
            self.field(wanted.table, &field, at, from)?;
        }
        Ok(())
    }

    fn replacement_code(&mut self, region: &Region, wanted: &Entry, found: &Entry) -> Result<()> {
        let Some((_, _, size)) = wanted.alternative.filter(|(_, _, size)| *size > 0) else {
            return Ok(());
        };
        let from = replacement_of(&self.units[region.unit].post.object, wanted);
        let to = replacement_of(&self.module.side.object, found);
        let (Some(from), Some(to)) = (from, to) else {
            return Err("has no replacement".into());
        };
        self.open.push(Region {
            unit: region.unit,
            section: from.section,
            start: from.offset,
            size: u64::from(size),
            place: Place {
                section: to.section,
                offset: to.offset,
            },
            name: format!("an alternative of {}", region.name),
            is_content: true,
        });
        Ok(())
    }

    /// The CPU feature of the alternative that covers a place of the module,
    /// as struct resplice_late has it.
    pub(super) fn feature_over(&self, at: Place) -> Result<u32> {
        let covers = |e: &&Entry| {
            let length = e.alternative.map_or(0, |(_, length, _)| u64::from(length));
            e.code.section == at.section
                && (e.code.offset..e.code.offset + length).contains(&at.offset)
        };
        let mut over = self.module.side.entries.iter().filter(covers);
        match (over.next(), over.next()) {
            (None, _) => Ok(u32::MAX),
            (Some(entry), None) => Ok(entry.alternative.map_or(u32::MAX, |(feature, ..)| feature)),
            _ => Err("a late place under several alternatives".into()),
        }
    }

    /// What the unwinder reads lies in sections as post's.
    pub(super) fn same_orc_sections(&self) -> Result<()> {
        let module = &self.module.side.object;
        for unit in self.units {
            for kind in [SectionKind::OrcUnwind, SectionKind::OrcUnwindIp] {
                for from in unit.post.object.sections_of(kind) {
                    let differs = |to: &crate::elf::Section| from.flags & SHF != to.flags & SHF;
                    if module.sections_of(kind).any(differs) {
                        return Err(format!("{} is of another kind", from.name));
                    }
                }
            }
        }
        Ok(())
    }

    /// The unwinder's states of a range of code.
    pub(super) fn unwinding(&mut self, region: &Region) -> Result<()> {
        let post = &self.units[region.unit].post.orc;
        let module = &self.module.side.orc;
        let place = region.place;
        let end = place.offset.saturating_add(region.size);
        let wanted = orc::in_range(
            post,
            region.section,
            region.start,
            region.start.saturating_add(region.size),
        );
        let found = orc::in_range(module, place.section, place.offset, end);
        if wanted.is_some() {
            let end = Place {
                section: place.section,
                offset: end,
            };
            self.ends.push((end, region.name.clone()));
        }
        // Code that the unwinder does not know may follow other code.
        let unknown = |states: &[(u64, [u8; 6])]| states.iter().all(|(_, s)| *s == [0; 6]);
        let same = match (&wanted, &found) {
            (None, Some(states)) => unknown(states),
            (wanted, found) => wanted == found,
        };
        if same {
            return Ok(());
        }
        Err(format!(
            "{}: the unwinder is told something else",
            region.name
        ))
    }
}

fn replacement_of(object: &Object, entry: &Entry) -> Option<Code> {
    let field = entry.range.start + REPLACEMENT_FIELD;
    let reloc = object.section(entry.table).reloc_at(field)?;
    object
        .reloc_place(reloc)
        .filter(|_| reloc.kind == RelocKind::Pc32)
}
