//! Exchanged data: what was written against pre and post.

use std::ops::Range;

use crate::atoms::{Link, Target};
use crate::diff::Exchange;
use crate::elf::{Reloc, SectionId};
use crate::error::DiffError;
use crate::image::records::MERGED;

use super::super::update::{DATA_BYTES, DATA_SECTION, MATCH_SECTION};
use super::{Check, Field, masked, wrong};

/// struct resplice_data as the core will read it.
struct DataRecord {
    before: SectionId,
    after: SectionId,
    symbol: u32,
    offset: u32,
    size: u32,
}

impl Check<'_> {
    /// Every exchange is there, once, with the contents of pre and post.
    pub(super) fn exchanges(&mut self) -> Result<(), DiffError> {
        let records = self.data_records()?;
        let mut records = records.iter();
        for (unit, diff) in self.set.units.iter().enumerate() {
            for exchange in &diff.exchanges {
                self.covers_all(unit, exchange)?;
                for span in &exchange.spans {
                    let label = diff.post.label(exchange.id);
                    let record = records
                        .next()
                        .ok_or_else(|| wrong(format!("an exchange of {label} is missing")))?;
                    self.exchange(unit, exchange, span, record)
                        .map_err(|what| wrong(format!("exchange of {label}: {what}")))?;
                }
            }
        }
        match records.next() {
            Some(_) => Err(wrong("an exchange of nothing that changed".into())),
            None => Ok(()),
        }
    }

    fn data_records(&self) -> Result<Vec<DataRecord>, DiffError> {
        let section = self
            .file
            .section_named(DATA_SECTION)
            .ok_or_else(|| wrong("it has no table of exchanges".into()))?;
        let cut = || wrong("an exchange is cut off".into());
        let mut records = Vec::new();
        for (index, bytes) in section.bytes.chunks(DATA_BYTES).enumerate() {
            let start = (index * DATA_BYTES) as u64;
            let pointer = |at: u64| {
                section
                    .reloc_at(start + at)
                    .and_then(|r| self.file.reloc_place(r))
                    .filter(|p| p.offset == 0)
                    .map(|p| p.section)
                    .ok_or_else(cut)
            };
            let word = |at: usize| word(bytes, at).ok_or_else(cut);
            records.push(DataRecord {
                before: pointer(0)?,
                after: pointer(8)?,
                symbol: word(16)?,
                offset: word(20)?,
                size: word(24)?,
            });
        }
        Ok(records)
    }

    /// What lies outside the spans is the same in pre and post.
    fn covers_all(&self, unit: usize, exchange: &Exchange) -> Result<(), DiffError> {
        let diff = &self.set.units[unit];
        let (was, id) = (&diff.pre.atoms[exchange.was], &diff.post.atoms[exchange.id]);
        let cut = |mut bytes: Vec<u8>| {
            for span in &exchange.spans {
                let (start, end) = (span.start as usize, span.end as usize);
                if let Some(part) = bytes.get_mut(start..end) {
                    part.fill(0);
                }
            }
            bytes
        };
        let outside = |links: &[Link]| -> Vec<(u64, u32, i64)> {
            let left = links.iter().filter(|l| !exchange.has(l));
            left.map(|l| (l.offset, l.kind.elf(), l.addend)).collect()
        };
        let pre = cut(masked(diff.pre.bytes_of(exchange.was), &was.links));
        let post = cut(masked(diff.post.bytes_of(exchange.id), &id.links));
        if pre != post || outside(&was.links) != outside(&id.links) {
            let label = diff.post.label(exchange.id);
            return Err(wrong(format!("{label} is not exchanged as a whole")));
        }
        Ok(())
    }

    fn exchange(
        &mut self,
        unit: usize,
        exchange: &Exchange,
        span: &Range<u64>,
        record: &DataRecord,
    ) -> Result<(), String> {
        let diff = &self.set.units[unit];
        let name = self.names.get(record.symbol as usize).ok_or("no symbol")?;
        let known = diff.pre.symbols_of(exchange.was).any(|s| s.name == *name);
        let place = u64::from(record.offset)..u64::from(record.offset) + u64::from(record.size);
        if !known || place != *span {
            return Err(format!("is written over {name}+{:#x}", record.offset));
        }
        for (is_pre, section) in [(true, record.before), (false, record.after)] {
            let (source, id) = if is_pre {
                (&diff.pre, exchange.was)
            } else {
                (&diff.post, exchange.id)
            };
            let atom = &source.atoms[id];
            let part = |bytes: Vec<u8>| -> Option<Vec<u8>> {
                let (start, end) = (span.start as usize, span.end as usize);
                bytes.get(start..end).map(<[u8]>::to_vec)
            };
            let own: Vec<&Link> = atom
                .links
                .iter()
                .filter(|l| span.contains(&l.offset))
                .collect();
            let shifted: Vec<Link> = own
                .iter()
                .map(|l| Link {
                    offset: l.offset - span.start,
                    ..(*l).clone()
                })
                .collect();
            let written = &self.file.section(section).bytes;
            if part(masked(source.bytes_of(id), &atom.links)) != Some(masked(written, &shifted)) {
                return Err("has other contents".into());
            }
            let relocs = source
                .section_of(id)
                .relocs_in(atom.start + span.start, atom.start + span.end);
            if relocs.len() != own.len() {
                return Err("lost a reference".into());
            }
            for (reloc, link) in relocs.iter().zip(own) {
                let place = (section, link.offset - span.start);
                if is_pre {
                    self.seen += 1;
                    self.before(unit, reloc, link, place)?;
                    continue;
                }
                let at = (unit, id);
                self.field(&Field {
                    at,
                    reloc,
                    link,
                    place,
                    in_table: false,
                })
                .map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// A reference of existing data leads to what pre says, in the kernel.
    fn before(
        &self,
        unit: usize,
        reloc: &Reloc,
        link: &Link,
        place: (SectionId, u64),
    ) -> Result<(), String> {
        let pre = &self.set.units[unit].pre;
        let kept = self.file.section(place.0).reloc_at(place.1);
        match (kept, self.late.get(&place)) {
            (Some(kept), None) => {
                let (own, written) = (
                    pre.object.symbol(reloc.symbol),
                    self.file.symbol(kept.symbol),
                );
                let same = written.section().is_none()
                    && written.name == own.name
                    && kept.kind == reloc.kind
                    && kept.addend == reloc.addend;
                same.then_some(())
                    .ok_or_else(|| format!("before: imports {} for {}", written.name, own.name))
            }
            (None, Some(late)) => {
                if late.kind != reloc.kind.elf() || late.addend != link.addend {
                    return Err("before: late relocation of another type or addend".into());
                }
                let name = self.names.get(late.symbol as usize);
                let right = match link.target {
                    Target::Atom(id) if pre.atoms[id].is_content => {
                        self.constant(late.symbol) == Some(pre.bytes_of(id))
                    }
                    Target::Atom(id) => pre.symbols_of(id).any(|s| Some(&s.name) == name),
                    Target::External(symbol) => Some(&pre.object.symbol(symbol).name) == name,
                };
                right
                    .then_some(())
                    .ok_or_else(|| "before: refers to something else".to_owned())
            }
            _ => Err("before: a reference is gone or there twice".into()),
        }
    }

    /// The contents behind a symbol of the written image.
    fn constant(&self, symbol: u32) -> Option<&[u8]> {
        let image = &self.file.section_named(MATCH_SECTION)?.bytes;
        // struct resplice_match: 16 bytes, then tables of (offset, count).
        let table = |index: usize| word(image, 16 + 8 * index);
        let at = table(2)? as usize + 24 * symbol as usize;
        let (section, value, size) = (
            word(image, at + 4)?,
            word(image, at + 8)?,
            word(image, at + 12)?,
        );
        let start = table(8)? as usize + value as usize;
        let bytes = image.get(start..start + size as usize)?;
        (section == MERGED).then_some(bytes)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    field.try_into().ok().map(u32::from_le_bytes)
}
