//! `struct resplice_update` and its tables, as kmod/include/resplice/format.h
//! lays them out.

use crate::error::DiffError;
use crate::identity::{ID_LEN, Identity};
use crate::image::{ImageBuilder, UnitId};

use super::assemble::Draft;
use super::elf::{OutReloc, OutSection, OutSymbol, OutTarget, SHF_ALLOC};

/// RESPLICE_UPDATE_MATCH_ONLY.
pub(super) const MATCH_ONLY: u32 = 1;
/// RESPLICE_UPDATE_STAYS.
pub(super) const STAYS: u32 = 2;

const UPDATE_MAGIC: u32 = 0x4c50_5352;
const FORMAT: u32 = 3;
const UPDATE_BYTES: usize = 168;
pub(super) const LATE_BYTES: usize = 32;
pub(super) const REPLACE_BYTES: usize = 16;
pub(super) const HOOK_BYTES: usize = 16;
pub(super) const DATA_BYTES: usize = 32;
const MAX_FUNCTIONS: u64 = 4096;
const MAX_HOOKS: u64 = 256;
const MAX_LATE: u64 = 4_194_304;
const MAX_DATA: u64 = 4096;
const MAX_DATA_BYTES: u64 = 1 << 20;
pub(super) const NONE: u32 = 0xffff_ffff;
const R_X86_64_64: u32 = 1;

pub(super) const UPDATE_SECTION: &str = ".init.resplice.update";
pub(super) const MATCH_SECTION: &str = ".init.resplice.match";
pub(super) const LATE_SECTION: &str = ".init.resplice.late";
pub(super) const REPLACE_SECTION: &str = ".init.resplice.replace";
pub(super) const HOOKS_SECTION: &str = ".init.resplice.hooks";
pub(super) const DATA_SECTION: &str = ".init.resplice.data";
pub(super) const SUPERSEDES_SECTION: &str = ".init.resplice.supersedes";

/// Which part of an update a delta is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// From 0.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Part {
    /// An update of one part.
    pub const ONLY: Self = Self { number: 0, of: 1 };
}

/// The match image while late relocations collect their symbols.
pub(super) struct ImageSymbols {
    builder: ImageBuilder,
    units: Vec<UnitId>,
}

impl ImageSymbols {
    pub fn new(builder: ImageBuilder, units: Vec<UnitId>) -> Self {
        Self { builder, units }
    }

    /// The index of a symbol of a unit.
    pub fn symbol(&self, unit: usize, name: &str) -> Result<u32, DiffError> {
        self.builder
            .symbol(self.units[unit], name)
            .ok_or_else(|| missing(name))
    }

    /// The index of a symbol of a unit, or else of one that no unit defines.
    pub fn named(&mut self, unit: usize, name: &str) -> u32 {
        let own = self.builder.symbol(self.units[unit], name);
        own.unwrap_or_else(|| self.external(unit, name))
    }

    /// The index of a symbol that no unit defines.
    pub fn external(&mut self, unit: usize, name: &str) -> u32 {
        self.builder.external(self.units[unit], name)
    }

    /// The index of a symbol for contents that the linker may have put anywhere.
    pub fn constant(&mut self, unit: usize, bytes: &[u8]) -> u32 {
        self.builder.constant(self.units[unit], bytes)
    }

    /// The index of a function of a unit, by any of its names.
    pub fn function<'n>(
        &self,
        unit: usize,
        mut names: impl Iterator<Item = &'n str>,
    ) -> Result<u32, DiffError> {
        names
            .find_map(|name| self.builder.function(self.units[unit], name))
            .ok_or_else(|| missing("a replaced function"))
    }

    /// The names of all symbols, by index.
    pub fn names(&self) -> Vec<String> {
        let image = self.builder.image();
        image
            .symbols
            .iter()
            .map(|s| image.name(s.name).to_owned())
            .collect()
    }
}

fn missing(name: &str) -> DiffError {
    DiffError::SelfCheck(format!("{name} is not in the match image"))
}

pub(super) fn limit(what: &'static str, count: usize, limit: u64) -> Result<u32, DiffError> {
    let count = count as u64;
    u32::try_from(count)
        .ok()
        .filter(|_| count <= limit)
        .ok_or(DiffError::Limit { what, count, limit })
}

