//! Taking in one unit: its sections, symbols, functions and relocations.

use std::collections::{HashMap, HashSet};

use super::builder::{ImageBuilder, UnitId};
use super::records::{
    FUNCTION_ENDBR, FUNCTION_FENTRY, Function, NONE, Reloc, Role, Section, Span, Symbol,
};
use super::{ImageError, sites};
use crate::elf::{self, Object, Place, SectionId, SectionKind, SymbolId};
use crate::sites::{Detail, ENDBR, Entry, begins_with_endbr};

/// A unit while it is taken in.
pub(super) struct Unit<'a> {
    pub(super) builder: &'a mut ImageBuilder,
    pub(super) id: UnitId,
    pub(super) name: &'a str,
    pub(super) object: &'a Object,
    pub(super) entries: Vec<Entry>,
    /// ELF section → image section.
    sections: HashMap<SectionId, u32>,
    /// Image section → its own symbol.
    pub(super) section_symbols: HashMap<SectionId, u32>,
    /// ELF symbol → image symbol.
    pub(super) symbols: HashMap<SymbolId, u32>,
    /// Pieces of mergeable sections.
    pub(super) merged: HashMap<(SectionId, u64), u32>,
}

pub(super) fn add(
    builder: &mut ImageBuilder,
    id: UnitId,
    name: &str,
    object: &Object,
) -> Result<(), ImageError> {
    let entries = crate::sites::read_all(object).map_err(|problem| ImageError::Site {
        unit: name.to_owned(),
        problem,
    })?;
    let mut unit = Unit {
        builder,
        id,
        name,
        object,
        entries,
        sections: HashMap::new(),
        section_symbols: HashMap::new(),
        symbols: HashMap::new(),
        merged: HashMap::new(),
    };
    let first_function = unit.builder.image.functions.len();
    unit.add_sections()?;
    unit.add_symbols()?;
    for section in &object.sections {
        if section.kind.is_resident_text() && section.size > 0 {
            unit.add_text(section)?;
        }
    }
    unit.link_cold_parts(first_function);
    Ok(())
}

/// F for `F.cold` and `F.cold.N`: the part that gcc split off as unlikely.
fn cold_parent(name: &str) -> Option<&str> {
    let (parent, rest) = name.rsplit_once(".cold")?;
    let numbered = rest
        .strip_prefix('.')
        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    (rest.is_empty() || numbered).then_some(parent)
}

/// Sections whose symbols nobody refers to by name: tables and metadata.
pub(super) fn is_metadata(kind: SectionKind) -> bool {
    use SectionKind::*;
    matches!(
        kind,
        Debug
            | Meta
            | Unloaded
            | Discard
            | Note
            | Modinfo
            | Versions
            | Ksymtab
            | KsymtabStrings
            | Kcrctab
            | OrcUnwind
            | OrcUnwindIp
            | MergeStrings
            | MergeConstants
    ) || crate::sites::entry_bytes(kind, 0).is_some()
}

fn role(kind: SectionKind) -> Role {
    if kind.is_resident_text() {
        Role::Text
    } else if kind.is_init() {
        Role::Init
    } else {
        Role::Data
    }
}

