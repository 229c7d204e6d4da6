//! The debug sections of a relocatable object, with their relocations applied.
//!
//! A relocatable object has no addresses: all its sections begin at 0, and with
//! `-ffunction-sections` so do all functions. Each section is therefore given
//! 4 GiB of its own, and an address says section and offset.

use std::collections::HashMap;

use object::elf::{FileHeader64, Rela64, SHT_RELA, SHT_SYMTAB};
use object::read::elf::{FileHeader, Rela, SectionHeader, SectionTable, Sym, SymbolTable};
use object::{LittleEndian, SectionIndex};

use super::error::SemanticError;

type Header = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;
/// Bits of an address that are the offset in its section.
const OFFSET_BITS: u32 = 32;
const SHF_ALLOC: u64 = 2;
const SHF_COMPRESSED: u64 = 0x800;
const ET_REL: u16 = 1;
const EM_X86_64: u16 = 62;
const STT_OBJECT: u8 = 1;
const STT_FUNC: u8 = 2;

/// The debug sections that are read.
const READ: [&str; 9] = [
    ".debug_info",
    ".debug_abbrev",
    ".debug_str",
    ".debug_line",
    ".debug_line_str",
    ".debug_str_offsets",
    ".debug_addr",
    ".debug_ranges",
    ".debug_rnglists",
];

/// What debug information may hold at most; checked before memory is taken.
pub const LIMITS: Limits = Limits {
    object_bytes: 256 << 20,
    debug_bytes: 128 << 20,
    sections: 1 << 17,
    symbols: 1 << 20,
    relocs: 1 << 23,
    entries: 1 << 22,
    leaves: 1 << 16,
};

/// See [`LIMITS`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the file.
    pub object_bytes: u64,
    /// Bytes of all debug sections together.
    pub debug_bytes: u64,
    /// Sections.
    pub sections: u64,
    /// Symbols.
    pub symbols: u64,
    /// Relocations of debug sections.
    pub relocs: u64,
    /// Debugging information entries.
    pub entries: u64,
    /// Scalars that one type is broken down to.
    pub leaves: u64,
}

pub(super) fn limit(what: &'static str, count: u64, limit: u64) -> Result<(), SemanticError> {
    if count > limit {
        return Err(SemanticError::Limit { what, count, limit });
    }
    Ok(())
}

/// An address of this module's making: section and offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address(pub u64);

/// The debug sections, and the symbols by address.
pub(super) struct Sections {
    debug: HashMap<String, Vec<u8>>,
    symbols: HashMap<Address, String>,
}

impl Sections {
    /// Reads an object.
    pub fn load(data: &[u8]) -> Result<Self, SemanticError> {
        limit("bytes", data.len() as u64, LIMITS.object_bytes)?;
        let header = Header::parse(data)?;
        if !header.is_little_endian()
            || header.e_type(LE).0 != ET_REL
            || header.e_machine(LE).0 != EM_X86_64
        {
            let what = "not a relocatable x86-64 ELF object".to_owned();
            return Err(SemanticError::Malformed(what));
        }
        let table = header.sections(LE, data)?;
        limit("sections", table.len() as u64, LIMITS.sections)?;
        let symbols = table.symbols(LE, data, SHT_SYMTAB)?;
        limit("symbols", symbols.len() as u64, LIMITS.symbols)?;
        let mut sections = Self {
            debug: HashMap::new(),
            symbols: HashMap::new(),
        };
        let named = sections.read_debug(data, &table)?;
        if !sections.debug.contains_key(".debug_info") {
            return Err(SemanticError::Missing);
        }
        sections.relocate(data, &table, &symbols, &named)?;
        sections.read_symbols(&symbols)?;
        Ok(sections)
    }

    /// A section's bytes; empty if it is absent.
    pub fn get(&self, name: &str) -> &[u8] {
        self.debug.get(name).map_or(&[], Vec::as_slice)
    }

    /// The function or variable that begins there.
    pub fn symbol(&self, address: u64) -> Option<&str> {
        self.symbols.get(&Address(address)).map(String::as_str)
    }

