//! The kernel's tables, with only the entries about code that is kept.

use std::collections::BTreeMap;

use crate::atoms::{Atom, Entry, OrcState, Unit};
use crate::elf::SectionKind;
use crate::error::DiffError;

use super::assemble::Draft;
use super::collect::Set;
use super::elf::{OutReloc, OutSection, OutTarget, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use super::route::{Origin, Ref};
use super::update::ImageSymbols;

const R_X86_64_PC32: u32 = 2;

/// Adds all tables to the draft.
pub(super) fn add(
    draft: &mut Draft,
    set: &Set<'_>,
    image: &mut ImageSymbols,
) -> Result<(), DiffError> {
    let mut tables: BTreeMap<SectionKind, usize> = BTreeMap::new();
    for at in &set.kept {
        let post = &set.units[at.0].post;
        for entry in kept(&post.atoms[at.1]) {
            let source = post.object.section(entry.section);
            let table = *tables.entry(entry.kind).or_insert_with(|| {
                let flags = source.flags & (SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR);
                let align = source.align.max(natural_align(entry.kind));
                let mut table = OutSection::new(&source.name, flags, align, Vec::new());
                table.entsize = source.entsize;
                draft.sections.push(table);
                draft.sections.len() - 1
            });
            let start = draft.sections[table].size;
            draft.sections[table].bytes.extend_from_slice(&entry.bytes);
            draft.sections[table].size += entry.bytes.len() as u64;
            draft.entries.entry(*at).or_default().push((table, start));
            let origin = Origin {
                unit: at.0,
                atom: at.1,
                entry: Some(entry),
            };
            for link in &entry.links {
                draft.add_link(set, origin, link, (table, start + link.offset), image)?;
            }
        }
    }
    add_orc(draft, set);
    Ok(())
}

/// The entries that the module loader is to read: constants that boot fills in are the
/// core's.
pub(super) fn kept(atom: &Atom) -> impl Iterator<Item = &Entry> {
    let all = atom.entries.iter();
    all.filter(|entry| entry.kind != SectionKind::RuntimeConst)
}

/// Entries of different objects must follow each other without a gap.
fn natural_align(kind: SectionKind) -> u64 {
    match kind {
        SectionKind::JumpTable | SectionKind::McountLoc | SectionKind::Parainstructions => 8,
        _ => 1,
    }
}

fn add_orc(draft: &mut Draft, set: &Set<'_>) {
    let mut states = OutSection::new(".orc_unwind", SHF_ALLOC, 1, Vec::new());
    let mut places = OutSection::new(".orc_unwind_ip", SHF_ALLOC, 1, Vec::new());
    states.entsize = 6;
    places.entsize = 4;
    for at in &set.kept {
        let section = draft.places[at];
        for entry in orc_of(&set.units[at.0].post, *at) {
            places.relocs.push(OutReloc {
                offset: places.size,
                kind: R_X86_64_PC32,
                to: OutTarget::Section(section),
                addend: i64::try_from(entry.offset).unwrap_or(i64::MAX),
            });
            places.bytes.extend_from_slice(&[0; 4]);
            places.size += 4;
            states.bytes.extend_from_slice(&entry.state);
            states.size += 6;
        }
    }
    if states.size > 0 {
        draft.sections.push(states);
        draft.sections.push(places);
    }
}

/// The unwinder's states inside an atom of code, from the one that holds at its
/// start to an end mark, by offset in the atom.
fn orc_of(post: &Unit, at: Ref) -> Vec<OrcState> {
    let atom = &post.atoms[at.1];
    let list = &post.orc[atom.section.0 as usize];
    if !atom.kind.is_code() || list.is_empty() {
        return Vec::new();
    }
    // objtool writes a state only where it changes, also across functions.
    let first = list.partition_point(|s| s.offset <= atom.start);
    let at_start = first.checked_sub(1).and_then(|i| list.get(i));
    let inside = list[first..].iter().take_while(|s| s.offset < atom.end());
    let mut states: Vec<OrcState> = at_start
        .into_iter()
        .chain(inside)
        .map(|s| OrcState {
            offset: s.offset.saturating_sub(atom.start),
            state: s.state,
        })
        .collect();
    // What follows in the module is not this function any more.
    states.push(OrcState {
        offset: atom.size,
        state: [0; 6],
    });
    states
}
