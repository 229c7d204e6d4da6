//! What belongs into a delta: the changed functions and all that only they need.

use std::collections::{BTreeMap, BTreeSet};

use crate::atoms::{Entry, Link};
use crate::diff::{Role, State, UnitDiff, role};
use crate::elf::{Binding, Definition, SectionKind};
use crate::plan::{DataAdded, Plan, Refusal};
use crate::symvers::Symvers;

use super::route::{Origin, Ref, Route};

/// All units of one kernel object, and the atoms that go into its delta.
pub(super) struct Set<'a> {
    /// The update's.
    pub id: &'a str,
    pub object: &'a str,
    pub units: Vec<UnitDiff>,
    pub symvers: &'a Symvers,
    /// New functions that other parts call.
    pub offers: BTreeMap<String, Ref>,
    /// New functions of vmlinux's part that this one calls; until all is
    /// collected, those that it might.
    pub borrows: BTreeSet<String>,
    /// In the order in which they are written.
    pub kept: BTreeSet<Ref>,
    refused: Vec<(usize, Refusal)>,
    /// What of it others may hold by its address.
    held: BTreeSet<Ref>,
}

impl<'a> Set<'a> {
    pub fn new(id: &'a str, object: &'a str, units: Vec<UnitDiff>, symvers: &'a Symvers) -> Self {
        Self {
            id,
            object,
            units,
            symvers,
            offers: BTreeMap::new(),
            borrows: BTreeSet::new(),
            kept: BTreeSet::new(),
            refused: Vec::new(),
            held: BTreeSet::new(),
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
        let mut held = Vec::new();
        let mut refused = self.overriding();
        refused.extend(self.collect_exchanges(&mut open));
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
            if let Some(refusal) = super::constants::refusal(post, at.1) {
                refused.push((at.0, refusal));
            }
            for (entry, link) in self.links_of(at) {
                let origin = Origin {
                    unit: at.0,
                    atom: at.1,
                    entry,
                };
                match self.route(origin, link) {
                    Ok(Route::Local(to)) => {
                        if self.hands_out(entry, link, to) {
                            held.push(to);
                        }
                        open.push(to);
                    }
                    Ok(_) => {}
                    Err(refusal) => refused.push((at.0, refusal)),
                }
            }
        }
        self.held.extend(held);
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

    /// Whether the update may leave the symbol to the module loader.
    pub fn imports(&self, name: &str) -> bool {
        let symbols = self.units.iter().flat_map(|d| &d.pre.object.symbols);
        let undefined = symbols.filter(|s| s.definition == Definition::Undefined);
        let refers = undefined.map(|s| s.name.as_str());
        self.symvers.is_importable(name) || self.symvers.is_of_needed(name, self.object, refers)
    }

    /// An atom's own links and those of its table entries that are kept.
    pub fn links_of(&self, at: Ref) -> impl Iterator<Item = (Option<&Entry>, &Link)> {
        let atom = &self.units[at.0].post.atoms[at.1];
        let own = atom.links.iter().map(|l| (None, l));
        let entries = super::tables::kept(atom);
        own.chain(entries.flat_map(|e| e.links.iter().map(move |l| (Some(e), l))))
    }

    /// A name for a reader; strings are quoted.
    fn held_name(&self, at: Ref) -> String {
        const SHOWN_BYTES: usize = 40;
        let post = &self.units[at.0].post;
        let bytes = post.bytes_of(at.1);
        match bytes.split_last() {
            Some((0, text)) if post.atoms[at.1].kind == SectionKind::MergeStrings => {
                let shown = &text[..text.len().min(SHOWN_BYTES)];
                format!("{:?}", String::from_utf8_lossy(shown))
            }
            _ => post.label(at.1),
        }
    }

    /// What exchanged data need; refusals if that can't be had.
    fn collect_exchanges(&mut self, open: &mut Vec<Ref>) -> Vec<(usize, Refusal)> {
        let mut refused = Vec::new();
        let mut held = Vec::new();
        for (unit, diff) in self.units.iter().enumerate() {
            for exchange in &diff.exchanges {
                let origin = Origin {
                    unit,
                    atom: exchange.id,
                    entry: None,
                };
                let links = &diff.post.atoms[exchange.id].links;
                for link in links.iter().filter(|l| exchange.has(l)) {
                    match self.route(origin, link) {
                        Ok(Route::Local(to)) => held.push(to),
                        Ok(_) => {}
                        Err(refusal) => refused.push((unit, refusal)),
                    }
                }
                let links = &diff.pre.atoms[exchange.was].links;
                for link in links.iter().filter(|l| exchange.has(l)) {
                    if let Err(refusal) = self.route_before(unit, link) {
                        refused.push((unit, refusal));
                    }
                }
            }
        }
        open.extend(&held);
        self.held.extend(held);
        refused
    }

    /// Whether a reference gives others an address that they may keep: of new
    /// code, or of new data in place of old.
    fn hands_out(&self, entry: Option<&Entry>, link: &Link, to: Ref) -> bool {
        let diff = &self.units[to.0];
        let is_function = diff.post.atoms[to.1].is_function() && link.target_offset() == 0;
        entry.is_none() && ((is_function && !link.is_branch) || diff.resized.contains(&to.1))
    }

    /// Notes that another part gives others the addresses of offered functions.
    pub fn hold<'n>(&mut self, names: impl Iterator<Item = &'n String>) {
        let held = names.filter_map(|name| self.offers.get(name));
        self.held.extend(held.copied());
    }

    /// Whether the update has to stay loaded also when it is undone.
    pub fn stays(&self) -> bool {
        !self.held.is_empty() || self.leaves_exit()
    }

    /// Whether the module's exit changes and is left as it is. That is right as long as
    /// the module can't go: the old exit never meets what new code has done.
    fn leaves_exit(&self) -> bool {
        let mut changed = self
            .units
            .iter()
            .filter(|d| !d.plan.exit_changed.is_empty());
        self.object != "vmlinux" && self.has_code() && changed.any(|diff| diff.exits_are_apart)
    }

    /// Whether something of the object is replaced, so that the update holds it.
    fn has_code(&self) -> bool {
        let has = |diff: &UnitDiff| !diff.replaced.is_empty() || !diff.exchanges.is_empty();
        self.units.iter().any(has)
    }

    fn refuse_exit_changes(&mut self) {
        let has_code = self.has_code();
        for (unit, diff) in self.units.iter().enumerate() {
            let why = match (diff.exits_are_apart, has_code) {
                (true, true) => continue,
                (true, false) => "nothing else of the module changes",
                (false, _) => "it may run before the module goes",
            };
            for name in &diff.plan.exit_changed {
                let sentence = format!(
                    "{name} is code of the module's exit, which is not replaced, and {why}, so that needs a declaration"
                );
                let refusal = Refusal::new("exit-changed", name, sentence);
                self.refused.push((unit, refusal));
            }
        }
    }

    /// The plan, with what collecting found.
    pub fn plan(&self) -> Plan {
        let mut units: Vec<_> = self.units.iter().map(|d| d.plan.clone()).collect();
        for at in &self.held {
            units[at.0].held.push(self.held_name(*at));
        }
        if self.leaves_exit() {
            for unit in &mut units {
                unit.exit_left.clone_from(&unit.exit_changed);
            }
        }
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
            offers: self.offers.keys().cloned().collect(),
            borrows: self.borrows.iter().cloned().collect(),
            units,
        }
    }
}