impl Unit<'_> {
    pub(super) fn unsupported(&self, place: Place, problem: impl Into<String>) -> ImageError {
        ImageError::Unsupported {
            unit: self.name.to_owned(),
            section: self.object.section(place.section).name.clone(),
            offset: place.offset,
            problem: problem.into(),
        }
    }

    fn add_sections(&mut self) -> Result<(), ImageError> {
        for section in &self.object.sections {
            if !is_metadata(section.kind) && section.size > 0 {
                self.section(section.id)?;
            }
        }
        Ok(())
    }

    /// The image's index of an ELF section, added at first use.
    pub(super) fn section(&mut self, id: SectionId) -> Result<u32, ImageError> {
        if let Some(index) = self.sections.get(&id) {
            return Ok(*index);
        }
        let section = self.object.section(id);
        let at = Place {
            section: id,
            offset: 0,
        };
        let small = |value: u64| {
            u32::try_from(value).map_err(|_| self.unsupported(at, "does not fit in 32 bits"))
        };
        let (size, align) = (small(section.size)?, small(section.align)?);
        let role = role(section.kind);
        let bytes = if role == Role::Text {
            self.push_bytes(&section.bytes)
        } else {
            NONE
        };
        let name = self.builder.intern(&section.name);
        let index = self.builder.image.sections.len() as u32;
        self.builder.image.sections.push(Section {
            unit: self.id.0,
            name,
            role,
            size,
            bytes,
            relocs: Span::default(),
            sites: Span::default(),
            functions: Span::default(),
            align,
        });
        let symbol = self.builder.push_symbol(Symbol {
            name: 0,
            section: index,
            value: 0,
            size,
            flags: 0,
            unit: self.id.0,
        });
        self.sections.insert(id, index);
        self.section_symbols.insert(id, symbol);
        Ok(index)
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> u32 {
        let pool = &mut self.builder.image.bytes;
        let offset = pool.len() as u32;
        pool.extend_from_slice(bytes);
        offset
    }

    /// Appends the relocations in `start..end` of a section, counted from `start`.
    pub(super) fn push_relocs(
        &mut self,
        section: &elf::Section,
        start: u64,
        end: u64,
    ) -> Result<Span, ImageError> {
        let first = self.builder.image.relocs.len() as u32;
        let relocs = section.relocs_in(start, end);
        for reloc in relocs {
            let at = Place {
                section: section.id,
                offset: reloc.offset,
            };
            if reloc.offset + reloc.kind.width() > end {
                return Err(self.unsupported(at, "relocation reaches beyond its piece of code"));
            }
            let (symbol, addend) = self.target(reloc, at)?;
            self.builder.image.relocs.push(Reloc {
                offset: (reloc.offset - start) as u32,
                kind: reloc.kind.elf(),
                symbol,
                addend,
            });
        }
        Ok(Span {
            first,
            count: relocs.len() as u32,
        })
    }

    fn add_text(&mut self, section: &elf::Section) -> Result<(), ImageError> {
        let index = self.section(section.id)? as usize;
        let relocs = self.push_relocs(section, 0, section.size)?;
        let functions = self.add_functions(section, index as u32)?;
        let sites = sites::add(self, section)?;
        let record = &mut self.builder.image.sections[index];
        record.relocs = relocs;
        record.functions = functions;
        record.sites = sites;
        Ok(())
    }

    fn link_cold_parts(&mut self, first: usize) {
        for index in first..self.builder.image.functions.len() {
            let symbol = self.builder.image.functions[index].symbol as usize;
            let name = self.builder.image.symbols.get(symbol).map_or(0, |s| s.name);
            let parent = cold_parent(self.builder.image.name(name))
                .and_then(|parent| self.builder.function(self.id, parent));
            if let Some(parent) = parent {
                self.builder.image.functions[index].parent = parent;
            }
        }
    }

    fn add_functions(&mut self, section: &elf::Section, index: u32) -> Result<Span, ImageError> {
        let fentries: HashSet<u64> = self
            .entries
            .iter()
            .filter(|e| e.code.section == section.id && e.detail == Detail::Fentry)
            .map(|e| e.code.offset)
            .collect();
        let first = self.builder.image.functions.len() as u32;
        let object = self.object;
        for symbol in object
            .symbols_in(section.id)
            .filter(|s| s.is_function() && s.size > 0)
        {
            let at = Place {
                section: section.id,
                offset: symbol.value,
            };
            let endbr = begins_with_endbr(section, symbol.value);
            let slot = symbol.value + if endbr { ENDBR.len() as u64 } else { 0 };
            let flag = |is: bool, flag: u32| if is { flag } else { 0 };
            let record = Function {
                symbol: self.symbol(symbol.id, at)?,
                section: index,
                offset: symbol.value as u32,
                size: symbol.size as u32,
                parent: NONE,
                flags: flag(fentries.contains(&slot), FUNCTION_FENTRY)
                    | flag(endbr, FUNCTION_ENDBR),
            };
            let function = self.builder.image.functions.len() as u32;
            self.builder.image.functions.push(record);
            self.builder
                .functions
                .entry((self.id, symbol.name.clone()))
                .and_modify(|known| *known = None)
                .or_insert(Some(function));
        }
        let count = self.builder.image.functions.len() as u32 - first;
        Ok(Span { first, count })
    }
}
