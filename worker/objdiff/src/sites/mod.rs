//! The tables that a kernel object keeps about its own code.
//!
//! Each table is cut into entries; an entry knows its raw bytes and
//! relocations, so that a table can be filtered entry by entry, and the place
//! of the code it describes. Layouts are those of Linux 6.1 on x86-64; a
//! table that does not fit its layout exactly is an error.

mod constants;
mod decode;

pub use constants::{RuntimeConstant, runtime_constants, runtime_variable, without};

use std::ops::Range;

use crate::elf::{Object, Place, Reloc, Section, SectionId, SectionKind, SymbolId};

pub use decode::{
    ENDBR, Register, begins_with_endbr, jump_label_len, retpoline_len, thunk_register,
};

/// One entry of a table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The table's section.
    pub table: SectionId,
    /// The table's kind.
    pub kind: SectionKind,
    /// The entry's bytes in the table.
    pub range: Range<u64>,
    /// Indices into the table section's relocations.
    pub relocs: Range<usize>,
    /// The code it describes.
    pub code: Place,
    /// What it says.
    pub detail: Detail,
}

/// What a table entry says about its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// `__mcount_loc`: a call to `__fentry__`.
    Fentry,
    /// `.return_sites`: a jump to the return thunk.
    Return,
    /// `.retpoline_sites`: a call or jump to an indirect thunk.
    Retpoline,
    /// `.call_sites`: a call.
    Call,
    /// `.ibt_endbr_seal`: an endbr that boot may remove.
    EndbrSeal,
    /// `.altinstructions`.
    Alternative {
        /// The replacement's bytes in `.altinstr_replacement`; `None` when empty.
        replacement: Option<Place>,
        /// What it is for, as in the entry: the `cpuid` word with ALTINSTR_FLAG_INV, or
        /// `ft_flags` of longer entries.
        feature: u32,
        /// Bytes of the original, padding included.
        original_len: u8,
        /// Bytes of the replacement.
        replacement_len: u8,
    },
    /// `.parainstructions`.
    Paravirt {
        /// Index of the operation in `pv_ops`.
        operation: u8,
        /// Bytes of the site.
        len: u8,
    },
    /// `.smp_locks`: a lock prefix.
    SmpLock,
    /// `runtime_ptr_VARIABLE`, `runtime_shift_VARIABLE`: a constant of the instruction,
    /// which boot replaces by the variable's value. From Linux 6.11 on.
    RuntimeConst {
        /// The variable's name.
        variable: String,
        /// Bytes of the constant: 8, or 1 for a shift.
        len: u8,
    },
    /// `__jump_table`.
    JumpLabel {
        /// Where the branch goes when taken.
        target: Place,
        /// The static key's symbol.
        key: SymbolId,
        /// Addend against it, low bits included (1 branch, 2 init).
        key_addend: i64,
    },
    /// `.static_call_sites`.
    StaticCall {
        /// The key's symbol, `__SCK__*`.
        key: SymbolId,
        /// Low bits of the addend: 1 tail call, 2 init.
        flags: u8,
    },
    /// `__bug_table`: a ud2.
    Bug,
    /// `__ex_table`.
    Exception {
        /// Where to go on after a fault.
        fixup: Place,
    },
    /// `.orc_unwind_ip`, with its 6 bytes in `.orc_unwind`.
    Orc {
        /// The entry's bytes in `.orc_unwind`.
        data: Range<u64>,
    },
}

