//! `struct resplice_hook` records, from the hooks of all units.

use crate::elf::Object;
use crate::error::DiffError;
use crate::hook::HookKind;

use super::assemble::{Draft, Hook};
use super::collect::Set;
use super::update::{HOOK_BYTES, HOOKS_SECTION};

/// Adds the records: unit by unit, those of one kind in the order in which
/// they are written.
pub(super) fn add(draft: &mut Draft, set: &Set<'_>) -> Result<(), DiffError> {
    for (unit, diff) in set.units.iter().enumerate() {
        let mut undone = [0_usize; HookKind::ALL.len()];
        for (kind, function) in &diff.hooks {
            let section = draft.places.get(&(unit, *function)).ok_or_else(|| {
                DiffError::SelfCheck(format!("{} was not kept", diff.post.label(*function)))
            })?;
            let after = kind.undoes().map_or(0, |pre| {
                let number = undone[*kind as usize];
                undone[*kind as usize] += 1;
                after(set, unit, pre, number)
            });
            draft.hooks.push(Hook {
                section: *section,
                kind: *kind as u32,
                after: u32::try_from(after).unwrap_or(u32::MAX),
            });
        }
    }
    Ok(())
}

/// How many PRE hooks of the part must have succeeded for the FAIL hook of
/// that number (from 0) of a unit to have something to undo.
pub(super) fn after(set: &Set<'_>, unit: usize, pre: HookKind, number: usize) -> usize {
    let of = |unit: usize| {
        let hooks = set.units.get(unit).into_iter().flat_map(|u| &u.hooks);
        hooks.filter(|(kind, _)| *kind == pre).count()
    };
    if number < of(unit) {
        (0..unit).map(of).sum::<usize>() + number + 1
    } else {
        (0..set.units.len()).map(of).sum()
    }
}

/// Checks the written records: each hook of each unit is there, at the start
/// of its function, with its kind, and no other.
pub(super) fn verify(set: &Set<'_>, draft: &Draft, file: &Object) -> Result<(), DiffError> {
    let wrong = |what: &str| DiffError::SelfCheck(what.to_owned());
    let section = file
        .section_named(HOOKS_SECTION)
        .ok_or_else(|| wrong("it has no table of hooks"))?;
    let mut records = section.bytes.chunks(HOOK_BYTES).enumerate();
    for (unit, diff) in set.units.iter().enumerate() {
        for (kind, function) in &diff.hooks {
            let label = diff.post.label(*function);
            let (index, record) = records
                .next()
                .ok_or_else(|| wrong(&format!("the hook {label} is missing")))?;
            let place = section
                .reloc_at((index * HOOK_BYTES) as u64)
                .and_then(|r| file.reloc_place(r));
            let meant = draft.places.get(&(unit, *function));
            let is_there = place.zip(meant).is_some_and(|(place, meant)| {
                place.offset == 0 && place.section.0 as usize == *meant + 1
            });
            let written = record.get(8..12).and_then(|b| b.try_into().ok());
            if !is_there || written.map(u32::from_le_bytes) != Some(*kind as u32) {
                return Err(wrong(&format!("the hook {label} has become another")));
            }
        }
    }
    match records.next() {
        Some(_) => Err(wrong("it has a hook that nobody wrote")),
        None => Ok(()),
    }
}
