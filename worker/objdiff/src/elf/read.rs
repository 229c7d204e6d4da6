//! Reading and validating, on top of the `object` crate's raw ELF views.

use object::elf::{FileHeader64, SectionHeader64};
use object::read::elf::{FileHeader, Rela, SectionHeader, SectionTable, Sym, SymbolTable};
use object::{LittleEndian, SectionIndex};

use super::{
    Binding, Definition, ElfError, Object, Reloc, RelocKind, Section, SectionId, SectionKind,
    Symbol, SymbolId, SymbolKind,
};

type Header = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// What an object may hold at most; checked before memory is taken.
pub const LIMITS: Limits = Limits {
    object_bytes: 256 << 20,
    sections: 1 << 17,
    symbols: 1 << 20,
    relocs: 1 << 22,
    name_bytes: 511,
    section_bytes: 1 << 30,
    align: 1 << 21,
};

/// See [`LIMITS`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the file.
    pub object_bytes: u64,
    /// Sections.
    pub sections: u64,
    /// Symbols.
    pub symbols: u64,
    /// Relocations, over all sections that are read.
    pub relocs: u64,
    /// Bytes of a name, without its NUL.
    pub name_bytes: u64,
    /// Bytes of a section, also of one without contents.
    pub section_bytes: u64,
    /// Alignment of a section in bytes.
    pub align: u64,
}

const ET_REL: u16 = 1;
const EM_X86_64: u16 = 62;
const SHT_SYMTAB: u32 = 2;
const SHT_RELA: u32 = 4;
const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;

fn malformed(error: object::read::Error) -> ElfError {
    ElfError::Malformed(error.to_string())
}

fn limit(what: &'static str, count: u64, limit: u64) -> Result<(), ElfError> {
    if count > limit {
        return Err(ElfError::Limit { what, count, limit });
    }
    Ok(())
}

pub(super) fn parse(data: &[u8]) -> Result<Object, ElfError> {
    limit("bytes", data.len() as u64, LIMITS.object_bytes)?;
    let header = Header::parse(data).map_err(malformed)?;
    if !header.is_little_endian() {
        return Err(ElfError::NotRelocatable("big endian"));
    }
    if header.e_type(LE).0 != ET_REL {
        return Err(ElfError::NotRelocatable("not ET_REL"));
    }
    if header.e_machine(LE).0 != EM_X86_64 {
        return Err(ElfError::NotRelocatable("another machine"));
    }
    let table = header.sections(LE, data).map_err(malformed)?;
    limit("sections", table.len() as u64, LIMITS.sections)?;
    let mut object = Object::default();
    let mut kept = 0_u64;
    for (index, raw) in table.iter().enumerate() {
        let section = section(data, &table, index, raw, data.len() as u64 - kept)?;
        kept += section.bytes.len() as u64;
        object.sections.push(section);
    }
    let symbols = table
        .symbols(LE, data, object::elf::SHT_SYMTAB)
        .map_err(malformed)?;
    limit("symbols", symbols.len() as u64, LIMITS.symbols)?;
    read_symbols(&mut object, &symbols)?;
    read_relocs(&mut object, data, &table)?;
    index_symbols(&mut object);
    Ok(object)
}

fn name_of(bytes: &[u8]) -> Result<String, ElfError> {
    limit("bytes in one name", bytes.len() as u64, LIMITS.name_bytes)?;
    String::from_utf8(bytes.to_vec())
        .map_err(|e| ElfError::Malformed(format!("a name is not UTF-8: {e}")))
}

fn section(
    data: &[u8],
    table: &SectionTable<'_, Header>,
    index: usize,
    raw: &SectionHeader64<LittleEndian>,
    room: u64,
) -> Result<Section, ElfError> {
    let name = name_of(table.section_name(LE, raw).map_err(malformed)?)?;
    let flags = raw.sh_flags(LE).0;
    let sh_type = raw.sh_type(LE).0;
    let kind = SectionKind::classify(&name, flags)
        .ok_or_else(|| ElfError::UnknownSection { name: name.clone() })?;
    let bad = |problem: String| ElfError::BadSection {
        section: name.clone(),
        problem,
    };
    let align = raw.sh_addralign(LE).max(1);
    if !align.is_power_of_two() || align > LIMITS.align {
        return Err(bad(format!("alignment {align}")));
    }
    let size = raw.sh_size(LE);
    limit("bytes in one section", size, LIMITS.section_bytes)?;
    if sh_type == SHT_REL && raw.sh_info(LE) != 0 {
        return Err(bad("relocations without addends (SHT_REL)".into()));
    }
    let bytes = if kind.has_contents() && sh_type != SHT_NOBITS {
        // Sections don't share bytes of the file, so a few can't be made to look like many.
        limit("bytes in sections", size, room)?;
        raw.data(LE, data).map_err(malformed)?.to_vec()
    } else {
        Vec::new()
    };
    let id = SectionId(u32::try_from(index).map_err(|_| bad("index".into()))?);
    Ok(Section {
        id,
        kind,
        sh_type,
        flags,
        align,
        entsize: raw.sh_entsize(LE),
        size,
        bytes,
        relocs: Vec::new(),
        name,
    })
}