    fn read_debug(
        &mut self,
        data: &[u8],
        table: &SectionTable<'_, Header>,
    ) -> Result<HashMap<usize, String>, SemanticError> {
        let mut named = HashMap::new();
        let mut total = 0;
        for (index, section) in table.iter().enumerate() {
            let name = String::from_utf8_lossy(table.section_name(LE, section)?).into_owned();
            let flags = section.sh_flags(LE).0;
            if name == ".debug_types" {
                let what = "type units (-fdebug-types-section)".to_owned();
                return Err(SemanticError::Unsupported(what));
            }
            if !READ.contains(&name.as_str()) || flags & SHF_ALLOC != 0 {
                continue;
            }
            if flags & SHF_COMPRESSED != 0 {
                let what = format!("section {name} is compressed");
                return Err(SemanticError::Unsupported(what));
            }
            total = section.sh_size(LE).saturating_add(total);
            limit("bytes of debug sections", total, LIMITS.debug_bytes)?;
            let bytes = section.data(LE, data)?.to_vec();
            if self.debug.insert(name.clone(), bytes).is_some() {
                let what = format!("two sections are called {name}");
                return Err(SemanticError::Unsupported(what));
            }
            named.insert(index, name);
        }
        Ok(named)
    }

    fn relocate(
        &mut self,
        data: &[u8],
        table: &SectionTable<'_, Header>,
        symbols: &SymbolTable<'_, Header>,
        named: &HashMap<usize, String>,
    ) -> Result<(), SemanticError> {
        let mut total = 0;
        for section in table.iter().filter(|s| s.sh_type(LE) == SHT_RELA) {
            let Some(name) = named.get(&(section.sh_info(LE) as usize)) else {
                continue;
            };
            let Some((entries, _)) = section.rela(LE, data)? else {
                continue;
            };
            total += entries.len() as u64;
            limit("relocations of debug sections", total, LIMITS.relocs)?;
            let Some(bytes) = self.debug.get_mut(name) else {
                continue;
            };
            for entry in entries {
                apply(name, bytes, symbols, entry)?;
            }
        }
        Ok(())
    }

    fn read_symbols(&mut self, symbols: &SymbolTable<'_, Header>) -> Result<(), SemanticError> {
        for (index, symbol) in symbols.enumerate() {
            if !matches!(symbol.st_type().0, STT_OBJECT | STT_FUNC) {
                continue;
            }
            let Some(section) = symbols.symbol_section(LE, symbol, index)? else {
                continue;
            };
            let name = String::from_utf8_lossy(symbol.name(LE, symbols.strings())?).into_owned();
            // Aliases: the first one stays.
            self.symbols
                .entry(Address(address(section, symbol.st_value(LE))))
                .or_insert(name);
        }
        Ok(())
    }
}

fn address(section: SectionIndex, offset: u64) -> u64 {
    ((section.0 as u64) << OFFSET_BITS).wrapping_add(offset)
}

/// What a symbol stands for: in a debug section its offset, elsewhere an address.
fn apply(
    name: &str,
    bytes: &mut [u8],
    symbols: &SymbolTable<'_, Header>,
    entry: &Rela64<LittleEndian>,
) -> Result<(), SemanticError> {
    const R_NONE: u32 = 0;
    const R_64: u32 = 1;
    const R_32: u32 = 10;
    let (offset, kind) = (entry.r_offset(LE), entry.r_type(LE, false).0);
    let bad = |problem: &str| {
        SemanticError::Malformed(format!("relocation of {name}+{offset:#x}: {problem}"))
    };
    let width = match kind {
        R_NONE => return Ok(()),
        R_64 => 8,
        R_32 => 4,
        _ => {
            let what = format!("relocation type {kind} at {name}+{offset:#x}");
            return Err(SemanticError::Unsupported(what));
        }
    };
    let index = object::SymbolIndex(entry.r_sym(LE, false) as usize);
    let symbol = symbols.symbol(index)?;
    let section = symbols.symbol_section(LE, symbol, index)?;
    let base = match section {
        // A field of four bytes can only be an offset in another debug section.
        Some(_) if width == 4 => symbol.st_value(LE),
        Some(section) => address(section, symbol.st_value(LE)),
        None => 0,
    };
    let value = base.wrapping_add_signed(entry.r_addend(LE));
    let start = usize::try_from(offset).map_err(|_| bad("outside"))?;
    let field = start
        .checked_add(width)
        .and_then(|end| bytes.get_mut(start..end))
        .ok_or_else(|| bad("outside of its section"))?;
    let value = value.to_le_bytes();
    if width == 4 && value[4..] != [0; 4] {
        return Err(bad("the offset does not fit"));
    }
    field.copy_from_slice(&value[..width]);
    Ok(())
}
