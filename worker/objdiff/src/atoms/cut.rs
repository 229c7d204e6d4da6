//! Where atoms begin and end.

use std::collections::BTreeSet;

use crate::elf::{Section, SectionId, SectionKind, SymbolKind};
use crate::error::DiffError;
use crate::names;
use crate::sites;

use super::fields::Fields;
use super::{Atom, AtomId, Unit};

/// Bytes of an entry, for tables whose entries hang on code.
pub(super) fn table_entry_bytes(section: &Section) -> Option<u64> {
    match section.kind {
        SectionKind::OrcUnwindIp => None,
        SectionKind::StaticCallTrampKey | SectionKind::KprobeBlacklist => Some(8),
        _ => sites::entry_size(section),
    }
}

/// Sections that are neither compared nor carried, or by other means.
fn is_ignored(kind: SectionKind) -> bool {
    use SectionKind::*;
    !kind.has_contents()
        || matches!(
            kind,
            Discard | Note | PrintkIndex | OrcUnwind | OrcUnwindIp | Declare
        )
}

impl Unit {
    /// Atoms of sections that symbols divide.
    pub(super) fn cut_sections(&mut self) {
        for index in 0..self.object.sections.len() {
            let section = &self.object.sections[index];
            let in_pieces = section.kind.is_merged()
                || matches!(
                    section.kind,
                    SectionKind::AltinstrReplacement | SectionKind::AltinstrAux
                );
            if in_pieces || is_ignored(section.kind) || table_entry_bytes(section).is_some() {
                continue;
            }
            let id = section.id;
            let starts = self.starts_in(id);
            let ends: Vec<u64> = starts
                .iter()
                .skip(1)
                .copied()
                .chain([section.size])
                .collect();
            for (start, end) in starts.into_iter().zip(ends) {
                self.cut_atom(id, start, end);
            }
        }
    }

    fn starts_in(&self, id: SectionId) -> Vec<u64> {
        let section = self.object.section(id);
        let is_function = |kind| kind == SymbolKind::Function;
        let by_function =
            section.kind.is_code() && self.object.symbols_in(id).any(|s| is_function(s.kind));
        let mut starts: BTreeSet<u64> = self
            .object
            .symbols_in(id)
            .filter(|s| !s.name.starts_with(".L") && (!by_function || is_function(s.kind)))
            .map(|s| s.value)
            .collect();
        if section.size > 0 && !(by_function && self.is_padding(section, &starts)) {
            starts.insert(0);
        }
        starts.into_iter().collect()
    }

    /// Whether only NOPs lie before the first function: room that kernels with
    /// CALL_PADDING have the compiler leave.
    fn is_padding(&self, section: &Section, starts: &BTreeSet<u64>) -> bool {
        let first = starts.first().copied().unwrap_or(0);
        let before = section.bytes_in(0, first).unwrap_or_default();
        section.relocs_in(0, first).is_empty() && before.iter().all(|byte| *byte == 0x90)
    }

    fn cut_atom(&mut self, section_id: SectionId, start: u64, end: u64) {
        let section = self.object.section(section_id);
        let kind = section.kind;
        let mut symbols: Vec<_> = self
            .object
            .symbols_in(section_id)
            .filter(|s| s.value == start && !s.name.starts_with(".L"))
            .collect();
        symbols.sort_by(|a, b| {
            let rank = |s: &crate::elf::Symbol| {
                let untyped = s.kind == SymbolKind::Untyped;
                (untyped, s.binding == crate::elf::Binding::Local)
            };
            rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
        });
        // Padding after an object is not part of it, unless something is in it.
        let named = symbols.iter().map(|s| s.size).max().unwrap_or(0);
        let has_more = !section
            .relocs_in(start.saturating_add(named), end)
            .is_empty();
        let size = if named == 0 || has_more {
            end - start
        } else {
            named.min(end - start)
        };
        let constant = symbols.iter().all(|s| names::is_constant(&s.name));
        let jump_table = section.name == ".rodata..c_jump_table";
        let atom = Atom {
            section: section_id,
            start,
            size,
            kind,
            is_content: kind == SectionKind::Rodata && (constant || jump_table),
            symbols: symbols.iter().map(|s| s.id).collect(),
            links: Vec::new(),
            entries: Vec::new(),
            parent: None,
            is_entangled: false,
        };
        let names: Vec<String> = symbols.iter().map(|s| s.name.clone()).collect();
        let id = self.push(atom);
        self.by_section[section_id.0 as usize].push(id);
        for name in names {
            self.by_name.entry(name).or_insert(id);
        }
    }

