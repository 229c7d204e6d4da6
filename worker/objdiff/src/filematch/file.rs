//! What is matched against: bytes at addresses, and what relocated fields hold.

use std::collections::HashMap;

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};

use crate::elf::{Binding, Definition, ElfError, Object, RelocKind, SectionId, Symbol};

const LE: LittleEndian = LittleEndian;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const SHT_NOBITS: u32 = 8;
const MAX_FILE: usize = 1 << 30;
const MAX_SECTIONS: usize = 1 << 17;

/// A file that can't be matched against.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Not an x86-64 ELF executable with section headers.
    #[error("vmlinux is not usable: {0}; extract it from the bzImage again")]
    Kernel(String),
    /// Not a relocatable object.
    #[error("module is not usable: {0}")]
    Module(ElfError),
}

/// A run of bytes at an address.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// Name of the section.
    pub name: &'a str,
    /// Address of the first byte.
    pub address: u64,
    /// Contents.
    pub bytes: &'a [u8],
}

/// Something that an image is matched against.
pub trait Target {
    /// Executable regions in which a text section of this name may lie.
    fn code(&self, section: &str) -> Vec<Region<'_>>;

    /// `len` bytes at an address.
    fn read(&self, address: u64, len: u64) -> Option<&[u8]>;

    /// `symbol + addend` as the field at an address holds it, the field's own
    /// address added back for relative types.
    fn field(&self, address: u64, kind: RelocKind) -> Option<u64>;

    /// How many relocations the target itself still has in a range of code;
    /// `None` if it is linked.
    fn relocs_in(&self, address: u64, len: u64) -> Option<usize>;

    /// The value of a global symbol, where the target names it.
    fn named(&self, name: &str) -> Option<u64>;
}

/// A linked vmlinux; symbols are not needed.
#[derive(Debug)]
pub struct KernelFile {
    sections: Vec<(String, u64, bool, Vec<u8>)>,
    /// Exported symbols, from `__ksymtab` and `__ksymtab_gpl`.
    exports: HashMap<String, u64>,
}

impl KernelFile {
    /// Reads the ELF vmlinux that a bzImage contains.
    pub fn parse(data: &[u8]) -> Result<Self, FileError> {
        let fail = |e: object::read::Error| FileError::Kernel(e.to_string());
        if data.len() > MAX_FILE {
            return Err(FileError::Kernel("larger than 1 GiB".into()));
        }
        let header = FileHeader64::<LittleEndian>::parse(data).map_err(fail)?;
        if !header.is_little_endian() || header.e_machine(LE).0 != 62 || header.e_type(LE).0 != 2 {
            return Err(FileError::Kernel("not an x86-64 ELF executable".into()));
        }
        let table = header.sections(LE, data).map_err(fail)?;
        if table.len() > MAX_SECTIONS {
            return Err(FileError::Kernel(format!("{} sections", table.len())));
        }
        let mut sections = Vec::new();
        let mut kept = 0;
        for raw in table.iter() {
            let (flags, address) = (raw.sh_flags(LE).0, raw.sh_addr(LE));
            // Per-CPU data is linked at 0: its contents are not at those addresses.
            if flags & SHF_ALLOC == 0 || raw.sh_type(LE).0 == SHT_NOBITS || address == 0 {
                continue;
            }
            let name = String::from_utf8_lossy(table.section_name(LE, raw).map_err(fail)?);
            let bytes = raw.data(LE, data).map_err(fail)?;
            kept += bytes.len();
            if kept > data.len() {
                return Err(FileError::Kernel("sections overlap".into()));
            }
            sections.push((
                name.into_owned(),
                address,
                flags & SHF_EXECINSTR != 0,
                bytes.to_vec(),
            ));
        }
        if !sections.iter().any(|s| s.2) {
            return Err(FileError::Kernel("no executable section".into()));
        }
        let mut file = Self {
            sections,
            exports: HashMap::new(),
        };
        file.read_exports();
        Ok(file)
    }

    /// struct kernel_symbol of 6.1: three offsets from their own address, to
    /// the symbol, its name and its namespace. What is broken is left out.
    fn read_exports(&mut self) {
        const ENTRY: usize = 12;
        let mut exports = HashMap::new();
        for (name, address, _, bytes) in &self.sections {
            if name != "__ksymtab" && name != "__ksymtab_gpl" {
                continue;
            }
            for (index, entry) in bytes.chunks_exact(ENTRY).enumerate() {
                let at = address.wrapping_add((index * ENTRY) as u64);
                let follow = |field: usize| {
                    let word: [u8; 4] = entry.get(field..field + 4)?.try_into().ok()?;
                    let distance = i64::from(i32::from_le_bytes(word));
                    Some(at.wrapping_add(field as u64).wrapping_add_signed(distance))
                };
                let (Some(value), Some(name)) = (follow(0), follow(4)) else {
                    continue;
                };
                if let Some(name) = self.string(name) {
                    exports.insert(name, value);
                }
            }
        }
        self.exports = exports;
    }

