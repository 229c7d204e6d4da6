//! From relocations to links.

use crate::elf::{Reloc, RelocKind, Section, SectionId, SectionKind, SymbolKind};
use crate::error::DiffError;

use super::cut::table_entry_bytes;
use super::fields::Fields;
use super::{AtomId, Entry, Link, OrcState, Target, Unit};
use crate::sites::alternative_fields;

fn bad(section: &Section, offset: u64, problem: impl Into<String>) -> DiffError {
    DiffError::Reference {
        section: section.name.clone(),
        offset,
        problem: problem.into(),
    }
}

impl Unit {
    /// The byte of this object that a relocation means, and its field's tail;
    /// `None` if its symbol is defined elsewhere, or if nobody can tell.
    pub(super) fn place_of(
        &self,
        section: &Section,
        reloc: &Reloc,
        fields: &Fields,
    ) -> Result<Option<(SectionId, u64, i64)>, DiffError> {
        let symbol = self.object.symbol(reloc.symbol);
        let Some(target) = symbol.section() else {
            return Ok(None);
        };
        let mut tail = 0;
        if reloc.kind.is_relative() && section.kind.is_code() {
            tail = fields
                .get(&(section.id, reloc.offset))
                .ok_or_else(|| bad(section, reloc.offset, "lies in no instruction's field"))?
                .tail;
        }
        let place = reloc
            .addend
            .checked_add(tail)
            .and_then(|distance| symbol.value.checked_add_signed(distance))
            .filter(|offset| *offset <= self.object.section(target).size);
        match place {
            Some(offset) => Ok(Some((target, offset, tail))),
            // A biased base of an array, such as `table - 8(,%rax,8)`: clear if
            // the object is alone in its section or has a symbol of its own.
            None if symbol.kind != SymbolKind::Section || self.is_alone(target) => {
                Ok(Some((target, symbol.value, tail)))
            }
            // The same where variables share a section: of no one in particular.
            None if self.is_shipped && !self.object.section(target).kind.is_code() => Ok(None),
            None => Err(bad(
                section,
                reloc.offset,
                format!("refers to a byte outside {}", symbol.name),
            )),
        }
    }

    fn is_alone(&self, section: SectionId) -> bool {
        self.by_section[section.0 as usize].len() == 1
    }

    fn link(
        &self,
        section: &Section,
        reloc: &Reloc,
        start: u64,
        fields: &Fields,
    ) -> Result<Link, DiffError> {
        let field = fields.get(&(section.id, reloc.offset));
        let mut link = Link {
            offset: reloc.offset - start,
            kind: reloc.kind,
            target: Target::External(reloc.symbol),
            addend: reloc.addend,
            tail: 0,
            is_branch: field.is_some_and(|f| f.is_branch),
            is_filled_in: false,
        };
        let Some((target, offset, tail)) = self.place_of(section, reloc, fields)? else {
            return Ok(link);
        };
        let symbol = self.object.symbol(reloc.symbol);
        let atom = self
            .atom_at(target, symbol.kind, symbol.value, offset)
            .ok_or_else(|| {
                let name = &self.object.section(target).name;
                bad(
                    section,
                    reloc.offset,
                    format!("refers into {name}, where nothing is"),
                )
            })?;
        link.target = Target::Atom(atom);
        link.addend = i64::try_from(symbol.value)
            .ok()
            .and_then(|v| v.checked_add(reloc.addend))
            .and_then(|v| v.checked_sub_unsigned(self.atoms[atom].start))
            .ok_or_else(|| bad(section, reloc.offset, "addend out of range"))?;
        link.tail = tail;
        Ok(link)
    }

    fn atom_at(
        &self,
        section: SectionId,
        symbol: SymbolKind,
        value: u64,
        offset: u64,
    ) -> Option<AtomId> {
        let kind = self.object.section(section).kind;
        if kind.is_merged() {
            let (start, _) = self.merged_extent(section, offset)?;
            return self.pieces.get(&(section, start, 0)).copied();
        }
        if matches!(symbol, SymbolKind::Function | SymbolKind::Data) {
            // What a named object is meant for, its addend can't change.
            return self.covering(section, value);
        }
        self.covering(section, offset)
    }

    /// Gives every atom its links.
    pub(super) fn link_atoms(&mut self, fields: &Fields) -> Result<(), DiffError> {
        for id in 0..self.atoms.len() {
            let atom = &self.atoms[id];
            let section = self.object.section(atom.section);
            let links: Result<Vec<_>, _> = section
                .relocs_in(atom.start, atom.end())
                .iter()
                .map(|r| self.link(section, r, atom.start, fields))
                .collect();
            self.atoms[id].links = links?;
            self.link_filled_in(id, fields);
        }
        Ok(())
    }

