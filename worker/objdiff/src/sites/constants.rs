//! Constants of the code that boot fills in, as an object's tables name them. From Linux
//! 6.11 on.

use crate::elf::{Object, SectionId, SectionKind};
use std::ops::Range;

/// A constant of the code, which boot replaces by the first bytes of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeConstant<'a> {
    /// The variable's name.
    pub variable: &'a str,
    /// From the range's start.
    pub place: Range<u64>,
}

impl RuntimeConstant<'_> {
    /// `type` of struct resplice_late: RESPLICE_LATE_CONST_SHIFT or _PTR.
    pub fn late_kind(&self) -> u32 {
        if self.place.end - self.place.start == 1 {
            0x101
        } else {
            0x100
        }
    }
}

/// The variable that a table is about by its name, and the bytes of each constant.
pub fn runtime_variable(table: &str) -> Option<(&str, u8)> {
    let pointer = table.strip_prefix("runtime_ptr_").map(|name| (name, 8));
    pointer.or_else(|| Some((table.strip_prefix("runtime_shift_")?, 1)))
}

/// Those in a range of a section; `None` if a table can't be read.
pub fn runtime_constants(
    object: &Object,
    section: SectionId,
    range: Range<u64>,
) -> Option<Vec<RuntimeConstant<'_>>> {
    let mut found = Vec::new();
    for table in object.sections_of(SectionKind::RuntimeConst) {
        let (variable, width) = runtime_variable(&table.name)?;
        for reloc in &table.relocs {
            let at = object.reloc_place(reloc)?;
            if at.section == section && range.contains(&at.offset) {
                let start = at.offset - range.start;
                found.push(RuntimeConstant {
                    variable,
                    place: start..start.saturating_add(u64::from(width)),
                });
            }
        }
    }
    Some(found)
}

/// Bytes without those of constants.
pub fn without(mut bytes: Vec<u8>, constants: &[RuntimeConstant<'_>]) -> Vec<u8> {
    for constant in constants {
        let start = usize::try_from(constant.place.start).unwrap_or(usize::MAX);
        let end = usize::try_from(constant.place.end).unwrap_or(usize::MAX);
        if let Some(field) = bytes.get_mut(start..end) {
            field.fill(0);
        }
    }
    bytes
}