fn read_symbols(object: &mut Object, table: &SymbolTable<'_, Header>) -> Result<(), ElfError> {
    const SHN_UNDEF: u16 = 0;
    const SHN_ABS: u16 = 0xfff1;
    for (index, raw) in table.enumerate() {
        let mut name = name_of(raw.name(LE, table.strings()).map_err(malformed)?)?;
        let fail = |symbol: &str, problem| ElfError::BadSymbol {
            symbol: symbol.to_owned(),
            problem,
        };
        let binding = match raw.st_bind().0 {
            0 => Binding::Local,
            1 => Binding::Global,
            2 => Binding::Weak,
            _ => return Err(fail(&name, "unknown binding")),
        };
        let kind = match raw.st_type().0 {
            0 => SymbolKind::Untyped,
            1 => SymbolKind::Data,
            2 => SymbolKind::Function,
            3 => SymbolKind::Section,
            4 => SymbolKind::File,
            _ => {
                return Err(fail(
                    &name,
                    "unknown type (thread-local, common or indirect?)",
                ));
            }
        };
        let defined = table.symbol_section(LE, raw, index).map_err(malformed)?;
        let definition = match (defined, raw.st_shndx(LE).0) {
            (Some(SectionIndex(0)), _) | (None, SHN_UNDEF) => Definition::Undefined,
            (Some(SectionIndex(at)), _) => match object.sections.get(at) {
                Some(section) => Definition::Section(section.id),
                None => return Err(fail(&name, "defined in a section that does not exist")),
            },
            (None, SHN_ABS) => Definition::Absolute,
            _ => return Err(fail(&name, "in a special section (common?)")),
        };
        let (value, size) = (raw.st_value(LE), raw.st_size(LE));
        if let Definition::Section(id) = definition {
            let section = object.section(id);
            if value.checked_add(size).is_none_or(|end| end > section.size)
                && section.kind.has_contents()
            {
                return Err(fail(&name, "reaches beyond its section"));
            }
            if kind == SymbolKind::Section {
                name.clone_from(&section.name);
            }
        }
        let id = SymbolId(u32::try_from(index.0).map_err(|_| fail(&name, "index"))?);
        object.symbols.push(Symbol {
            id,
            name,
            binding,
            kind,
            definition,
            value,
            size,
        });
    }
    // ELF's null symbol, which the iterator may or may not yield.
    if object.symbols.first().is_some_and(|s| s.id != SymbolId(0)) {
        object.symbols.insert(
            0,
            Symbol {
                id: SymbolId(0),
                name: String::new(),
                binding: Binding::Local,
                kind: SymbolKind::Untyped,
                definition: Definition::Undefined,
                value: 0,
                size: 0,
            },
        );
    }
    Ok(())
}

fn read_relocs(
    object: &mut Object,
    data: &[u8],
    table: &SectionTable<'_, Header>,
) -> Result<(), ElfError> {
    let mut total = 0_u64;
    for raw in table.iter() {
        if raw.sh_type(LE).0 != SHT_RELA {
            continue;
        }
        let target = raw.sh_info(LE) as usize;
        let Some(section) = object.sections.get(target) else {
            return Err(ElfError::Malformed(format!(
                "relocations for section {target}, which does not exist"
            )));
        };
        if !section.kind.has_contents() {
            continue;
        }
        let symtab = table
            .section(SectionIndex(raw.sh_link(LE) as usize))
            .map_err(malformed)?;
        let Some((entries, _)) = raw.rela(LE, data).map_err(malformed)? else {
            continue;
        };
        total = total.saturating_add(entries.len() as u64);
        limit("relocations", total, LIMITS.relocs)?;
        if symtab.sh_type(LE).0 != SHT_SYMTAB || !section.relocs.is_empty() {
            return Err(ElfError::BadSection {
                section: section.name.clone(),
                problem: "relocations that are not against the one symbol table".into(),
            });
        }
        let relocs = relocs_of(section, entries, object.symbols.len())?;
        object.sections[target].relocs = relocs;
    }
    Ok(())
}

fn relocs_of(
    section: &Section,
    entries: &[object::elf::Rela64<LittleEndian>],
    nr_symbols: usize,
) -> Result<Vec<Reloc>, ElfError> {
    let bad = |problem: String| ElfError::BadSection {
        section: section.name.clone(),
        problem,
    };
    let mut relocs = Vec::with_capacity(entries.len());
    for entry in entries {
        let (offset, value, symbol) = (
            entry.r_offset(LE),
            entry.r_type(LE, false).0,
            entry.r_sym(LE, false),
        );
        if value == 0 {
            continue; // objtool turns relocations of jump labels it made NOPs to NONE
        }
        let kind = RelocKind::from_elf(value).ok_or_else(|| ElfError::UnknownRelocation {
            section: section.name.clone(),
            offset,
            value,
        })?;
        let end = offset.checked_add(kind.width());
        if end.is_none_or(|end| end > section.bytes.len() as u64) {
            return Err(bad(format!("relocation at {offset:#x} lies outside")));
        }
        if symbol as usize >= nr_symbols {
            return Err(bad(format!(
                "relocation at {offset:#x} names symbol {symbol}, which does not exist"
            )));
        }
        relocs.push(Reloc {
            offset,
            kind,
            symbol: SymbolId(symbol),
            addend: entry.r_addend(LE),
        });
    }
    relocs.sort_by_key(|r| r.offset);
    if let Some(pair) = relocs
        .windows(2)
        .find(|pair| pair[0].offset + pair[0].kind.width() > pair[1].offset)
    {
        return Err(bad(format!("relocations overlap at {:#x}", pair[1].offset)));
    }
    Ok(relocs)
}

fn index_symbols(object: &mut Object) {
    let mut by_section = vec![Vec::new(); object.sections.len()];
    for symbol in &object.symbols {
        if let Definition::Section(id) = symbol.definition
            && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::File)
        {
            by_section[id.0 as usize].push(symbol.id);
        }
    }
    for list in &mut by_section {
        list.sort_by_key(|id| object.symbol(*id).value);
    }
    object.by_section = by_section;
}
