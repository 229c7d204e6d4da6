//! The structural self-check: the written file is read back and held against
//! post.o itself, not against what was meant to be written.
//!
//! Every relocation of a kept atom and table entry must be there exactly once,
//! as a relocation or a late one, with the target that post.o gives it; every
//! late place must be empty; nothing else may be there.

mod constants;
mod exchange;
mod target;

use std::collections::{BTreeMap, HashMap};

use crate::atoms::{AtomId, Link, Unit};
use crate::elf::{EXPORTS_FOR_MODPOST, Object, Reloc, Section, SectionId};
use crate::error::DiffError;
use crate::sites::{alternative_fields, entry_size, without};

use super::assemble::Draft;
use super::collect::Set;
use super::route::Ref;
use super::update::{LATE_BYTES, LATE_SECTION, NONE, REPLACE_BYTES, REPLACE_SECTION};

/// A late relocation as the core will read it.
struct LateRecord {
    addend: i64,
    symbol: u32,
    kind: u32,
    feature: u32,
}

/// A field of post.o, and where it went.
struct Field<'f> {
    at: Ref,
    reloc: &'f Reloc,
    link: &'f Link,
    place: (SectionId, u64),
    in_table: bool,
}

struct Check<'a> {
    set: &'a Set<'a>,
    draft: &'a Draft,
    names: &'a [String],
    file: Object,
    /// By section and offset of the place.
    late: HashMap<(SectionId, u64), LateRecord>,
    /// Fields seen so far.
    seen: usize,
}

fn wrong(what: String) -> DiffError {
    DiffError::SelfCheck(what)
}

/// Checks a written delta. `names` are those of the image's symbols before any
/// of the file was written.
pub(super) fn verify(
    set: &Set<'_>,
    draft: &Draft,
    names: &[String],
    bytes: &[u8],
) -> Result<(), DiffError> {
    let file = Object::parse(bytes).map_err(|e| wrong(format!("it can't be read back: {e}")))?;
    let mut check = Check {
        set,
        draft,
        names,
        late: read_late(&file)?,
        file,
        seen: 0,
    };
    for at in &set.kept {
        check.atom(*at)?;
    }
    check.exchanges()?;
    check.nothing_else()?;
    check.replacements()?;
    super::offers::verify(set, draft, &check.file)?;
    super::hooks::verify(set, draft, &check.file)
}

fn read_late(file: &Object) -> Result<HashMap<(SectionId, u64), LateRecord>, DiffError> {
    let section = file
        .section_named(LATE_SECTION)
        .ok_or_else(|| wrong("it has no late relocations' table".into()))?;
    let mut late = HashMap::new();
    for (index, record) in section.bytes.chunks(LATE_BYTES).enumerate() {
        let word = |at: usize| -> Result<[u8; 4], DiffError> {
            record
                .get(at..at + 4)
                .and_then(|b| b.try_into().ok())
                .ok_or_else(|| wrong("a late relocation is cut off".into()))
        };
        let place = section
            .reloc_at((index * LATE_BYTES) as u64)
            .and_then(|r| file.reloc_place(r))
            .ok_or_else(|| wrong("a late relocation has no place".into()))?;
        let (low, high) = (u32::from_le_bytes(word(8)?), u32::from_le_bytes(word(12)?));
        let record = LateRecord {
            addend: (u64::from(low) | (u64::from(high) << 32)).cast_signed(),
            symbol: u32::from_le_bytes(word(16)?),
            kind: u32::from_le_bytes(word(20)?),
            feature: u32::from_le_bytes(word(24)?),
        };
        if late.insert((place.section, place.offset), record).is_some() {
            return Err(wrong(format!(
                "two late relocations at {:#x}",
                place.offset
            )));
        }
    }
    Ok(late)
}

