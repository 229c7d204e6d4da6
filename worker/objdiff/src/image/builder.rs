//! The builder: pools, indices, and names.

use std::collections::HashMap;

use super::records::{EXTERNAL, MERGED, SYMBOL_GLOBAL, SYMBOL_WEAK, Symbol, limits};
use super::{Image, ImageError, unit};
use crate::elf::Object;

/// A unit of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitId(pub u32);

/// Collects the reference objects of one kernel object.
#[derive(Debug)]
pub struct ImageBuilder {
    pub(super) image: Image,
    names: HashMap<String, u32>,
    units: HashMap<String, UnitId>,
    /// Global and external symbols: one namespace, as in the linked object.
    globals: HashMap<String, u32>,
    /// Symbols by unit and name; `None` if the unit has several of that name.
    pub(super) locals: HashMap<(UnitId, String), Option<u32>>,
    pub(super) functions: HashMap<(UnitId, String), Option<u32>>,
}

impl ImageBuilder {
    /// For "vmlinux" or a module's name.
    pub fn new(object_name: &str) -> Self {
        let mut builder = Self {
            image: Image {
                strings: vec![0],
                ..Image::default()
            },
            names: HashMap::new(),
            units: HashMap::new(),
            globals: HashMap::new(),
            locals: HashMap::new(),
            functions: HashMap::new(),
        };
        builder.image.object = builder.intern(object_name);
        builder
    }

    /// Adds a unit's reference object. On error the builder is of no further use.
    pub fn add_unit(&mut self, name: &str, object: &Object) -> Result<UnitId, ImageError> {
        if self.units.contains_key(name) {
            return Err(ImageError::Duplicate {
                what: "unit",
                name: name.to_owned(),
            });
        }
        let id = UnitId(self.image.units.len() as u32);
        let name_at = self.intern(name);
        self.image.units.push(name_at);
        self.units.insert(name.to_owned(), id);
        unit::add(self, id, name, object)?;
        // Kept below the limit unit by unit, so that no 32-bit offset wraps.
        let bytes = self.image.bytes.len() + self.image.strings.len();
        if bytes > limits::IMAGE {
            return Err(ImageError::Limit {
                what: "bytes",
                count: bytes,
                limit: limits::IMAGE,
            });
        }
        Ok(id)
    }

    /// The index of a symbol that the unit defines or refers to. A weak
    /// definition counts as external. `None` also if the name is ambiguous.
    pub fn symbol(&self, unit: UnitId, name: &str) -> Option<u32> {
        match self.locals.get(&(unit, name.to_owned())) {
            Some(found) => *found,
            None => self.globals.get(name).copied(),
        }
    }

    /// The index of a global symbol by name, adding it as an external one if
    /// no unit defines or names it yet.
    pub fn external(&mut self, unit: UnitId, name: &str) -> u32 {
        if let Some(index) = self.globals.get(name) {
            return *index;
        }
        let name_at = self.intern(name);
        let index = self.push_symbol(Symbol {
            name: name_at,
            section: EXTERNAL,
            value: 0,
            size: 0,
            flags: SYMBOL_GLOBAL,
            unit: unit.0,
        });
        self.globals.insert(name.to_owned(), index);
        index
    }

    /// The index of a symbol for contents without an address of their own: the
    /// core follows the running pointer and compares them.
    pub fn constant(&mut self, unit: UnitId, bytes: &[u8]) -> u32 {
        let value = self.image.bytes.len() as u32;
        self.image.bytes.extend_from_slice(bytes);
        self.push_symbol(Symbol {
            name: 0,
            section: MERGED,
            value,
            size: bytes.len() as u32,
            flags: 0,
            unit: unit.0,
        })
    }

    /// The index of a function that the unit defines in matched text.
    pub fn function(&self, unit: UnitId, name: &str) -> Option<u32> {
        self.functions
            .get(&(unit, name.to_owned()))
            .copied()
            .flatten()
    }

    /// The image so far.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The bytes of `struct resplice_match`.
    pub fn finish(self) -> Result<Vec<u8>, ImageError> {
        super::write::write(&self.image)
    }

    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        if let Some(offset) = self.names.get(name) {
            return *offset;
        }
        // Names come from ELF string tables, bounded by the reader; callers'
        // own names are cut where the core would refuse them.
        let mut end = name.len().min(limits::NAME - 1);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let offset = self.image.strings.len() as u32;
        self.image
            .strings
            .extend_from_slice(&name.as_bytes()[..end]);
        self.image.strings.push(0);
        self.names.insert(name.to_owned(), offset);
        offset
    }

    pub(super) fn push_symbol(&mut self, symbol: Symbol) -> u32 {
        self.image.symbols.push(symbol);
        (self.image.symbols.len() - 1) as u32
    }

    /// Defines a global symbol, in place of the external one if another unit
    /// referred to it before.
    pub(super) fn define_global(&mut self, name: &str, symbol: Symbol) -> Result<u32, ImageError> {
        let Some(index) = self.globals.get(name).copied() else {
            let index = self.push_symbol(symbol);
            self.globals.insert(name.to_owned(), index);
            return Ok(index);
        };
        let known = &mut self.image.symbols[index as usize];
        if symbol.flags & SYMBOL_WEAK != 0 {
            // A strong definition elsewhere wins; otherwise it stays external.
            if known.section == EXTERNAL {
                known.flags |= symbol.flags;
            }
        } else if known.section == EXTERNAL {
            *known = symbol;
        } else {
            return Err(ImageError::Duplicate {
                what: "global symbol",
                name: name.to_owned(),
            });
        }
        Ok(index)
    }

    pub(super) fn remember(&mut self, unit: UnitId, name: &str, index: u32) {
        self.locals
            .entry((unit, name.to_owned()))
            .and_modify(|known| {
                if *known != Some(index) {
                    *known = None;
                }
            })
            .or_insert(Some(index));
    }
}
