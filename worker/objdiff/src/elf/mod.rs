//! An owned, bounds-checked model of a relocatable x86-64 ELF object.
//!
//! Everything is validated while reading, so that the rest of the crate can
//! index by [`SectionId`] and [`SymbolId`] freely. Unknown loaded sections and
//! relocation types are errors that name them.

mod alike;
mod error;
mod exports;
mod kind;
mod read;

pub use alike::loads_alike;
pub use error::ElfError;
pub use exports::{EXPORT_BYTES, EXPORTS_FOR_MODPOST, MODPOST_LABEL, exports};
pub use kind::SectionKind;
pub use read::LIMITS;

/// Index of a section in [`Object::sections`]; equals the ELF section index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SectionId(pub u32);

/// Index of a symbol in [`Object::symbols`]; equals the ELF symbol index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolId(pub u32);

/// A relocatable object.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// All sections; index 0 is ELF's null section.
    pub sections: Vec<Section>,
    /// All symbols; index 0 is ELF's null symbol.
    pub symbols: Vec<Symbol>,
    /// Per section: its named symbols, ascending by value.
    by_section: Vec<Vec<SymbolId>>,
}

/// A section with its relocations.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its own index.
    pub id: SectionId,
    /// Name.
    pub name: String,
    /// What the name and flags stand for.
    pub kind: SectionKind,
    /// `sh_type`.
    pub sh_type: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// Alignment in bytes, a power of two.
    pub align: u64,
    /// `sh_entsize` in bytes.
    pub entsize: u64,
    /// Size in bytes, also for sections without contents.
    pub size: u64,
    /// Contents; empty for zeroed sections and where
    /// [`SectionKind::has_contents`] is false.
    pub bytes: Vec<u8>,
    /// Ascending by offset; fields lie inside the section and do not overlap.
    pub relocs: Vec<Reloc>,
}

/// A relocation: the field at `offset` depends on `symbol + addend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reloc {
    /// Of the field, in bytes from the section's start.
    pub offset: u64,
    /// How the field is computed.
    pub kind: RelocKind,
    /// What is referred to.
    pub symbol: SymbolId,
    /// Added to the symbol's value.
    pub addend: i64,
}

/// The relocation types that kernel objects contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelocKind {
    /// R_X86_64_64.
    Abs64,
    /// R_X86_64_PC32.
    Pc32,
    /// R_X86_64_PLT32; same as PC32 in the kernel.
    Plt32,
    /// R_X86_64_32, zero extended.
    Abs32,
    /// R_X86_64_32S, sign extended.
    Abs32S,
    /// R_X86_64_PC64.
    Pc64,
}

impl RelocKind {
    /// From an ELF type.
    pub fn from_elf(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Abs64,
            2 => Self::Pc32,
            4 => Self::Plt32,
            10 => Self::Abs32,
            11 => Self::Abs32S,
            24 => Self::Pc64,
            _ => return None,
        })
    }

    /// The ELF type, R_X86_64_*.
    pub fn elf(self) -> u32 {
        match self {
            Self::Abs64 => 1,
            Self::Pc32 => 2,
            Self::Plt32 => 4,
            Self::Abs32 => 10,
            Self::Abs32S => 11,
            Self::Pc64 => 24,
        }
    }

    /// Size of the field in bytes.
    pub fn width(self) -> u64 {
        match self {
            Self::Abs64 | Self::Pc64 => 8,
            _ => 4,
        }
    }

    /// Whether two types compute the same field: a function that becomes
    /// static is called by PC32 instead of PLT32.
    pub fn means_same(self, other: Self) -> bool {
        let plain = |kind| match kind {
            Self::Plt32 => Self::Pc32,
            kind => kind,
        };
        plain(self) == plain(other)
    }

    /// Whether the field's own address is subtracted.
    pub fn is_relative(self) -> bool {
        matches!(self, Self::Pc32 | Self::Plt32 | Self::Pc64)
    }
}

/// Scope of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// This object only.
    Local,
    /// Visible to others.
    Global,
    /// Visible, and may be overridden.
    Weak,
}

/// ELF symbol type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SymbolKind {
    /// STT_NOTYPE: labels of assembly, undefined symbols.
    Untyped,
    /// STT_FUNC.
    Function,
    /// STT_OBJECT.
    Data,
    /// STT_SECTION.
    Section,
    /// STT_FILE.
    File,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Definition {
    /// Elsewhere.
    Undefined,
    /// A plain number.
    Absolute,
    /// In a section of this object, at [`Symbol::value`].
    Section(SectionId),
}

