//! Constants of the code that the kernel fills in as it boots. It does so for its own
//! code only: new code's are the core's to fill in.

use super::route::alternatives_at;
use crate::atoms::{AtomId, Unit};
use crate::elf::SectionKind;
use crate::plan::Refusal;
use crate::sites::{RuntimeConstant, runtime_constants};

/// All of an atom's; `None` if a table can't be read.
pub(super) fn of(unit: &Unit, id: AtomId) -> Option<Vec<RuntimeConstant<'_>>> {
    let atom = &unit.atoms[id];
    runtime_constants(&unit.object, atom.section, atom.start..atom.end())
}

/// Why the core could not fill in an atom's constants.
pub(super) fn refusal(unit: &Unit, id: AtomId) -> Option<Refusal> {
    let atom = &unit.atoms[id];
    let why = match of(unit, id) {
        None => "somewhere",
        Some(all) if all.is_empty() => return None,
        Some(_) if atom.kind == SectionKind::AltinstrReplacement => {
            "in an alternative's replacement, which is applied before the core can do that"
        }
        Some(all) => {
            let starts = all.iter().map(|constant| constant.place.start);
            starts
                .flat_map(|start| alternatives_at(atom, start))
                .next()?;
            "in an instruction that has an alternative"
        }
    };
    let label = unit.label(id);
    let sentence = format!("{label} has a constant that the kernel fills in as it boots, {why}");
    Some(Refusal::new("runtime-constant", label, sentence))
}