/// Why a table can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The size is no multiple of the entry's size.
    #[error("table {table}: {size} bytes are not a whole number of {entry}-byte entries")]
    Size {
        /// Section name.
        table: String,
        /// Its bytes.
        size: u64,
        /// Bytes of an entry.
        entry: u64,
    },
    /// An entry's field has no relocation, or one of the wrong kind.
    #[error("table {table}+{offset:#x}: {problem}")]
    Entry {
        /// Section name.
        table: String,
        /// Offset of the entry or field.
        offset: u64,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Bytes of a table's entries; `None` if the section is not a table of code places.
pub fn entry_size(section: &Section) -> Option<u64> {
    let third = section.relocs.get(2).map(|reloc| reloc.offset);
    entry_bytes(section.kind, third.unwrap_or(section.size))
}

/// The same, of a table by its kind and by where its third relocation is, or its end.
///
/// Each entry of `.altinstructions` begins with two relocated fields: the third
/// relocation is where the second entry begins.
pub fn entry_bytes(kind: SectionKind, third: u64) -> Option<u64> {
    use SectionKind::*;
    Some(match kind {
        Altinstructions if third == LONG_ALTERNATIVE => LONG_ALTERNATIVE,
        Altinstructions => SHORT_ALTERNATIVE,
        McountLoc => 8,
        ReturnSites | RetpolineSites | CallSites | IbtEndbrSeal | SmpLocks | OrcUnwindIp
        | RuntimeConst => 4,
        BugTable | ExTable => 12,
        Parainstructions | JumpTable => 16,
        StaticCallSites => 8,
        _ => return None,
    })
}

/// Bytes of struct alt_instr before Linux 6.3: with a word of 16 bits for the feature.
const SHORT_ALTERNATIVE: u64 = 12;
/// And since: with flags beside it.
const LONG_ALTERNATIVE: u64 = 14;

/// What an entry of `.altinstructions` is for, and the bytes of the original and of the
/// replacement.
pub fn alternative_fields(entry: &[u8]) -> Option<(u32, u8, u8)> {
    match entry.get(8..)? {
        [a, b, original, replacement] => {
            let feature = u16::from_le_bytes([*a, *b]);
            Some((u32::from(feature), *original, *replacement))
        }
        [a, b, c, d, original, replacement] => {
            let feature = u32::from_le_bytes([*a, *b, *c, *d]);
            Some((feature, *original, *replacement))
        }
        _ => None,
    }
}

/// All entries of all code tables, in the order of sections and offsets.
pub fn read_all(object: &Object) -> Result<Vec<Entry>, SiteError> {
    let mut entries = Vec::new();
    for section in &object.sections {
        if entry_size(section).is_some() {
            entries.append(&mut read(object, section)?);
        }
    }
    Ok(entries)
}

/// The entries of one table; none if its kind is not a table of code places.
pub fn read(object: &Object, section: &Section) -> Result<Vec<Entry>, SiteError> {
    let Some(size) = entry_size(section) else {
        return Ok(Vec::new());
    };
    let total = section.bytes.len() as u64;
    if !total.is_multiple_of(size) {
        return Err(SiteError::Size {
            table: section.name.clone(),
            size: total,
            entry: size,
        });
    }
    (0..total / size)
        .map(|index| {
            let table = Table {
                object,
                section,
                start: index * size,
                size,
            };
            table.entry()
        })
        .collect()
}

/// One entry while it is being read.
struct Table<'a> {
    object: &'a Object,
    section: &'a Section,
    start: u64,
    size: u64,
}

