//! What a field of the file refers to, against what post.o means by it.

use crate::atoms::{Link, Target};
use crate::delta::route::Ref;
use crate::diff::State;
use crate::elf::Reloc;
use crate::names::offered_name;

use super::{Check, Field, LateRecord};

impl Check<'_> {
    pub(super) fn kept_target(&self, field: &Field<'_>, kept: &Reloc) -> Result<(), String> {
        let (at, reloc, link) = (field.at, field.reloc, field.link);
        let post = &self.set.units[at.0].post;
        let symbol = post.object.symbol(reloc.symbol);
        let written = self.file.symbol(kept.symbol);
        let Some(section) = written.section() else {
            let meant = if self.set.imports(&symbol.name) {
                Some(symbol.name.clone())
            } else {
                let borrowed = self.set.borrows.get(&symbol.name);
                borrowed.map(|name| offered_name(self.set.id, name))
            };
            let same = meant.as_ref() == Some(&written.name) && kept.addend == reloc.addend;
            return if same && symbol.section().is_none() {
                Ok(())
            } else {
                Err(format!("imports {} for {}", written.name, symbol.name))
            };
        };
        // What post means, found again from its own symbol and addend.
        let (unit, target) = match link.target {
            Target::Atom(id) => (at.0, id),
            Target::External(_) => self
                .set
                .units
                .iter()
                .enumerate()
                .find_map(|(unit, d)| Some((unit, d.post.global(&symbol.name)?)))
                .ok_or_else(|| format!("{} has become local", symbol.name))?,
        };
        if !field.in_table && self.takes_address(link, (unit, target)) {
            return Err(format!(
                "takes the address of the replacement of {}",
                symbol.name
            ));
        }
        let meant = self.draft.places.get(&(unit, target));
        if meant.map(|index| *index as u32 + 1) != Some(section.0) {
            return Err(format!("refers to another section for {}", symbol.name));
        }
        let atom = &self.set.units[unit].post.atoms[target];
        let base = if symbol.section().is_some() {
            symbol.value
        } else {
            atom.start
        };
        let distance = i128::from(base) + i128::from(reloc.addend) - i128::from(atom.start);
        let written = i128::from(written.value) + i128::from(kept.addend);
        if distance != written {
            return Err(format!("another addend for {}", symbol.name));
        }
        Ok(())
    }

    /// Nothing but a call, a jump or a table may be aimed at a replacement's
    /// entry: the address of a function is that of the running one.
    fn takes_address(&self, link: &Link, to: Ref) -> bool {
        let is_entry = self.set.units[to.0].replaced.contains(&to.1) && link.target_offset() == 0;
        is_entry && !link.is_branch
    }

    pub(super) fn late_target(&self, field: &Field<'_>, late: &LateRecord) -> Result<(), String> {
        let (at, reloc, link) = (field.at, field.reloc, field.link);
        let diff = &self.set.units[at.0];
        let name = self
            .names
            .get(late.symbol as usize)
            .ok_or("late relocation against no symbol")?;
        let symbol = diff.post.object.symbol(reloc.symbol);
        let (ok, base) = match link.target {
            Target::External(_) => (*name == symbol.name, 0),
            Target::Atom(id) => {
                let was = match diff.states[id] {
                    State::Same(was) | State::Changed(was) => was,
                    _ => {
                        return Err(format!(
                            "{} is not in the running kernel",
                            diff.post.label(id)
                        ));
                    }
                };
                let known = diff.pre.symbols_of(was).any(|s| s.name == *name);
                let start = i128::from(diff.post.atoms[id].start);
                (known, i128::from(symbol.value) - start)
            }
        };
        if !ok {
            return Err(format!(
                "late relocation against {name} for {}",
                symbol.name
            ));
        }
        if i128::from(late.addend) != base + i128::from(reloc.addend) {
            return Err(format!("another addend for {name}"));
        }
        Ok(())
    }
}