impl Check<'_> {
    fn section(&self, index: usize) -> Result<&Section, DiffError> {
        self.file
            .sections
            .get(index + 1)
            .ok_or_else(|| wrong(format!("section {index} is missing")))
    }

    fn atom(&mut self, at: Ref) -> Result<(), DiffError> {
        let post = &self.set.units[at.0].post;
        let atom = &post.atoms[at.1];
        let label = post.label(at.1);
        let index = *self
            .draft
            .places
            .get(&at)
            .ok_or_else(|| wrong(format!("{label} is missing")))?;
        let constants = self.constants(at, index)?;
        let section = self.section(index)?;
        let contents = |bytes| without(masked(bytes, &atom.links), &constants);
        if section.size != atom.size || contents(&section.bytes) != contents(post.bytes_of(at.1)) {
            return Err(wrong(format!("{label} has other contents")));
        }
        let relocs = references(post, at.1)?;
        if relocs.len() != atom.links.len() {
            return Err(wrong(format!("{label} lost a reference")));
        }
        let id = section.id;
        for (reloc, link) in relocs.iter().zip(&atom.links) {
            self.field(&Field {
                at,
                reloc,
                link,
                place: (id, reloc.offset - atom.start),
                in_table: false,
            })?;
        }
        let placed = self.draft.entries.get(&at).cloned().unwrap_or_default();
        if placed.len() != super::tables::kept(atom).count() {
            return Err(wrong(format!("{label} lost a table entry")));
        }
        for (entry, (table, start)) in super::tables::kept(atom).zip(placed) {
            let source = post.object.section(entry.section);
            let end = entry.start + entry.bytes.len() as u64;
            let section = self.section(table)?;
            let written = section
                .bytes_in(start, start + entry.bytes.len() as u64)
                .unwrap_or_default();
            let original = source.bytes_in(entry.start, end).unwrap_or_default();
            if section.name != source.name
                || masked(written, &entry.links) != masked(original, &entry.links)
            {
                return Err(wrong(format!(
                    "an entry of {} about {label} is different",
                    source.name
                )));
            }
            let id = section.id;
            let relocs = source.relocs_in(entry.start, end);
            if relocs.len() != entry.links.len() {
                return Err(wrong(format!("an entry about {label} lost a reference")));
            }
            for (reloc, link) in relocs.iter().zip(&entry.links) {
                self.field(&Field {
                    at,
                    reloc,
                    link,
                    place: (id, start + reloc.offset - entry.start),
                    in_table: true,
                })?;
            }
        }
        Ok(())
    }

    /// One field of post.o against the same field of the file.
    fn field(&mut self, field: &Field<'_>) -> Result<(), DiffError> {
        let (reloc, place) = (field.reloc, field.place);
        self.seen += 1;
        let section = self.file.section(place.0);
        let fail = |what: &str| wrong(format!("{}+{:#x}: {what}", section.name, place.1));
        let kept = section.reloc_at(place.1);
        match (kept, self.late.get(&place)) {
            (Some(kept), None) => {
                if kept.kind != reloc.kind {
                    return Err(fail("relocation of another type"));
                }
                self.kept_target(field, kept).map_err(|what| fail(&what))
            }
            (None, Some(late)) => {
                let end = place.1 + reloc.kind.width();
                let empty = section.bytes_in(place.1, end);
                if section.name == ".altinstr_replacement"
                    || empty.is_none_or(|b| b.iter().any(|b| *b != 0))
                {
                    return Err(fail("a late place that is not empty"));
                }
                if late.kind != reloc.kind.elf() {
                    return Err(fail("late relocation of another type"));
                }
                if late.feature != self.feature_over(field) {
                    return Err(fail("late relocation under another alternative"));
                }
                self.late_target(field, late).map_err(|what| fail(&what))
            }
            (None, None) => Err(fail("a reference is gone")),
            (Some(_), Some(_)) => Err(fail("a reference is there twice")),
        }
    }

    /// What post.o's own table of alternatives says about a field of code.
    fn feature_over(&self, field: &Field<'_>) -> u32 {
        let post = &self.set.units[field.at.0].post.object;
        let code = self.set.units[field.at.0].post.atoms[field.at.1].section;
        let tables = post.sections_of(crate::elf::SectionKind::Altinstructions);
        let mut features = tables.flat_map(|table| {
            let step = entry_size(table).unwrap_or(u64::MAX);
            let entries = table
                .bytes
                .chunks_exact(usize::try_from(step).unwrap_or(usize::MAX));
            entries.enumerate().filter_map(move |(index, entry)| {
                let (feature, length, _) = alternative_fields(entry)?;
                let place = post.reloc_place(table.reloc_at(index as u64 * step)?)?;
                let original = place.offset..place.offset + u64::from(length);
                let is_over = place.section == code && original.contains(&field.reloc.offset);
                is_over.then_some(feature)
            })
        });
        match (field.in_table, features.next(), features.next()) {
            (false, Some(feature), None) => feature,
            // Several can't be told to the core: no late field may be there.
            (false, Some(_), Some(_)) => 0,
            _ => NONE,
        }
    }

    /// Relocations and late ones are those of the kept atoms, and no more.
    fn nothing_else(&self) -> Result<(), DiffError> {
        let own = |s: &&Section| {
            let offers = super::offers::SECTION;
            let of_format = [".init.resplice.", offers, EXPORTS_FOR_MODPOST];
            s.name != ".orc_unwind_ip" && !of_format.iter().any(|p| s.name.starts_with(p))
        };
        let kept: usize = self
            .file
            .sections
            .iter()
            .filter(own)
            .map(|s| s.relocs.len())
            .sum();
        if kept + self.late.len() != self.seen {
            return Err(wrong(format!(
                "{kept} relocations and {} late ones for {} references",
                self.late.len(),
                self.seen
            )));
        }
        Ok(())
    }

    /// Every changed function that has an entry of its own is replaced, once.
    fn replacements(&self) -> Result<(), DiffError> {
        let section = self
            .file
            .section_named(REPLACE_SECTION)
            .ok_or_else(|| wrong("it has no table of replacements".into()))?;
        let mut sizes: BTreeMap<u32, u32> = BTreeMap::new();
        for (index, record) in section.bytes.chunks_exact(REPLACE_BYTES).enumerate() {
            let place = section
                .reloc_at((index * REPLACE_BYTES) as u64)
                .and_then(|r| self.file.reloc_place(r))
                .filter(|p| p.offset == 0)
                .ok_or_else(|| wrong("a replacement has no code".into()))?;
            let size = record
                .get(12..16)
                .and_then(|b| b.try_into().ok())
                .map(u32::from_le_bytes);
            sizes.insert(place.section.0, size.unwrap_or(0));
        }
        for (unit, diff) in self.set.units.iter().enumerate() {
            for id in &diff.replaced {
                let section = self.draft.places.get(&(unit, *id)).map(|i| *i as u32 + 1);
                let size = section.and_then(|s| sizes.remove(&s));
                if size.map(u64::from) != Some(diff.post.atoms[*id].size) {
                    return Err(wrong(format!("{} is not replaced", diff.post.label(*id))));
                }
            }
        }
        if !sizes.is_empty() {
            return Err(wrong("something is replaced that did not change".into()));
        }
        Ok(())
    }
}

