//! What a unit's names and relocations stand for: image symbols and pieces of
//! mergeable sections.

use super::ImageError;
use super::records::{EXTERNAL, MERGED, NONE, SYMBOL_FUNC, SYMBOL_GLOBAL, SYMBOL_WEAK, Symbol};
use super::unit::{Unit, is_metadata};
use crate::elf::{self, Binding, Definition, Place, SectionId, SectionKind, SymbolId, SymbolKind};

/// Bytes of the string at an offset, its NUL included; wide characters have
/// `sh_entsize` bytes.
fn string_len(section: &elf::Section, offset: u64) -> Option<u64> {
    let width = usize::try_from(section.entsize).ok()?;
    let rest = section.bytes_in(offset, section.size)?;
    let last = rest
        .chunks_exact(width)
        .position(|c| c.iter().all(|b| *b == 0))?;
    Some((last as u64 + 1) * section.entsize)
}

impl Unit<'_> {
    pub(super) fn add_symbols(&mut self) -> Result<(), ImageError> {
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
    pub(super) fn symbol(&mut self, id: SymbolId, at: Place) -> Result<u32, ImageError> {
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
    pub(super) fn target(
        &mut self,
        reloc: &elf::Reloc,
        at: Place,
    ) -> Result<(u32, i64), ImageError> {
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
        let (start, len) = if section.entsize > 0 && section.kind == SectionKind::MergeStrings {
            (offset, string_len(section, offset))
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
}
