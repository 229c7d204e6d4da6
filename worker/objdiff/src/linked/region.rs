//! A range of post and its counterpart in the module, field by field.

use std::collections::BTreeMap;

use crate::elf::{Object, RelocKind, SectionId, Symbol};

use super::aims;
use super::fields::{self, Field};
use super::module::Late;
use super::{Check, Place, Result};
use crate::sites::{RuntimeConstant, without};

/// Writable, loaded, executable.
pub(super) const SHF: u64 = 1 | 2 | 4;
const SHT_NOBITS: u32 = 8;

/// A range of a section of post, and where it is in the module.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub unit: usize,
    pub section: SectionId,
    pub start: u64,
    pub size: u64,
    pub place: Place,
    /// For messages, and to tell a function's own parts.
    pub name: String,
    /// It is nothing but contents.
    pub is_content: bool,
}

/// What a field of the module says: a symbol or section, and bytes from it.
#[derive(Clone, Debug)]
pub(super) enum Got {
    Import(String, i64),
    Local(SectionId, i64),
    Late(Late, i64),
}

/// Where a field stands.
#[derive(Clone, Copy)]
pub(super) struct From<'r> {
    pub region: &'r Region,
    pub in_table: bool,
    pub is_branch: bool,
}

impl Region {
    /// All of something that has a name.
    pub fn of(unit: usize, object: &Object, symbol: &Symbol, place: Place) -> Result<Self> {
        Ok(Self {
            unit,
            section: symbol
                .section()
                .ok_or_else(|| format!("{} is not in post", symbol.name))?,
            start: symbol.value,
            size: aims::size_of(object, symbol),
            place,
            name: symbol.name.clone(),
            is_content: false,
        })
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

impl Check<'_> {
    /// Whether the bytes besides fields are the same.
    pub(super) fn same_bytes(&self, region: &Region) -> Result<bool> {
        let post = &self.units[region.unit].post.object;
        let fields = fields::of(post, region.section, region.start, region.end())?;
        let constants = self.constants_of(region)?;
        Ok(self.other_bytes(region, &fields, &constants).is_none())
    }

    fn other_bytes(
        &self,
        region: &Region,
        fields: &[Field],
        constants: &[RuntimeConstant<'_>],
    ) -> Option<&'static str> {
        let from = self.units[region.unit].post.object.section(region.section);
        let to = self.module.side.object.section(region.place.section);
        let zeroed = from.sh_type == SHT_NOBITS;
        if from.flags & SHF != to.flags & SHF || zeroed != (to.sh_type == SHT_NOBITS) {
            return Some("lies in another kind of section");
        }
        let own = 1_u64 << region.start.trailing_zeros().min(63);
        let align = from.align.min(own).max(1);
        if to.align < align || !region.place.offset.is_multiple_of(align) {
            return Some("lies at another alignment");
        }
        let end = region.place.offset.saturating_add(region.size);
        if end > to.size {
            return Some("is cut off");
        }
        if zeroed {
            return None;
        }
        let masked = |bytes: Option<&[u8]>| {
            let mut bytes = bytes?.to_vec();
            for field in fields {
                let at = usize::try_from(field.offset).unwrap_or(usize::MAX);
                let end = at.saturating_add(field.width() as usize);
                bytes.get_mut(at..end)?.fill(0);
            }
            Some(without(bytes, constants))
        };
        let expected = masked(from.bytes_in(region.start, region.end()));
        let found = masked(to.bytes_in(region.place.offset, end));
        (expected.is_none() || expected != found).then_some("has other contents")
    }

    /// Compares a region; what it refers to in the module is compared next.
    pub(super) fn region(&mut self, region: &Region) -> Result<()> {
        let key = (region.unit, region.section, region.start, region.size);
        match self.seen.insert(key, region.place) {
            Some(place) if place == region.place => return Ok(()),
            Some(_) => return Err(format!("{} is there twice", region.name)),
            None => {}
        }
        let post = &self.units[region.unit].post.object;
        let is_code = post.section(region.section).kind.is_code();
        let fields = fields::of(post, region.section, region.start, region.end())?;
        if let Some(short) = fields.iter().find(|field| field.is_short) {
            let offset = short.offset;
            return Err(format!("{}+{offset:#x}: a short jump out", region.name));
        }
        let constants = self.constants_of(region)?;
        if let Some(what) = self.other_bytes(region, &fields, &constants) {
            return Err(format!("{} {what}", region.name));
        }
        let mut got = self.fields_in(region.place, region.size);
        for offset in self.constants(region)? {
            got.remove(&offset);
        }
        for field in &fields {
            let from = From {
                region,
                in_table: false,
                is_branch: field.is_branch,
            };
            let at = Place {
                section: region.place.section,
                offset: region.place.offset + field.offset,
            };
            got.remove(&field.offset);
            self.field(region.section, field, at, from)
                .map_err(|what| format!("{}+{:#x}: {what}", region.name, field.offset))?;
        }
        if let Some(offset) = got.keys().next() {
            return Err(format!("{}+{offset:#x}: a reference too many", region.name));
        }
        if is_code {
            self.tables(region)?;
            self.unwinding(region)?;
        }
        Ok(())
    }

    /// Fields of a range of the module, by offset from its start.
    fn fields_in(&self, place: Place, size: u64) -> BTreeMap<u64, ()> {
        let section = self.module.side.object.section(place.section);
        let end = place.offset.saturating_add(size);
        let kept = section.relocs_in(place.offset, end).iter();
        let late = self.module.late.keys();
        kept.map(|r| r.offset)
            .chain(late.filter(|(id, _)| *id == place.section).map(|(_, o)| *o))
            .filter(|offset| (place.offset..end).contains(offset))
            .map(|offset| (offset - place.offset, ()))
            .collect()
    }

    /// One field of post against what the module has in its place.
    pub(super) fn field(
        &mut self,
        section: SectionId,
        field: &Field,
        at: Place,
        from: From<'_>,
    ) -> Result<()> {
        let (kind, got) = self.got(at, field)?;
        if !kind.means_same(field.kind) {
            return Err("a reference of another type".into());
        }
        if let Got::Late(..) = got {
            self.late_seen.insert((at.section, at.offset));
        }
        let post = &self.units[from.region.unit].post.object;
        let aim = aims::of(post, section, field)?;
        self.target(aim, &got, from)
    }

    /// What the module has at a field.
    pub(super) fn got(&self, at: Place, field: &Field) -> Result<(RelocKind, Got)> {
        let module = &self.module.side.object;
        let section = module.section(at.section);
        let kept = section.reloc_at(at.offset);
        let late = self.module.late.get(&(at.section, at.offset));
        match (kept, late) {
            (None, None) => Err("a reference is gone".into()),
            (Some(_), Some(_)) => Err("a reference is there twice".into()),
            (Some(reloc), None) => {
                let meant = reloc.addend.saturating_add(field.tail);
                let symbol = module.symbol(reloc.symbol);
                let got = match symbol.section() {
                    None => Got::Import(symbol.name.clone(), meant),
                    Some(id) => {
                        let value = i64::try_from(symbol.value).unwrap_or(i64::MAX);
                        Got::Local(id, value.saturating_add(meant))
                    }
                };
                Ok((reloc.kind, got))
            }
            (None, Some(late)) => {
                let bytes = section.bytes_in(at.offset, at.offset + field.kind.width());
                if bytes.is_none_or(|b| b.iter().any(|b| *b != 0)) {
                    return Err("a late place that is not empty".into());
                }
                if late.feature != self.feature_over(at)? {
                    return Err("a late place under another alternative".into());
                }
                let kind = RelocKind::from_elf(late.kind).ok_or("a late type nobody knows")?;
                let meant = late.addend.saturating_add(field.tail);
                Ok((kind, Got::Late(*late, meant)))
            }
        }
    }
}
