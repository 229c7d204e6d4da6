//! The records of a match image, field for field as in
//! `kmod/include/resplice/format.h`.

/// RESPLICE_FORMAT.
pub const FORMAT: u32 = 3;
/// RESPLICE_MATCH_MAGIC.
pub const MAGIC: u32 = 0x484d_5352;
/// RESPLICE_NONE.
pub const NONE: u32 = 0xffff_ffff;
/// RESPLICE_SYMBOL_EXTERNAL, in [`Symbol::section`].
pub const EXTERNAL: u32 = 0xffff_ffff;
/// RESPLICE_SYMBOL_MERGED, in [`Symbol::section`].
pub const MERGED: u32 = 0xffff_fffe;

/// RESPLICE_SYMBOL_FUNC.
pub const SYMBOL_FUNC: u32 = 1;
/// RESPLICE_SYMBOL_GLOBAL.
pub const SYMBOL_GLOBAL: u32 = 2;
/// RESPLICE_SYMBOL_WEAK.
pub const SYMBOL_WEAK: u32 = 4;
/// RESPLICE_FUNCTION_FENTRY.
pub const FUNCTION_FENTRY: u32 = 1;
/// RESPLICE_FUNCTION_ENDBR.
pub const FUNCTION_ENDBR: u32 = 2;

/// Limits of format.h, which the core enforces too.
pub mod limits {
    /// Bytes of an image.
    pub const IMAGE: usize = 64 << 20;
    /// Units.
    pub const UNITS: usize = 4096;
    /// Sections.
    pub const SECTIONS: usize = 65536;
    /// Symbols.
    pub const SYMBOLS: usize = 1_048_576;
    /// Relocations.
    pub const RELOCS: usize = 4_194_304;
    /// Bytes of a name, with its NUL.
    pub const NAME: usize = 512;
}

/// RESPLICE_SECTION_*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Role {
    /// Matched byte by byte.
    Text = 0,
    /// Only its base is inferred.
    Data = 1,
    /// Freed after boot: neither matched nor usable.
    Init = 2,
}

/// RESPLICE_SITE_*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum SiteKind {
    /// Call to `__fentry__`, a NOP or a call to a tracer.
    Fentry = 1,
    /// Jump to the return thunk, or a return.
    Return = 2,
    /// Call or jump through a thunk; `a`: register.
    Retpoline = 3,
    /// `a`: first variant, `b`: number of variants.
    Alternative = 4,
    /// `a`: index of the operation in `pv_ops`.
    Paravirt = 5,
    /// Lock prefix.
    SmpLock = 6,
    /// `a`: section, `b`: offset of the target.
    JumpLabel = 7,
    /// `a`: the key's symbol, `b`: 1 if a tail call.
    StaticCall = 8,
    /// `__SCT__` trampoline; `a`: the key's symbol.
    Trampoline = 9,
    /// An endbr64, or what it is sealed with.
    Endbr = 10,
    /// A constant that boot replaces by a variable's value; `a`: the variable.
    RuntimeConst = 11,
}

/// struct resplice_section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Index of the unit.
    pub unit: u32,
    /// Offset in the string pool.
    pub name: u32,
    /// What it is to the matcher.
    pub role: Role,
    /// Bytes.
    pub size: u32,
    /// Offset in the byte pool, or [`NONE`].
    pub bytes: u32,
    /// Relocations, ascending by offset.
    pub relocs: Span,
    /// Sites, ascending by offset.
    pub sites: Span,
    /// Functions, ascending by offset.
    pub functions: Span,
    /// Alignment in bytes.
    pub align: u32,
}

/// A run of records in one of the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Index of the first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Span {
    /// The records as a slice of their table.
    pub fn of<T>(self, table: &[T]) -> &[T] {
        let first = self.first as usize;
        table
            .get(first..first.saturating_add(self.count as usize))
            .unwrap_or(&[])
    }
}

/// struct resplice_symbol.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Offset in the string pool.
    pub name: u32,
    /// Section index, [`EXTERNAL`] or [`MERGED`].
    pub section: u32,
    /// Offset in the section, or in the byte pool.
    pub value: u32,
    /// Bytes.
    pub size: u32,
    /// SYMBOL_*.
    pub flags: u32,
    /// Unit that first named it.
    pub unit: u32,
}

/// struct resplice_function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Symbol index.
    pub symbol: u32,
    /// Section index.
    pub section: u32,
    /// Bytes from the section's start.
    pub offset: u32,
    /// Bytes, without padding.
    pub size: u32,
    /// Function that this is the cold part of, or [`NONE`].
    pub parent: u32,
    /// FUNCTION_*.
    pub flags: u32,
}

/// struct resplice_reloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// Of the field, from the section's or variant's start.
    pub offset: u32,
    /// R_X86_64_*.
    pub kind: u32,
    /// Symbol index.
    pub symbol: u32,
    /// Added to the symbol's value.
    pub addend: i64,
}

/// struct resplice_site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Bytes from the section's start.
    pub offset: u32,
    /// What may differ.
    pub kind: SiteKind,
    /// Bytes.
    pub len: u16,
    /// By kind.
    pub a: u32,
    /// By kind.
    pub b: u32,
}

/// struct resplice_variant.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Offset in the byte pool.
    pub bytes: u32,
    /// Bytes.
    pub len: u32,
    /// Relocations, from the variant's start.
    pub relocs: Span,
    /// Index of `.altinstr_replacement`.
    pub section: u32,
    /// Offset in it.
    pub offset: u32,
    /// cpuid word as in struct alt_instr.
    pub feature: u32,
}