/// A symbol.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Its own index.
    pub id: SymbolId,
    /// Name; a section symbol carries its section's name.
    pub name: String,
    /// Scope.
    pub binding: Binding,
    /// Type.
    pub kind: SymbolKind,
    /// Where it is defined.
    pub definition: Definition,
    /// Offset in its section.
    pub value: u64,
    /// Bytes; 0 if unknown.
    pub size: u64,
}

impl Symbol {
    /// The section it is defined in.
    pub fn section(&self) -> Option<SectionId> {
        match self.definition {
            Definition::Section(id) => Some(id),
            _ => None,
        }
    }

    /// Whether it is a function defined here.
    pub fn is_function(&self) -> bool {
        self.kind == SymbolKind::Function && self.section().is_some()
    }
}

/// A byte of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The section.
    pub section: SectionId,
    /// Bytes from its start.
    pub offset: u64,
}

impl Object {
    /// Reads a relocatable object. Fails on anything malformed, beyond
    /// [`LIMITS`], or unknown by name.
    pub fn parse(data: &[u8]) -> Result<Self, ElfError> {
        read::parse(data)
    }

    /// A section by index.
    pub fn section(&self, id: SectionId) -> &Section {
        &self.sections[id.0 as usize]
    }

    /// A symbol by index.
    pub fn symbol(&self, id: SymbolId) -> &Symbol {
        &self.symbols[id.0 as usize]
    }

    /// The first section of that name.
    pub fn section_named(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// All sections of a kind.
    pub fn sections_of(&self, kind: SectionKind) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(move |s| s.kind == kind)
    }

    /// Functions and data objects defined in a section, and its labels,
    /// ascending by value. Section and file symbols are not among them.
    pub fn symbols_in(&self, section: SectionId) -> impl Iterator<Item = &Symbol> {
        self.by_section
            .get(section.0 as usize)
            .into_iter()
            .flatten()
            .map(|id| self.symbol(*id))
    }

    /// The symbol whose `value .. value + size` contains the offset: functions
    /// and data before labels, the innermost one if several do, a global one
    /// before its local alias.
    pub fn symbol_covering(&self, place: Place) -> Option<&Symbol> {
        self.symbols_in(place.section)
            .take_while(|s| s.value <= place.offset)
            .filter(|s| place.offset - s.value < s.size)
            .max_by_key(|s| {
                (
                    s.kind != SymbolKind::Untyped,
                    s.value,
                    u64::MAX - s.size,
                    s.binding != Binding::Local,
                )
            })
    }

    /// The byte that `symbol + addend` stands for, if the symbol is defined
    /// here and the result does not lie before its section.
    pub fn place(&self, symbol: SymbolId, addend: i64) -> Option<Place> {
        let symbol = self.symbol(symbol);
        let section = symbol.section()?;
        let offset = symbol.value.checked_add_signed(addend)?;
        Some(Place { section, offset })
    }

    /// The place a relocation's field points at. For relative types this is
    /// the value of `field + field address`, so it is what table entries mean
    /// but is off by the instruction's tail (4 or more) in code.
    pub fn reloc_place(&self, reloc: &Reloc) -> Option<Place> {
        self.place(reloc.symbol, reloc.addend)
    }
}

impl Section {
    /// The relocation whose field starts at the offset.
    pub fn reloc_at(&self, offset: u64) -> Option<&Reloc> {
        let index = self
            .relocs
            .binary_search_by_key(&offset, |r| r.offset)
            .ok()?;
        self.relocs.get(index)
    }

    /// Indices of the relocations whose fields start in `start..end`.
    pub fn reloc_range(&self, start: u64, end: u64) -> std::ops::Range<usize> {
        let first = self.relocs.partition_point(|r| r.offset < start);
        let last = self.relocs.partition_point(|r| r.offset < end);
        first..last.max(first)
    }

    /// The relocations whose fields start in `start..end`.
    pub fn relocs_in(&self, start: u64, end: u64) -> &[Reloc] {
        &self.relocs[self.reloc_range(start, end)]
    }

    /// Bytes `start..end`, if they are inside the contents.
    pub fn bytes_in(&self, start: u64, end: u64) -> Option<&[u8]> {
        self.bytes
            .get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }
}

#[cfg(test)]
mod tests;
