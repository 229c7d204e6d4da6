//! The match image: what the kernel core compares running text against.
//!
//! An [`ImageBuilder`] takes the reference objects of one kernel object
//! (vmlinux or a module), each compiled exactly as the kernel was, and lays
//! them out as `struct resplice_match`. Functions and symbols keep their index
//! once handed out, so that late relocations may refer to them, and external
//! symbols may be added until [`ImageBuilder::finish`].

mod builder;
mod error;
pub mod records;
mod refs;
mod sites;
mod unit;
mod write;

pub use builder::{ImageBuilder, UnitId};
pub use error::ImageError;

use records::{Function, Reloc, Section, Site, Symbol, Variant};

/// A match image before it is written as bytes.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Offset of the object's name in the string pool.
    pub object: u32,
    /// Names of the units, in the string pool.
    pub units: Vec<u32>,
    /// Sections, grouped by unit.
    pub sections: Vec<Section>,
    /// Symbols.
    pub symbols: Vec<Symbol>,
    /// Functions, grouped by section.
    pub functions: Vec<Function>,
    /// Relocations of sections and variants.
    pub relocs: Vec<Reloc>,
    /// Sites, grouped by section.
    pub sites: Vec<Site>,
    /// Variants, grouped by site.
    pub variants: Vec<Variant>,
    /// NUL-terminated names; offset 0 is the empty one.
    pub strings: Vec<u8>,
    /// Contents of sections, variants and merged pieces.
    pub bytes: Vec<u8>,
}

impl Image {
    /// A name in the string pool; empty if the offset is none.
    pub fn name(&self, offset: u32) -> &str {
        let rest = self.strings.get(offset as usize..).unwrap_or(&[]);
        let len = rest.iter().position(|b| *b == 0).unwrap_or(0);
        rest.get(..len)
            .and_then(|name| std::str::from_utf8(name).ok())
            .unwrap_or("")
    }

    /// Contents of a matched section; empty for others.
    pub fn contents(&self, section: &Section) -> &[u8] {
        self.slice(section.bytes, section.size)
    }

    /// Bytes of the byte pool; empty if they are not all there.
    pub fn slice(&self, offset: u32, len: u32) -> &[u8] {
        let start = offset as usize;
        self.bytes
            .get(start..start.saturating_add(len as usize))
            .unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests;
