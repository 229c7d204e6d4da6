//! What belongs into a delta: the changed functions and all that only they need.

use std::collections::BTreeSet;

use crate::atoms::{Entry, Link};
use crate::diff::{Role, State, UnitDiff, role};
use crate::elf::Binding;
use crate::plan::{DataAdded, Plan, Refusal};
use crate::symvers::Symvers;

use super::route::{Origin, Ref, Route};

/// All units of one kernel object, and the atoms that go into its delta.
pub(super) struct Set<'a> {
    pub object: &'a str,
    pub units: Vec<UnitDiff>,
    pub symvers: &'a Symvers,
    /// In the order in which they are written.
    pub kept: BTreeSet<Ref>,
    refused: Vec<(usize, Refusal)>,
}

impl<'a> Set<'a> {
    pub fn new(object: &'a str, units: Vec<UnitDiff>, symvers: &'a Symvers) -> Self {
        Self {
            object,
            units,
            symvers,
            kept: BTreeSet::new(),
            refused: Vec::new(),
        }
    }

    /// Finds all atoms to keep, from the replaced and added functions on.
    pub fn collect(&mut self) {
        let mut open: Vec<Ref> = Vec::new();
        for (unit, diff) in self.units.iter().enumerate() {
            for (id, atom) in diff.post.atoms.iter().enumerate() {
                let is_new = matches!(diff.states[id], State::Changed(_) | State::Added);
                if is_new && atom.is_function() && matches!(role(atom.kind), Role::Code) {
                    open.push((unit, id));
                }
            }
        }
        let mut refused = self.overriding();
        while let Some(at) = open.pop() {
            if !self.kept.insert(at) {
                continue;
            }
            let post = &self.units[at.0].post;
            if post.atoms[at.1].is_entangled {
                let label = post.label(at.1);
                let sentence = format!("{label} shares code with a neighbour by a short jump");
                refused.push((at.0, Refusal::new("shared-code", label, sentence)));
            }
            for (entry, link) in self.links_of(at) {
                let origin = Origin {
                    unit: at.0,
                    atom: at.1,
                    entry,
                };
                match self.route(origin, link) {
                    Ok(Route::Local(to)) => open.push(to),
                    Ok(_) => {}
                    Err(refusal) => refused.push((at.0, refusal)),
                }
            }
        }
        self.refused = refused;
        if self.object != "vmlinux" {
            self.refuse_exit_changes();
        }
    }

    /// New functions and variables whose name the kernel knows already: another
    /// unit defines it (weakly, or the patch moved it from there), and whoever
    /// refers to it would go on with that.
    fn overriding(&self) -> Vec<(usize, Refusal)> {
        let mut refused = Vec::new();
        for (unit, diff) in self.units.iter().enumerate() {
            for id in 0..diff.post.atoms.len() {
                let is_new = diff.states[id] == State::Added;
                if !is_new || !matches!(role(diff.post.atoms[id].kind), Role::Code | Role::Data) {
                    continue;
                }
                let visible = diff.post.symbols_of(id);
                let visible = visible.filter(|s| s.binding != Binding::Local);
                for name in visible.map(|s| s.name.as_str()) {
                    if self.is_known(name) {
                        let sentence = format!(
                            "another unit of the kernel defines {name} already, and whoever refers to it would go on with that one"
                        );
                        refused.push((unit, Refusal::new("defined-elsewhere", name, sentence)));
                    }
                }
            }
        }
        refused
    }

    /// Whether the kernel before the change has a global symbol of that name.
    fn is_known(&self, name: &str) -> bool {
        let refers = |diff: &UnitDiff| {
            let symbols = &diff.pre.object.symbols;
            symbols
                .iter()
                .any(|s| s.name == name && s.binding != Binding::Local)
        };
        self.symvers.get(name).is_some() || self.units.iter().any(refers)
    }

    /// An atom's own links and those of its table entries.
    pub fn links_of(&self, at: Ref) -> impl Iterator<Item = (Option<&Entry>, &Link)> {
        let atom = &self.units[at.0].post.atoms[at.1];
        let own = atom.links.iter().map(|l| (None, l));
        let entries = atom.entries.iter();
        own.chain(entries.flat_map(|e| e.links.iter().map(move |l| (Some(e), l))))
    }

    fn refuse_exit_changes(&mut self) {
        for (unit, diff) in self.units.iter().enumerate() {
            for name in &diff.plan.exit_changed {
                let sentence =
                    format!("{name} is code of the module's exit, which is not replaced");
                self.refused
                    .push((unit, Refusal::new("exit-changed", name, sentence)));
            }
        }
    }

    /// The plan, with what collecting found.
    pub fn plan(&self) -> Plan {
        let mut units: Vec<_> = self.units.iter().map(|d| d.plan.clone()).collect();
        for (unit, refusal) in &self.refused {
            if !units[*unit].refused.contains(refusal) {
                units[*unit].refused.push(refusal.clone());
            }
        }
        for at in &self.kept {
            let post = &self.units[at.0].post;
            let atom = &post.atoms[at.1];
            if atom.kind.is_code() || atom.is_content {
                continue;
            }
            units[at.0].data_added.push(DataAdded {
                name: post.label(at.1),
                size: atom.size,
                section: post.section_of(at.1).name.clone(),
            });
        }
        Plan {
            object: self.object.to_owned(),
            units,
        }
    }
}