/// All relocations of an atom, and for fields that the assembler filled in the
/// ones it would have left: against the function that the field leads to.
fn references(post: &Unit, id: AtomId) -> Result<Vec<Reloc>, DiffError> {
    let atom = &post.atoms[id];
    let section = post.section_of(id);
    let mut relocs = section.relocs_in(atom.start, atom.end()).to_vec();
    for link in atom.links.iter().filter(|l| l.is_filled_in) {
        let offset = atom.start + link.offset;
        let field = section
            .bytes_in(offset, offset + 4)
            .and_then(|b| b.try_into().ok());
        let value = field.map(i32::from_le_bytes).unwrap_or_default();
        let tail = u64::try_from(link.tail).unwrap_or_default();
        let to = (offset + tail).wrapping_add_signed(i64::from(value));
        let Some(symbol) = post
            .object
            .symbols_in(section.id)
            .filter(|s| s.value <= to)
            .last()
        else {
            return Err(wrong(format!("{}+{offset:#x} leads nowhere", section.name)));
        };
        relocs.push(Reloc {
            offset,
            kind: link.kind,
            symbol: symbol.id,
            addend: i64::try_from(to - symbol.value)
                .unwrap_or(i64::MAX)
                .saturating_sub(link.tail),
        });
    }
    relocs.sort_by_key(|r| r.offset);
    Ok(relocs)
}

fn masked(bytes: &[u8], links: &[Link]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for link in links {
        let at = usize::try_from(link.offset).unwrap_or(usize::MAX);
        let end = at.saturating_add(link.kind.width() as usize);
        if let Some(field) = out.get_mut(at..end) {
            field.fill(0);
        }
    }
    out
}
