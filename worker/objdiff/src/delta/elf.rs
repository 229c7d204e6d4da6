//! A relocatable ELF file, written section by section.

use crate::error::DiffError;

/// More would need ELF's extended section numbering.
const MAX_SECTIONS: u64 = 0xff00 / 2;

pub(super) const SHF_WRITE: u64 = 1;
pub(super) const SHF_ALLOC: u64 = 2;
pub(super) const SHF_EXECINSTR: u64 = 4;
pub(super) const SHT_PROGBITS: u32 = 1;
pub(super) const SHT_NOBITS: u32 = 8;

/// A section to write.
#[derive(Clone, Debug)]
pub(super) struct OutSection {
    pub name: String,
    pub sh_type: u32,
    pub flags: u64,
    pub align: u64,
    pub entsize: u64,
    /// In bytes; equals `bytes.len()` unless `SHT_NOBITS`.
    pub size: u64,
    pub bytes: Vec<u8>,
    pub relocs: Vec<OutReloc>,
}

impl OutSection {
    pub fn new(name: &str, flags: u64, align: u64, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            sh_type: SHT_PROGBITS,
            flags,
            align,
            entsize: 0,
            size: bytes.len() as u64,
            bytes,
            relocs: Vec::new(),
        }
    }
}

/// A relocation to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutReloc {
    pub offset: u64,
    pub kind: u32,
    pub to: OutTarget,
    pub addend: i64,
}

/// What a relocation is against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OutTarget {
    /// A section of this file, by index into the list given.
    Section(usize),
    /// A symbol by its name: a global one of this file, or else an undefined one.
    Import(String),
}

/// A symbol to write.
#[derive(Clone, Debug)]
pub(super) struct OutSymbol {
    pub name: String,
    pub is_function: bool,
    pub is_global: bool,
    pub section: usize,
    pub size: u64,
}

#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
}

impl Strings {
    fn add(&mut self, name: &str) -> u32 {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        if name.is_empty() {
            return 0;
        }
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        at
    }
}

/// Writes the file: sections in the order given, then relocations, symbols
/// and names.
pub(super) fn write(sections: &[OutSection], symbols: &[OutSymbol]) -> Result<Vec<u8>, DiffError> {
    let count = sections.len() as u64;
    if count > MAX_SECTIONS {
        return Err(DiffError::Limit {
            what: "sections",
            count,
            limit: MAX_SECTIONS,
        });
    }
    let mut writer = Writer::default();
    writer.file.resize(64, 0);
    writer.header(0, 0, 0, 0, 0, [0; 2], 0, 0);
    for section in sections {
        let offset = writer.pad(section.align);
        writer.file.extend_from_slice(&section.bytes);
        let name = writer.names.add(&section.name);
        writer.header(
            name,
            section.sh_type,
            section.flags,
            offset,
            section.size,
            [0; 2],
            section.align,
            section.entsize,
        );
    }
    let globals = writer.symbols(sections, symbols);
    writer.relocations(sections, &globals)?;
    Ok(writer.finish())
}

#[derive(Default)]
struct Writer {
    file: Vec<u8>,
    headers: Vec<u8>,
    names: Strings,
    strings: Strings,
    symtab: Vec<u8>,
    first_global: u32,
}

impl Writer {
    fn pad(&mut self, align: u64) -> u64 {
        let align = usize::try_from(align.max(1)).unwrap_or(1);
        let len = self.file.len().next_multiple_of(align);
        self.file.resize(len, 0);
        len as u64
    }

    #[allow(clippy::too_many_arguments)] // one per field of Elf64_Shdr
    fn header(
        &mut self,
        name: u32,
        sh_type: u32,
        flags: u64,
        offset: u64,
        size: u64,
        link_info: [u32; 2],
        align: u64,
        entsize: u64,
    ) {
        let out = &mut self.headers;
        out.extend_from_slice(&name.to_le_bytes());
        out.extend_from_slice(&sh_type.to_le_bytes());
        for value in [flags, 0, offset, size] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        for value in link_info {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&align.to_le_bytes());
        out.extend_from_slice(&entsize.to_le_bytes());
    }

    fn symbol(&mut self, name: &str, info: u8, section: u16, size: u64) -> u32 {
        let index = (self.symtab.len() / 24) as u32;
        let name = self.strings.add(name);
        self.symtab.extend_from_slice(&name.to_le_bytes());
        self.symtab.extend_from_slice(&[info, 0]);
        self.symtab.extend_from_slice(&section.to_le_bytes());
        self.symtab.extend_from_slice(&0_u64.to_le_bytes());
        self.symtab.extend_from_slice(&size.to_le_bytes());
        index
    }

