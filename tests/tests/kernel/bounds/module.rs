//! An update's module as a file whose tables are read and changed by number.

use object::{Object, ObjectSection};
use std::collections::BTreeSet;
use std::ops::Range;

pub const NONE: u64 = 0xffff_ffff;

/// The image's tables: what they are called, and the bytes of an entry.
pub const UNITS: Table = Table("unit", 0, 8);
pub const SECTIONS: Table = Table("section", 1, 48);
pub const SYMBOLS: Table = Table("symbol", 2, 24);
pub const FUNCTIONS: Table = Table("function", 3, 24);
pub const RELOCS: Table = Table("reloc", 4, 24);
pub const SITES: Table = Table("site", 5, 16);
pub const VARIANTS: Table = Table("variant", 6, 32);
pub const STRINGS: Table = Table("string", 7, 1);
pub const BYTES: Table = Table("byte", 8, 1);
pub const TABLES: [Table; 9] = [
    UNITS, SECTIONS, SYMBOLS, FUNCTIONS, RELOCS, SITES, VARIANTS, STRINGS, BYTES,
];

#[derive(Clone, Copy)]
pub struct Table(pub &'static str, pub usize, pub u64);

/// A field of an entry: where it begins there, and its bytes.
pub type Field = (&'static str, usize, usize);

/// One number of a module becomes another.
pub struct Edit {
    pub field: String,
    pub at: usize,
    pub width: usize,
    pub value: u64,
}

/// A module of an update, as a file.
pub struct Module {
    pub bytes: Vec<u8>,
    pub edits: Vec<Edit>,
}

impl Module {
    pub fn section(&self, name: &str) -> Option<Range<usize>> {
        let file = object::File::parse(self.bytes.as_slice()).unwrap();
        let section = file.section_by_name(&format!(".init.resplice.{name}"))?;
        let (start, size) = section.file_range()?;
        Some(start as usize..(start + size) as usize)
    }

    pub fn number(&self, at: usize, width: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(&self.bytes[at..at + width]);
        u64::from_le_bytes(bytes)
    }

    pub fn image(&self) -> usize {
        self.section("match").unwrap().start
    }

    /// Where the head says where a table begins; behind it, how long it is.
    pub fn head(&self, table: Table) -> usize {
        self.image() + 16 + table.1 * 8
    }

    pub fn count(&self, table: Table) -> u64 {
        self.number(self.head(table) + 4, 4)
    }

    pub fn entry(&self, table: Table, index: u64) -> usize {
        self.image() + (self.number(self.head(table), 4) + index * table.2) as usize
    }

    /// A field of the entry that begins there.
    pub fn get(&self, entry: usize, (_, offset, width): Field) -> u64 {
        self.number(entry + offset, width)
    }

    pub fn edit(&mut self, of: &str, entry: usize, (name, offset, width): Field, value: u64) {
        self.edits.push(Edit {
            field: format!("{of}.{name}"),
            at: entry + offset,
            width,
            value,
        });
    }

    /// Takes the first and the last entry that one thing is true of, and gives a
    /// field of theirs the first value that is too much, and the largest that
    /// stands for nothing else (the two above it mean external and merged).
    pub fn beyond(
        &mut self,
        table: Table,
        field: Field,
        is_meant: impl Fn(&Self, usize) -> bool,
        first_bad: impl Fn(&Self, usize) -> u64,
    ) {
        let meant: Vec<usize> = (0..self.count(table))
            .map(|index| self.entry(table, index))
            .filter(|entry| is_meant(self, *entry))
            .collect();
        let ends: BTreeSet<usize> = meant
            .first()
            .into_iter()
            .chain(meant.last())
            .copied()
            .collect();
        for entry in ends {
            let bad = first_bad(self, entry);
            let most = if field.2 == 2 { 0xffff } else { NONE - 2 };
            for value in BTreeSet::from([bad, most]) {
                self.edit(table.0, entry, field, value);
            }
        }
    }
}
