//! Taking in one unit: its sections, symbols, functions and relocations.

use std::collections::{HashMap, HashSet};

use super::builder::{ImageBuilder, UnitId};
use super::records::{
    EXTERNAL, FUNCTION_FENTRY, Function, MERGED, NONE, Reloc, Role, SYMBOL_FUNC, SYMBOL_GLOBAL,
    SYMBOL_WEAK, Section, Span, Symbol,
};
use super::{ImageError, sites};
use crate::elf::{
    self, Binding, Definition, Object, Place, SectionId, SectionKind, SymbolId, SymbolKind,
};
use crate::sites::{Detail, Entry};

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
    section_symbols: HashMap<SectionId, u32>,
    /// ELF symbol → image symbol.
    symbols: HashMap<SymbolId, u32>,
    /// Pieces of mergeable sections.
    merged: HashMap<(SectionId, u64), u32>,
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
fn is_metadata(kind: SectionKind) -> bool {
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
    ) || crate::sites::entry_size(kind).is_some()
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

    fn add_symbols(&mut self) -> Result<(), ImageError> {
        for symbol in &self.object.symbols {
            let named = !symbol.name.is_empty()
                && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::File);
            let Some(section) = symbol.section() else {
                continue;
            };
            if named && !is_metadata(self.object.section(section).kind) {
                let index = self.symbol(
                    symbol.id,
                    Place {
                        section,
                        offset: symbol.value,
                    },
                )?;
                self.builder.remember(self.id, &symbol.name, index);
            }
        }
        Ok(())
    }

    /// The image's index of an ELF symbol that isn't in a mergeable section.
    fn symbol(&mut self, id: SymbolId, at: Place) -> Result<u32, ImageError> {
        if let Some(index) = self.symbols.get(&id) {
            return Ok(*index);
        }
        let symbol = self.object.symbol(id);
        let index = match symbol.definition {
            Definition::Absolute => {
                let problem = format!("refers to the absolute symbol {}", symbol.name);
                return Err(self.unsupported(at, problem));
            }
            Definition::Undefined if symbol.name.is_empty() => {
                return Err(self.unsupported(at, "a relocation without symbol"));
            }
            Definition::Undefined => {
                let index = self.builder.external(self.id, &symbol.name);
                if symbol.binding == Binding::Weak {
                    self.builder.image.symbols[index as usize].flags |= SYMBOL_WEAK;
                }
                index
            }
            Definition::Section(section) if symbol.kind == SymbolKind::Section => {
                self.section_symbol(section)?
            }
            Definition::Section(section) => self.define(symbol, section)?,
        };
        self.symbols.insert(id, index);
        Ok(index)
    }

    /// A static call's key, as `.static_call_sites` names it.
    pub(super) fn key(&mut self, id: SymbolId, at: Place) -> Result<u32, ImageError> {
        self.symbol(id, at)
    }

    /// A symbol of this unit by name, or an external one.
    pub(super) fn named(&mut self, name: &str) -> u32 {
        let known = self.builder.symbol(self.id, name);
        known.unwrap_or_else(|| self.builder.external(self.id, name))
    }

    fn section_symbol(&mut self, section: SectionId) -> Result<u32, ImageError> {
        self.section(section)?;
        Ok(self.section_symbols.get(&section).copied().unwrap_or(NONE))
    }

    fn define(&mut self, symbol: &elf::Symbol, section: SectionId) -> Result<u32, ImageError> {
        let at = Place {
            section,
            offset: symbol.value,
        };
        let small = |value: u64| {
            u32::try_from(value).map_err(|_| self.unsupported(at, "does not fit in 32 bits"))
        };
        let (value, size) = (small(symbol.value)?, small(symbol.size)?);
        let index = self.section(section)?;
        let weak = symbol.binding == Binding::Weak;
        let mut flags = if symbol.kind == SymbolKind::Function {
            SYMBOL_FUNC
        } else {
            0
        };
        if symbol.binding != Binding::Local {
            flags |= SYMBOL_GLOBAL;
        }
        if weak {
            flags |= SYMBOL_WEAK;
        }
        let record = Symbol {
            name: self.builder.intern(&symbol.name),
            section: if weak { EXTERNAL } else { index },
            value: if weak { 0 } else { value },
            size,
            flags,
            unit: self.id.0,
        };
        if symbol.binding == Binding::Local {
            Ok(self.builder.push_symbol(record))
        } else {
            self.builder.define_global(&symbol.name, record)
        }
    }

    /// What a relocation in matched text refers to, as (symbol, addend).
    fn target(&mut self, reloc: &elf::Reloc, at: Place) -> Result<(u32, i64), ImageError> {
        let symbol = self.object.symbol(reloc.symbol);
        let Some(section) = symbol.section() else {
            return Ok((self.symbol(reloc.symbol, at)?, reloc.addend));
        };
        if !self.object.section(section).kind.is_merged() {
            return Ok((self.symbol(reloc.symbol, at)?, reloc.addend));
        }
        let (offset, addend) = if symbol.kind != SymbolKind::Section {
            (symbol.value, reloc.addend)
        } else if reloc.kind.is_relative() {
            // The assembler never makes these: the addend would mix the place
            // in the piece with the instruction's tail.
            return Err(self.unsupported(at, "relative reference to a mergeable section"));
        } else {
            let offset = u64::try_from(reloc.addend)
                .map_err(|_| self.unsupported(at, "refers to before a mergeable section"))?;
            (offset, 0)
        };
        let (index, inside) = self.piece(section, offset, at)?;
        Ok((index, addend.wrapping_add(inside)))
    }

    /// The symbol of a mergeable piece, and how far into it the offset lies.
    fn piece(&mut self, id: SectionId, offset: u64, at: Place) -> Result<(u32, i64), ImageError> {
        let section = self.object.section(id);
        let (start, len) = if section.kind == SectionKind::MergeStrings && section.entsize == 1 {
            let rest = section.bytes_in(offset, section.size);
            let len = rest.and_then(|rest| rest.iter().position(|b| *b == 0));
            (offset, len.map(|len| len as u64 + 1))
        } else if section.entsize > 0 && section.kind == SectionKind::MergeConstants {
            (offset - offset % section.entsize, Some(section.entsize))
        } else {
            (offset, None)
        };
        let piece = len.and_then(|len| section.bytes_in(start, start.checked_add(len)?));
        let Some(piece) = piece.filter(|_| section.relocs.is_empty()) else {
            let problem = format!(
                "refers to {}+{offset:#x}, which is no whole piece",
                section.name
            );
            return Err(self.unsupported(at, problem));
        };
        let inside = (offset - start) as i64;
        if let Some(index) = self.merged.get(&(id, start)) {
            return Ok((*index, inside));
        }
        let value = self.push_bytes(piece);
        let index = self.builder.push_symbol(Symbol {
            name: 0,
            section: MERGED,
            value,
            size: piece.len() as u32,
            flags: 0,
            unit: self.id.0,
        });
        self.merged.insert((id, start), index);
        Ok((index, inside))
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
            let record = Function {
                symbol: self.symbol(symbol.id, at)?,
                section: index,
                offset: symbol.value as u32,
                size: symbol.size as u32,
                parent: NONE,
                flags: if fentries.contains(&symbol.value) {
                    FUNCTION_FENTRY
                } else {
                    0
                },
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