    /// Writes the symbol table; says which symbol each global name became. The
    /// symbol of section N of the list is N + 1.
    fn symbols(
        &mut self,
        sections: &[OutSection],
        symbols: &[OutSymbol],
    ) -> std::collections::BTreeMap<String, u32> {
        self.symbol("", 0, 0, 0);
        for index in 0..sections.len() {
            self.symbol("", 3, index as u16 + 1, 0);
        }
        let info = |s: &OutSymbol| if s.is_function { 2 } else { 1 };
        for symbol in symbols.iter().filter(|s| !s.is_global) {
            self.symbol(
                &symbol.name,
                info(symbol),
                symbol.section as u16 + 1,
                symbol.size,
            );
        }
        self.first_global = (self.symtab.len() / 24) as u32;
        let mut globals = std::collections::BTreeMap::new();
        for symbol in symbols.iter().filter(|s| s.is_global) {
            let info = info(symbol) | 0x10;
            let index = self.symbol(&symbol.name, info, symbol.section as u16 + 1, symbol.size);
            globals.insert(symbol.name.clone(), index);
        }
        let relocs = sections.iter().flat_map(|s| &s.relocs);
        let imports: std::collections::BTreeSet<&String> = relocs
            .filter_map(|reloc| match &reloc.to {
                OutTarget::Import(name) if !globals.contains_key(name) => Some(name),
                _ => None,
            })
            .collect();
        for name in imports {
            let index = self.symbol(name, 0x10, 0, 0);
            globals.insert(name.clone(), index);
        }
        globals
    }

    fn relocations(
        &mut self,
        sections: &[OutSection],
        globals: &std::collections::BTreeMap<String, u32>,
    ) -> Result<(), DiffError> {
        let with = sections.iter().filter(|s| !s.relocs.is_empty()).count();
        let symtab = (1 + sections.len() + with) as u32;
        for (index, section) in sections.iter().enumerate() {
            if section.relocs.is_empty() {
                continue;
            }
            let offset = self.pad(8);
            for reloc in &section.relocs {
                let symbol = match &reloc.to {
                    OutTarget::Section(to) => *to as u32 + 1,
                    OutTarget::Import(name) => *globals
                        .get(name)
                        .ok_or_else(|| DiffError::SelfCheck(format!("{name} was not imported")))?,
                };
                let info = (u64::from(symbol) << 32) | u64::from(reloc.kind);
                self.file.extend_from_slice(&reloc.offset.to_le_bytes());
                self.file.extend_from_slice(&info.to_le_bytes());
                self.file.extend_from_slice(&reloc.addend.to_le_bytes());
            }
            let name = self.names.add(&format!(".rela{}", section.name));
            let size = 24 * section.relocs.len() as u64;
            let link_info = [symtab, index as u32 + 1];
            self.header(name, 4, 0x40, offset, size, link_info, 8, 24);
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        let symtab = std::mem::take(&mut self.symtab);
        let index = (self.headers.len() / 64) as u32;
        let offset = self.pad(8);
        self.file.extend_from_slice(&symtab);
        let name = self.names.add(".symtab");
        let link_info = [index + 1, self.first_global];
        self.header(name, 2, 0, offset, symtab.len() as u64, link_info, 8, 24);

        let strings = std::mem::take(&mut self.strings.bytes);
        let offset = self.file.len() as u64;
        self.file.extend_from_slice(&strings);
        let name = self.names.add(".strtab");
        self.header(name, 3, 0, offset, strings.len() as u64, [0; 2], 1, 0);

        let name = self.names.add(".shstrtab");
        let names = std::mem::take(&mut self.names.bytes);
        let offset = self.file.len() as u64;
        self.file.extend_from_slice(&names);
        self.header(name, 3, 0, offset, names.len() as u64, [0; 2], 1, 0);

        let headers_at = self.pad(8);
        let headers = std::mem::take(&mut self.headers);
        self.file.extend_from_slice(&headers);
        let count = (headers.len() / 64) as u16;
        let head = file_header(headers_at, count);
        self.file[..64].copy_from_slice(&head);
        self.file
    }
}

/// Elf64_Ehdr of a little-endian x86-64 relocatable file.
fn file_header(headers_at: u64, count: u16) -> [u8; 64] {
    let mut head = [0; 64];
    head[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    head[16..18].copy_from_slice(&1_u16.to_le_bytes());
    head[18..20].copy_from_slice(&62_u16.to_le_bytes());
    head[20..24].copy_from_slice(&1_u32.to_le_bytes());
    head[40..48].copy_from_slice(&headers_at.to_le_bytes());
    head[52..54].copy_from_slice(&64_u16.to_le_bytes());
    head[58..60].copy_from_slice(&64_u16.to_le_bytes());
    head[60..62].copy_from_slice(&count.to_le_bytes());
    head[62..64].copy_from_slice(&(count - 1).to_le_bytes());
    head
}