    fn push(&mut self, atom: Atom) -> AtomId {
        self.atoms.push(atom);
        self.atoms.len() - 1
    }

    fn push_piece(&mut self, section: SectionId, start: u64, size: u64, key: u64) -> AtomId {
        if let Some(id) = self.pieces.get(&(section, start, key)) {
            return *id;
        }
        let kind = self.object.section(section).kind;
        let id = self.push(Atom {
            section,
            start,
            size,
            kind,
            symbols: Vec::new(),
            is_content: true,
            links: Vec::new(),
            entries: Vec::new(),
            parent: None,
            is_entangled: false,
        });
        self.pieces.insert((section, start, key), id);
        id
    }

    /// Atoms of sections that only references divide: merged strings and
    /// constants, alternatives, slow paths of static_cpu_has.
    pub(super) fn cut_pieces(&mut self, fields: &Fields) -> Result<(), DiffError> {
        self.cut_alternatives()?;
        let mut wanted = BTreeSet::new();
        for section in &self.object.sections {
            if is_ignored(section.kind) {
                continue;
            }
            for reloc in &section.relocs {
                let Some((target, offset, _)) = self.place_of(section, reloc, fields)? else {
                    continue;
                };
                let kind = self.object.section(target).kind;
                if kind.is_merged() || kind == SectionKind::AltinstrAux {
                    wanted.insert((target, offset));
                }
            }
        }
        self.cut_aux(&wanted);
        for (section, offset) in wanted {
            if let Some((start, size)) = self.merged_extent(section, offset) {
                self.push_piece(section, start, size, 0);
            }
        }
        Ok(())
    }

    fn cut_alternatives(&mut self) -> Result<(), DiffError> {
        let mut pieces = BTreeSet::new();
        for section in self.object.sections_of(SectionKind::Altinstructions) {
            let bad = |problem: String| DiffError::Table {
                section: section.name.clone(),
                problem,
            };
            let step = sites::entry_size(section).unwrap_or(u64::MAX);
            for start in (0..section.size).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
                let (_, _, length) = section
                    .bytes_in(start, start.saturating_add(step))
                    .and_then(sites::alternative_fields)
                    .ok_or_else(|| bad("is not a whole number of entries".into()))?;
                let place = section
                    .reloc_at(start + 4)
                    .and_then(|r| self.object.reloc_place(r))
                    .ok_or_else(|| bad(format!("entry at {start:#x} has no replacement")))?;
                let replacement = self.object.section(place.section);
                let end = place.offset.checked_add(u64::from(length));
                if replacement.kind != SectionKind::AltinstrReplacement
                    || end.is_none_or(|end| end > replacement.size)
                {
                    return Err(bad(format!("entry at {start:#x} points elsewhere")));
                }
                pieces.insert((place.section, place.offset, u64::from(length)));
            }
        }
        for (section, start, length) in pieces {
            let id = self.push_piece(section, start, length, length);
            if length > 0 {
                self.by_section[section.0 as usize].push(id);
            }
        }
        Ok(())
    }

    fn cut_aux(&mut self, wanted: &BTreeSet<(SectionId, u64)>) {
        let sections: Vec<(SectionId, u64)> = self
            .object
            .sections_of(SectionKind::AltinstrAux)
            .map(|s| (s.id, s.size))
            .collect();
        for (section, size) in sections {
            let mut starts: Vec<u64> = wanted
                .iter()
                .filter(|(s, offset)| *s == section && *offset < size)
                .map(|(_, offset)| *offset)
                .collect();
            if size > 0 && starts.first() != Some(&0) {
                starts.insert(0, 0);
            }
            let ends: Vec<u64> = starts.iter().skip(1).copied().chain([size]).collect();
            for (start, end) in starts.into_iter().zip(ends) {
                let id = self.push_piece(section, start, end - start, 0);
                self.by_section[section.0 as usize].push(id);
            }
        }
    }

    /// The string or constant that contains the offset.
    pub(super) fn merged_extent(&self, id: SectionId, offset: u64) -> Option<(u64, u64)> {
        let section = self.object.section(id);
        match section.kind {
            SectionKind::MergeStrings => {
                let rest = section.bytes_in(offset, section.size)?;
                let unit = usize::try_from(section.entsize.max(1)).ok()?;
                let units = rest.chunks(unit).position(|c| c.iter().all(|b| *b == 0))?;
                Some((offset, ((units + 1) * unit) as u64))
            }
            SectionKind::MergeConstants => {
                let size = section.entsize.max(1);
                let start = offset - offset % size;
                section.bytes_in(start, start.checked_add(size)?)?;
                Some((start, size))
            }
            _ => None,
        }
    }
}