impl Table<'_> {
    fn error(&self, field: u64, problem: &'static str) -> SiteError {
        SiteError::Entry {
            table: self.section.name.clone(),
            offset: self.start + field,
            problem,
        }
    }

    fn reloc(&self, field: u64, width: u64, relative: bool) -> Result<&Reloc, SiteError> {
        let reloc = self
            .section
            .reloc_at(self.start + field)
            .ok_or_else(|| self.error(field, "no relocation where the entry needs one"))?;
        if reloc.kind.width() != width || reloc.kind.is_relative() != relative {
            return Err(self.error(field, "relocation of another type than the entry needs"));
        }
        Ok(reloc)
    }

    /// A place in this object, inside its section.
    fn place(&self, field: u64, width: u64, relative: bool) -> Result<Place, SiteError> {
        let reloc = self.reloc(field, width, relative)?;
        let place = self
            .object
            .reloc_place(reloc)
            .ok_or_else(|| self.error(field, "does not point into this object"))?;
        if place.offset > self.object.section(place.section).size {
            return Err(self.error(field, "points beyond its section"));
        }
        Ok(place)
    }

    fn code(&self, field: u64, width: u64, relative: bool) -> Result<Place, SiteError> {
        let place = self.place(field, width, relative)?;
        let section = self.object.section(place.section);
        if !section.kind.is_code() || place.offset >= section.size {
            return Err(self.error(field, "does not point at code"));
        }
        Ok(place)
    }

    fn byte(&self, field: u64) -> u8 {
        let at = usize::try_from(self.start + field).unwrap_or(usize::MAX);
        self.section.bytes.get(at).copied().unwrap_or(0)
    }

    fn entry(&self) -> Result<Entry, SiteError> {
        use SectionKind::*;
        let (code, detail) = match self.section.kind {
            McountLoc => (self.code(0, 8, false)?, Detail::Fentry),
            ReturnSites => (self.code(0, 4, true)?, Detail::Return),
            RetpolineSites => (self.code(0, 4, true)?, Detail::Retpoline),
            CallSites => (self.code(0, 4, true)?, Detail::Call),
            IbtEndbrSeal => (self.code(0, 4, true)?, Detail::EndbrSeal),
            SmpLocks => (self.code(0, 4, true)?, Detail::SmpLock),
            RuntimeConst => (self.code(0, 4, true)?, self.runtime_const()?),
            BugTable => (self.code(0, 4, true)?, Detail::Bug),
            Altinstructions => (self.code(0, 4, true)?, self.alternative()?),
            Parainstructions => {
                let detail = Detail::Paravirt {
                    operation: self.byte(8),
                    len: self.byte(9),
                };
                (self.code(0, 8, false)?, detail)
            }
            JumpTable => (self.code(0, 4, true)?, self.jump_label()?),
            StaticCallSites => (self.code(0, 4, true)?, self.static_call()?),
            ExTable => (
                self.code(0, 4, true)?,
                Detail::Exception {
                    fixup: self.code(4, 4, true)?,
                },
            ),
            OrcUnwindIp => {
                // The last entry of a function may lie at the section's end.
                let index = self.start / self.size;
                (
                    self.place(0, 4, true)?,
                    Detail::Orc {
                        data: index * 6..index * 6 + 6,
                    },
                )
            }
            _ => return Err(self.error(0, "not a table")),
        };
        let end = self.start + self.size;
        Ok(Entry {
            table: self.section.id,
            kind: self.section.kind,
            range: self.start..end,
            relocs: self.section.reloc_range(self.start, end),
            code,
            detail,
        })
    }

    fn alternative(&self) -> Result<Detail, SiteError> {
        let entry = self.section.bytes_in(self.start, self.start + self.size);
        let (feature, original_len, replacement_len) = entry
            .and_then(alternative_fields)
            .ok_or_else(|| self.error(0, "is no alternative"))?;
        let at = self.place(4, 4, true)?;
        let section = self.object.section(at.section);
        let end = at.offset.checked_add(u64::from(replacement_len));
        if end.is_none_or(|end| end > section.size) {
            return Err(self.error(4, "replacement reaches beyond its section"));
        }
        if replacement_len > 0 && section.kind != SectionKind::AltinstrReplacement {
            return Err(self.error(4, "replacement is not in .altinstr_replacement"));
        }
        if replacement_len > original_len {
            return Err(self.error(8, "replacement is longer than the original"));
        }
        Ok(Detail::Alternative {
            replacement: (replacement_len > 0).then_some(at),
            feature,
            original_len,
            replacement_len,
        })
    }

    fn runtime_const(&self) -> Result<Detail, SiteError> {
        let (variable, len) = runtime_variable(&self.section.name)
            .ok_or_else(|| self.error(0, "names no variable"))?;
        Ok(Detail::RuntimeConst {
            variable: variable.to_owned(),
            len,
        })
    }

    fn jump_label(&self) -> Result<Detail, SiteError> {
        let target = self.code(4, 4, true)?;
        let key = self.reloc(8, 8, true)?;
        Ok(Detail::JumpLabel {
            target,
            key: key.symbol,
            key_addend: key.addend,
        })
    }

    fn static_call(&self) -> Result<Detail, SiteError> {
        let key = self.reloc(4, 4, true)?;
        let flags = u8::try_from(key.addend)
            .ok()
            .filter(|flags| *flags < 4)
            .ok_or_else(|| self.error(4, "key with flags other than 0..3"))?;
        Ok(Detail::StaticCall {
            key: key.symbol,
            flags,
        })
    }
}

#[cfg(test)]
mod tests;