/// Adds the update's own sections and writes the file.
pub(super) fn finish(
    identity: &Identity,
    flags: u32,
    part: Part,
    mut draft: Draft,
    image: ImageSymbols,
    object: &str,
) -> Result<Vec<u8>, DiffError> {
    let nr_late = limit("late relocations", draft.late.len(), MAX_LATE)?;
    let nr_replace = limit("replaced functions", draft.replace.len(), MAX_FUNCTIONS)?;
    let nr_hooks = limit("hooks", draft.hooks.len(), MAX_HOOKS)?;
    let nr_data = limit("data exchanges", draft.data.len(), MAX_DATA)?;
    let image = image
        .builder
        .finish()
        .map_err(|e| super::image_error(object, &e))?;
    let match_size = image.len() as u64;

    let late = late_section(&draft);
    let replace = replace_section(&draft)?;
    let hooks = hooks_section(&draft);
    let data = data_section(&draft)?;
    let first = draft.sections.len();
    draft
        .sections
        .push(OutSection::new(MATCH_SECTION, SHF_ALLOC, 8, image));
    draft.sections.push(late);
    draft.sections.push(replace);
    draft.sections.push(hooks);
    draft.sections.push(data);
    draft.sections.push(supersedes_section(identity));

    let mut bytes = Vec::with_capacity(UPDATE_BYTES);
    for word in [UPDATE_MAGIC, FORMAT, UPDATE_BYTES as u32, flags] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(&padded(identity.id()));
    let pointers = bytes.len() as u64;
    bytes.extend_from_slice(&0_u64.to_le_bytes());
    bytes.extend_from_slice(&match_size.to_le_bytes());
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&nr_late.to_le_bytes());
    bytes.extend_from_slice(&nr_replace.to_le_bytes());
    bytes.extend_from_slice(&[0; 16]);
    for word in [nr_data, nr_hooks, part.number, part.of] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let nr_supersedes = limit("superseded updates", identity.supersedes().len(), u64::MAX)?;
    bytes.extend_from_slice(&0_u64.to_le_bytes());
    for word in [nr_supersedes, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let mut update = OutSection::new(UPDATE_SECTION, SHF_ALLOC, 8, bytes);
    for (field, section) in [
        (0, first),
        (16, first + 1),
        (24, first + 2),
        (48, first + 3),
        (40, first + 4),
        (72, first + 5),
    ] {
        update.relocs.push(pointer(pointers + field, section, 0));
    }
    draft.symbols.push(OutSymbol {
        name: "resplice_update".to_owned(),
        is_function: false,
        is_global: true,
        section: draft.sections.len(),
        size: UPDATE_BYTES as u64,
    });
    draft.sections.push(update);
    draft
        .sections
        .push(OutSection::new(".note.GNU-stack", 0, 1, Vec::new()));
    super::elf::write(&draft.sections, &draft.symbols)
}

fn pointer(offset: u64, section: usize, addend: i64) -> OutReloc {
    OutReloc {
        offset,
        kind: R_X86_64_64,
        to: OutTarget::Section(section),
        addend,
    }
}

/// An id as format.h has it.
fn padded(id: &str) -> [u8; ID_LEN] {
    let mut field = [0; ID_LEN];
    // An identity has no id that is longer.
    field[..id.len()].copy_from_slice(id.as_bytes());
    field
}

fn supersedes_section(identity: &Identity) -> OutSection {
    let ids = identity.supersedes().iter();
    let bytes = ids.flat_map(|id| padded(id)).collect();
    OutSection::new(SUPERSEDES_SECTION, SHF_ALLOC, 1, bytes)
}

fn late_section(draft: &Draft) -> OutSection {
    let mut out = OutSection::new(LATE_SECTION, SHF_ALLOC, 8, Vec::new());
    for late in &draft.late {
        let place = i64::try_from(late.offset).unwrap_or(i64::MAX);
        out.relocs.push(pointer(out.size, late.section, place));
        out.bytes.extend_from_slice(&0_u64.to_le_bytes());
        out.bytes.extend_from_slice(&late.addend.to_le_bytes());
        for word in [late.symbol, late.kind, late.feature.unwrap_or(NONE), 0] {
            out.bytes.extend_from_slice(&word.to_le_bytes());
        }
        out.size = out.bytes.len() as u64;
    }
    out
}

fn replace_section(draft: &Draft) -> Result<OutSection, DiffError> {
    let mut out = OutSection::new(REPLACE_SECTION, SHF_ALLOC, 8, Vec::new());
    for replace in &draft.replace {
        let size = u32::try_from(replace.size).map_err(|_| DiffError::Limit {
            what: "bytes in one function",
            count: replace.size,
            limit: u64::from(u32::MAX),
        })?;
        out.relocs.push(pointer(out.size, replace.section, 0));
        out.bytes.extend_from_slice(&0_u64.to_le_bytes());
        out.bytes.extend_from_slice(&replace.old.to_le_bytes());
        out.bytes.extend_from_slice(&size.to_le_bytes());
        out.size = out.bytes.len() as u64;
    }
    Ok(out)
}

fn hooks_section(draft: &Draft) -> OutSection {
    let mut out = OutSection::new(HOOKS_SECTION, SHF_ALLOC, 8, Vec::new());
    for hook in &draft.hooks {
        out.relocs.push(pointer(out.size, hook.section, 0));
        out.bytes.extend_from_slice(&0_u64.to_le_bytes());
        out.bytes.extend_from_slice(&hook.kind.to_le_bytes());
        out.bytes.extend_from_slice(&hook.after.to_le_bytes());
        out.size = out.bytes.len() as u64;
    }
    out
}

fn data_section(draft: &Draft) -> Result<OutSection, DiffError> {
    let mut out = OutSection::new(DATA_SECTION, SHF_ALLOC, 8, Vec::new());
    for data in &draft.data {
        let small = |what, value: u64, limit: u64| {
            u32::try_from(value)
                .ok()
                .filter(|_| value <= limit)
                .ok_or(DiffError::Limit {
                    what,
                    count: value,
                    limit,
                })
        };
        let offset = small("bytes into one object", data.offset, u64::from(u32::MAX))?;
        let size = small("bytes in one exchange", data.size, MAX_DATA_BYTES)?;
        out.relocs.push(pointer(out.size, data.before, 0));
        out.relocs.push(pointer(out.size + 8, data.after, 0));
        out.bytes.extend_from_slice(&[0; 16]);
        for word in [data.symbol, offset, size, 0] {
            out.bytes.extend_from_slice(&word.to_le_bytes());
        }
        out.size = out.bytes.len() as u64;
    }
    Ok(out)
}
