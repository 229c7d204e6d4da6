//! A unit's object, cut into atoms.
//!
//! An atom is the smallest thing that is compared and carried as a whole: a
//! function, a variable, a string, a constant, a piece of an alternative. What
//! refers to something becomes a [`Link`] to the atom it means, whichever way
//! the assembler expressed it; entries of the kernel's tables hang on the code
//! they describe.

mod cut;
mod fields;
mod resolve;

use std::collections::HashMap;

use crate::elf::{Binding, Object, RelocKind, Section, SectionId, SectionKind, Symbol, SymbolId};
use crate::error::DiffError;
use crate::names;

/// Index into [`Unit::atoms`].
pub(crate) type AtomId = usize;

/// An object and its atoms.
pub(crate) struct Unit {
    /// Whether variables share sections, as in the running kernel.
    is_shipped: bool,
    /// The object itself.
    pub object: Object,
    /// All atoms, by section and start.
    pub atoms: Vec<Atom>,
    /// Per section: states of the stack unwinder, ascending by offset.
    pub orc: Vec<Vec<OrcState>>,
    /// Per section: atoms that do not overlap, ascending by start.
    by_section: Vec<Vec<AtomId>>,
    /// Pieces of merged sections and alternatives, by section, start and (for
    /// alternatives) length.
    pieces: HashMap<(SectionId, u64, u64), AtomId>,
    by_name: HashMap<String, AtomId>,
}

/// See the module's description.
pub(crate) struct Atom {
    /// Where it is: `start .. start + size` of the section.
    pub section: SectionId,
    pub start: u64,
    pub size: u64,
    /// The section's kind.
    pub kind: SectionKind,
    /// Symbols at its start, the best name first; empty if it has none.
    pub symbols: Vec<SymbolId>,
    /// It has no identity, only contents: strings, anonymous constants,
    /// pieces of alternatives.
    pub is_content: bool,
    /// What it refers to, ascending by offset.
    pub links: Vec<Link>,
    /// Table entries about it, by table and place.
    pub entries: Vec<Entry>,
    /// For `F.cold`: `F`.
    pub parent: Option<AtomId>,
    /// A short jump leads into a neighbour: the two can't be parted.
    pub is_entangled: bool,
}

/// A field of an atom or table entry that depends on something else.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// Of the field, from the atom's or entry's start.
    pub offset: u64,
    pub kind: RelocKind,
    pub target: Target,
    /// From the target's start, as in the relocation: what the instruction's
    /// tail takes away is still in it.
    pub addend: i64,
    /// What the instruction's tail takes away: `addend + tail` is the byte meant.
    pub tail: i64,
    /// A call or jump.
    pub is_branch: bool,
    /// The assembler filled the field in and left no relocation, since both
    /// ends lie in one section.
    pub is_filled_in: bool,
}

impl Link {
    /// The byte of the target that is meant.
    pub fn target_offset(&self) -> i64 {
        self.addend.saturating_add(self.tail)
    }
}

/// What a link refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Atom(AtomId),
    /// A symbol that this object does not define.
    External(SymbolId),
}

/// An entry of a table, about code.
pub(crate) struct Entry {
    /// The table.
    pub kind: SectionKind,
    /// Its section and where it is there.
    pub section: SectionId,
    pub start: u64,
    pub bytes: Vec<u8>,
    /// The first one refers to the code that the entry is about.
    pub links: Vec<Link>,
}

impl Entry {
    /// The byte of its atom that the entry is about.
    pub fn owner_offset(&self) -> i64 {
        self.links.first().map_or(0, Link::target_offset)
    }
}

/// From `offset` on the unwinder works by `state` (struct orc_entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrcState {
    pub offset: u64,
    pub state: [u8; 6],
}

impl Atom {
    /// Where it ends in its section.
    pub fn end(&self) -> u64 {
        self.start + self.size
    }

    /// Code with an identity.
    pub fn is_function(&self) -> bool {
        self.kind.is_code() && !self.is_content
    }
}

impl Unit {
    /// Cuts an object whose functions and variables have sections of their own.
    pub fn new(object: Object) -> Result<Self, DiffError> {
        Self::cut(object, false)
    }

    /// Cuts an object that was compiled as the kernel was.
    pub fn as_shipped(object: Object) -> Result<Self, DiffError> {
        Self::cut(object, true)
    }

    fn cut(object: Object, is_shipped: bool) -> Result<Self, DiffError> {
        let mut unit = Self {
            is_shipped,
            atoms: Vec::new(),
            orc: vec![Vec::new(); object.sections.len()],
            by_section: vec![Vec::new(); object.sections.len()],
            pieces: HashMap::new(),
            by_name: HashMap::new(),
            object,
        };
        unit.cut_sections();
        let fields = fields::decode(&unit);
        unit.cut_pieces(&fields)?;
        unit.link_atoms(&fields)?;
        unit.attach_entries(&fields)?;
        unit.read_orc()?;
        unit.find_parents();
        Ok(unit)
    }

    /// The section an atom is in.
    pub fn section_of(&self, id: AtomId) -> &Section {
        self.object.section(self.atoms[id].section)
    }

    /// The atom's symbols, the best name first.
    pub fn symbols_of(&self, id: AtomId) -> impl Iterator<Item = &Symbol> {
        self.atoms[id]
            .symbols
            .iter()
            .map(|s| self.object.symbol(*s))
    }

    /// The atom's best name, if it has one.
    pub fn name_of(&self, id: AtomId) -> Option<&str> {
        self.symbols_of(id).next().map(|s| s.name.as_str())
    }

    /// A name for messages.
    pub fn label(&self, id: AtomId) -> String {
        self.name_of(id).map_or_else(
            || format!("{}+{:#x}", self.section_of(id).name, self.atoms[id].start),
            str::to_owned,
        )
    }

    /// The atom that a symbol of that name starts.
    pub fn named(&self, name: &str) -> Option<AtomId> {
        self.by_name.get(name).copied()
    }

    /// The atom that defines a symbol visible to other units.
    pub fn global(&self, name: &str) -> Option<AtomId> {
        let id = self.named(name)?;
        self.symbols_of(id)
            .any(|s| s.name == name && s.binding != Binding::Local)
            .then_some(id)
    }

    /// Its contents; empty if it is zeroed data.
    pub fn bytes_of(&self, id: AtomId) -> &[u8] {
        let atom = &self.atoms[id];
        self.section_of(id)
            .bytes_in(atom.start, atom.end())
            .unwrap_or_default()
    }

    /// The atom whose bytes contain the offset, or that ends right there.
    fn covering(&self, section: SectionId, offset: u64) -> Option<AtomId> {
        let list = self.by_section.get(section.0 as usize)?;
        let after = list.partition_point(|id| self.atoms[*id].start <= offset);
        let first = after.checked_sub(1)?;
        let start = self.atoms[list[first]].start;
        // Objects without size share their start with what follows them.
        list[..after]
            .iter()
            .rev()
            .take_while(|id| self.atoms[**id].start == start)
            .copied()
            .max_by_key(|id| self.atoms[*id].size)
    }

    fn find_parents(&mut self) {
        for id in 0..self.atoms.len() {
            let parent = self
                .name_of(id)
                .filter(|_| self.atoms[id].is_function())
                .and_then(names::cold_parent)
                .and_then(|name| self.named(name));
            self.atoms[id].parent = parent.filter(|p| *p != id);
        }
    }
}
