//! New functions of vmlinux's part that the parts of modules call.
//!
//! Each part is a module of its own, so the first one exports them to the
//! others as any module does: by a `struct kernel_symbol` with its strings, or,
//! from Linux 6.5 on, by what modpost makes that of (include/linux/export.h).
//! The names carry the update's id: no other update and no module can mean them.

use std::collections::{BTreeMap, BTreeSet};

use crate::atoms::Target;
use crate::diff::{Role, State, UnitDiff, role};
use crate::elf::{
    Binding, Definition, EXPORT_BYTES, EXPORTS_FOR_MODPOST, MODPOST_LABEL, Object, exports,
};
use crate::error::DiffError;
use crate::names::offered_name;

use super::assemble::Draft;
use super::collect::Set;
use super::elf::{OutReloc, OutSection, OutSymbol, OutTarget, SHF_ALLOC};
use super::route::Ref;

/// What the section of an entry begins with; the name follows.
pub(super) const SECTION: &str = "___ksymtab_gpl+";
const STRINGS: &str = "__ksymtab_strings";
/// What modpost reads: a licence, no name space, and a symbol.
const FOR_MODPOST: [u8; 16] = *b"GPL\0\0\0\0\0\0\0\0\0\0\0\0\0";
const R_X86_64_64: u32 = 1;
const R_X86_64_PC32: u32 = 2;

/// New functions of a set that other sets refer to and have not themselves.
pub(super) fn find(of: &Set<'_>, others: &[Set<'_>]) -> BTreeMap<String, Ref> {
    let undefined: BTreeSet<&str> = others
        .iter()
        .flat_map(|set| &set.units)
        .flat_map(|diff| &diff.post.object.symbols)
        .filter(|s| s.definition == Definition::Undefined)
        .map(|s| s.name.as_str())
        .collect();
    let mut offers = BTreeMap::new();
    for (unit, diff) in of.units.iter().enumerate() {
        for id in 0..diff.post.atoms.len() {
            if !is_new_function(diff, id) {
                continue;
            }
            let global = diff.post.symbols_of(id);
            let global = global.filter(|s| s.binding != Binding::Local);
            for symbol in global.filter(|s| undefined.contains(s.name.as_str())) {
                offers.insert(symbol.name.clone(), (unit, id));
            }
        }
    }
    offers
}

fn is_new_function(diff: &UnitDiff, id: usize) -> bool {
    let atom = &diff.post.atoms[id];
    let is_whole = atom.is_function() && atom.parent.is_none();
    is_whole && diff.states[id] == State::Added && matches!(role(atom.kind), Role::Code)
}

/// What of its loans the new code and data of a set use, and whether others may
/// come to hold its address: it is not only called.
pub(super) fn used(set: &Set<'_>) -> BTreeMap<String, bool> {
    let kept = set.kept.iter().flat_map(|at| {
        let links = set.links_of(*at);
        links.map(move |(entry, link)| (at.0, link, entry.is_none() && !link.is_branch))
    });
    let exchanged = set.units.iter().enumerate().flat_map(|(unit, diff)| {
        let atoms = diff.exchanges.iter().map(|e| &diff.post.atoms[e.id]);
        atoms.flat_map(move |atom| atom.links.iter().map(move |link| (unit, link, true)))
    });
    let mut used = BTreeMap::new();
    for (unit, link, is_held) in kept.chain(exchanged) {
        let Target::External(symbol) = link.target else {
            continue;
        };
        let name = &set.units[unit].post.object.symbol(symbol).name;
        if set.borrows.contains(name) {
            *used.entry(name.clone()).or_default() |= is_held;
        }
    }
    used
}

/// Adds an export for each function that the set offers.
pub(super) fn add(draft: &mut Draft, set: &Set<'_>) -> Result<(), DiffError> {
    for (function, at) in &set.offers {
        let section = *draft
            .places
            .get(at)
            .ok_or_else(|| DiffError::SelfCheck(format!("{function} was not kept")))?;
        let name = offered_name(set.id, function);
        let post = &set.units[at.0].post;
        let known = &post.object.sections;
        // A module can only call what its patch exports: that says in which form.
        if known.iter().any(|s| s.name == EXPORTS_FOR_MODPOST) {
            add_for_modpost(draft, name, section, post.atoms[at.1].size);
            continue;
        }
        let mut strings = name.clone().into_bytes();
        strings.push(0);
        // The name's own end is the empty name of no name space.
        let no_space = i64::try_from(name.len()).unwrap_or(i64::MAX);
        let text = draft.sections.len();
        draft
            .sections
            .push(OutSection::new(STRINGS, SHF_ALLOC, 1, strings));
        let entry = format!("{SECTION}{name}");
        let mut entry = OutSection::new(&entry, SHF_ALLOC, 4, vec![0; EXPORT_BYTES]);
        for (offset, to, addend) in [(0, section, 0), (4, text, 0), (8, text, no_space)] {
            entry.relocs.push(OutReloc {
                offset,
                kind: R_X86_64_PC32,
                to: OutTarget::Section(to),
                addend,
            });
        }
        draft.symbols.push(OutSymbol {
            name: format!("__ksymtab_{name}"),
            is_function: false,
            is_global: false,
            section: draft.sections.len(),
            size: 0,
        });
        draft.sections.push(entry);
    }
    Ok(())
}

fn add_for_modpost(draft: &mut Draft, name: String, section: usize, size: u64) {
    let mut entry = OutSection::new(EXPORTS_FOR_MODPOST, SHF_ALLOC, 8, FOR_MODPOST.to_vec());
    entry.relocs.push(OutReloc {
        offset: 8,
        kind: R_X86_64_64,
        to: OutTarget::Import(name.clone()),
        addend: 0,
    });
    draft.symbols.push(OutSymbol {
        name: format!("{MODPOST_LABEL}{name}"),
        is_function: false,
        is_global: false,
        section: draft.sections.len(),
        size: 0,
    });
    draft.symbols.push(OutSymbol {
        name,
        is_function: true,
        is_global: true,
        section,
        size,
    });
    draft.sections.push(entry);
}

/// Checks the written exports: one for each offer, at the function's start, and
/// no other.
pub(super) fn verify(set: &Set<'_>, draft: &Draft, file: &Object) -> Result<(), DiffError> {
    let found = exports(file).map_err(DiffError::SelfCheck)?;
    let meant: BTreeMap<String, (u32, u64)> = set
        .offers
        .iter()
        .filter_map(|(function, at)| {
            let section = u32::try_from(*draft.places.get(at)?).ok()?;
            Some((offered_name(set.id, function), (section + 1, 0)))
        })
        .collect();
    if found != meant {
        return Err(DiffError::SelfCheck(format!(
            "it exports {found:?} and not {meant:?}"
        )));
    }
    Ok(())
}