    fn string(&self, address: u64) -> Option<String> {
        const LONGEST: usize = 512;
        let rest = self.sections.iter().find_map(|(_, start, _, bytes)| {
            bytes.get(usize::try_from(address.checked_sub(*start)?).ok()?..)
        })?;
        let len = rest.iter().take(LONGEST).position(|b| *b == 0)?;
        String::from_utf8(rest.get(..len)?.to_vec()).ok()
    }
}

fn slice(bytes: &[u8], start: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
}

impl Target for KernelFile {
    fn code(&self, _section: &str) -> Vec<Region<'_>> {
        self.sections
            .iter()
            .filter(|s| s.2)
            .map(|(name, address, _, bytes)| Region {
                name,
                address: *address,
                bytes,
            })
            .collect()
    }

    fn read(&self, address: u64, len: u64) -> Option<&[u8]> {
        self.sections
            .iter()
            .find_map(|(_, start, _, bytes)| slice(bytes, address.checked_sub(*start)?, len))
    }

    fn field(&self, address: u64, kind: RelocKind) -> Option<u64> {
        let bytes = self.read(address, kind.width())?;
        let word = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
        let value = match kind {
            RelocKind::Abs64 | RelocKind::Pc64 => u64::from_le_bytes(bytes.try_into().ok()?),
            RelocKind::Abs32 => u64::from(word(bytes)?),
            RelocKind::Abs32S | RelocKind::Pc32 | RelocKind::Plt32 => {
                i64::from(word(bytes)? as i32) as u64
            }
        };
        Some(if kind.is_relative() {
            value.wrapping_add(address)
        } else {
            value
        })
    }

    fn relocs_in(&self, _address: u64, _len: u64) -> Option<usize> {
        None
    }

    fn named(&self, name: &str) -> Option<u64> {
        self.exports.get(name).copied()
    }
}

/// A module's .ko: still relocatable, so that its sections get made-up
/// addresses and its relocations say what their fields will hold.
#[derive(Debug)]
pub struct ModuleFile {
    object: Object,
    /// Global symbols, defined or not.
    names: HashMap<String, u64>,
}

/// Distance between the made-up addresses of sections and symbols.
const STRIDE: u64 = 1 << 32;
/// Where the made-up addresses of undefined symbols begin.
const UNDEFINED: u64 = 1 << 56;

fn made_up(section: SectionId) -> u64 {
    (u64::from(section.0) + 1) * STRIDE
}

fn value_of(symbol: &Symbol) -> Option<u64> {
    match symbol.definition {
        Definition::Section(id) => Some(made_up(id).wrapping_add(symbol.value)),
        Definition::Undefined => Some(UNDEFINED + u64::from(symbol.id.0) * STRIDE),
        Definition::Absolute => None,
    }
}

impl ModuleFile {
    /// Reads a .ko (without compression).
    pub fn parse(data: &[u8]) -> Result<Self, FileError> {
        let object = Object::parse(data).map_err(FileError::Module)?;
        let names = object
            .symbols
            .iter()
            .filter(|s| s.binding != Binding::Local && !s.name.is_empty())
            .filter_map(|s| Some((s.name.clone(), value_of(s)?)))
            .collect();
        Ok(Self { object, names })
    }

    fn locate(&self, address: u64) -> Option<(SectionId, u64)> {
        let index = (address / STRIDE).checked_sub(1)?;
        let section = self.object.sections.get(usize::try_from(index).ok()?)?;
        Some((section.id, address % STRIDE))
    }
}

impl Target for ModuleFile {
    fn code(&self, section: &str) -> Vec<Region<'_>> {
        self.object
            .sections
            .iter()
            .filter(|s| s.name == section)
            .map(|s| Region {
                name: &s.name,
                address: made_up(s.id),
                bytes: &s.bytes,
            })
            .collect()
    }

    fn read(&self, address: u64, len: u64) -> Option<&[u8]> {
        let (section, offset) = self.locate(address)?;
        slice(&self.object.section(section).bytes, offset, len)
    }

    fn field(&self, address: u64, kind: RelocKind) -> Option<u64> {
        let (section, offset) = self.locate(address)?;
        let reloc = self.object.section(section).reloc_at(offset)?;
        if reloc.kind != kind {
            return None;
        }
        let symbol = self.object.symbol(reloc.symbol);
        let value = value_of(symbol)?;
        Some(value.wrapping_add_signed(reloc.addend))
    }

    fn relocs_in(&self, address: u64, len: u64) -> Option<usize> {
        let (section, offset) = self.locate(address)?;
        Some(
            self.object
                .section(section)
                .reloc_range(offset, offset.saturating_add(len))
                .len(),
        )
    }

    fn named(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }
}