    /// Calls and jumps between functions of one section, which the assembler
    /// resolved without leaving a relocation.
    fn link_filled_in(&mut self, id: AtomId, fields: &Fields) {
        let atom = &self.atoms[id];
        let (section, start, end) = (atom.section, atom.start, atom.end());
        if !atom.kind.is_code() || atom.is_content || self.is_alone(section) {
            return;
        }
        let mut found = Vec::new();
        let mut is_entangled = false;
        for ((_, offset), field) in fields.range((section, start)..(section, end)) {
            let has_reloc = self.object.section(section).reloc_at(*offset).is_some();
            let Some(to) = field
                .leads_to
                .filter(|to| !has_reloc && !(start..end).contains(to))
            else {
                continue;
            };
            let target = self.covering(section, to).filter(|_| field.width == 4);
            let Some(target) = target else {
                is_entangled = true;
                continue;
            };
            let inside = to - self.atoms[target].start;
            found.push(Link {
                offset: offset - start,
                kind: if field.is_branch {
                    RelocKind::Plt32
                } else {
                    RelocKind::Pc32
                },
                target: Target::Atom(target),
                addend: i64::try_from(inside)
                    .unwrap_or(i64::MAX)
                    .saturating_sub(field.tail),
                tail: field.tail,
                is_branch: field.is_branch,
                is_filled_in: true,
            });
        }
        let atom = &mut self.atoms[id];
        atom.is_entangled = is_entangled;
        atom.links.append(&mut found);
        atom.links.sort_by_key(|l| l.offset);
    }

    /// Hangs the entries of all tables on the code they are about.
    pub(super) fn attach_entries(&mut self, fields: &Fields) -> Result<(), DiffError> {
        let mut found = Vec::new();
        for section in &self.object.sections {
            let Some(step) = table_entry_bytes(section) else {
                continue;
            };
            for start in (0..section.size).step_by(step as usize) {
                found.push(self.entry(section, start, step, fields)?);
            }
        }
        for (owner, entry) in found {
            self.atoms[owner].entries.push(entry);
        }
        for atom in &mut self.atoms {
            atom.entries
                .sort_by_key(|e| (e.kind, e.owner_offset(), e.section, e.start));
        }
        Ok(())
    }

    fn entry(
        &self,
        section: &Section,
        start: u64,
        step: u64,
        fields: &Fields,
    ) -> Result<(AtomId, Entry), DiffError> {
        let table = |problem: String| DiffError::Table {
            section: section.name.clone(),
            problem,
        };
        let bytes = section
            .bytes_in(start, start.saturating_add(step))
            .ok_or_else(|| table("is not a whole number of entries".into()))?
            .to_vec();
        let mut links = Vec::new();
        for reloc in section.relocs_in(start, start + step) {
            let mut link = self.link(section, reloc, start, fields)?;
            if section.kind == SectionKind::Altinstructions && link.offset == 4 {
                let place = self.object.reloc_place(reloc);
                let piece = place.and_then(|p| {
                    let (_, _, length) = alternative_fields(&bytes)?;
                    let length = u64::from(length);
                    self.pieces.get(&(p.section, p.offset, length)).copied()
                });
                link.target = Target::Atom(
                    piece.ok_or_else(|| table(format!("entry at {start:#x} points elsewhere")))?,
                );
                link.addend = 0;
            }
            links.push(link);
        }
        match links.first() {
            Some(Link {
                offset: 0,
                target: Target::Atom(owner),
                ..
            }) if self.atoms[*owner].kind.is_code() => {
                let owner = *owner;
                let entry = Entry {
                    kind: section.kind,
                    section: section.id,
                    start,
                    bytes,
                    links,
                };
                Ok((owner, entry))
            }
            _ => Err(table(format!(
                "entry at {start:#x} is about no code of this object"
            ))),
        }
    }

    /// Reads `.orc_unwind` and `.orc_unwind_ip`, which go in step.
    pub(super) fn read_orc(&mut self) -> Result<(), DiffError> {
        let Some(states) = self.object.sections_of(SectionKind::OrcUnwind).next() else {
            return Ok(());
        };
        let bad = |problem: String| DiffError::Table {
            section: states.name.clone(),
            problem,
        };
        let places = self
            .object
            .sections_of(SectionKind::OrcUnwindIp)
            .next()
            .ok_or_else(|| bad("has no .orc_unwind_ip".into()))?;
        if states.size % 6 != 0 || states.size / 6 * 4 != places.size {
            return Err(bad("does not go in step with .orc_unwind_ip".into()));
        }
        let mut orc = vec![Vec::new(); self.object.sections.len()];
        for (index, state) in states.bytes.chunks_exact(6).enumerate() {
            let place = places
                .reloc_at(index as u64 * 4)
                .and_then(|r| self.object.reloc_place(r))
                .ok_or_else(|| bad(format!("entry {index} is about nothing here")))?;
            let mut copy = [0; 6];
            copy.copy_from_slice(state);
            orc[place.section.0 as usize].push(OrcState {
                offset: place.offset,
                state: copy,
            });
        }
        for list in &mut orc {
            list.sort_by_key(|s: &OrcState| s.offset);
        }
        self.orc = orc;
        Ok(())
    }
}
