//! Which atom of post is which atom of pre.
//!
//! Plain names identify. Names that carry a compiler's counter do not: such an
//! atom is recognised by where unchanged code refers to it, then by which
//! functions refer to it and what it contains. What stays ambiguous is said,
//! never guessed.

mod group;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::atoms::{AtomId, Target, Unit};
use crate::compare::{Comparer, masked};
use crate::elf::SectionKind;
use crate::names;

/// Pairs of atoms with an identity.
#[derive(Default)]
pub(crate) struct Correlation {
    to_post: HashMap<AtomId, AtomId>,
    to_pre: HashMap<AtomId, AtomId>,
    /// Atoms of post that may be one of several of pre.
    pub ambiguous: HashSet<AtomId>,
}

impl Correlation {
    /// The atom of post that an atom of pre became.
    pub fn post_of(&self, pre: AtomId) -> Option<AtomId> {
        self.to_post.get(&pre).copied()
    }

    /// The atom of pre that an atom of post was.
    pub fn pre_of(&self, post: AtomId) -> Option<AtomId> {
        self.to_pre.get(&post).copied()
    }

    fn pair(&mut self, pre: AtomId, post: AtomId) {
        self.to_post.insert(pre, post);
        self.to_pre.insert(post, pre);
    }

    /// Takes a pair apart: the atom of pre is gone, the one of post is new.
    pub fn part(&mut self, pre: AtomId, post: AtomId) {
        self.to_post.remove(&pre);
        self.to_pre.remove(&post);
    }

    fn is_open(&self, pre: AtomId, post: AtomId) -> bool {
        !self.to_post.contains_key(&pre) && !self.to_pre.contains_key(&post)
    }

    /// Correlates all atoms of two units.
    pub fn new(pre: &Unit, post: &Unit) -> Self {
        let mut correlation = Self::default();
        correlation.pair_by_name(pre, post);
        correlation.pair_nameless(pre, post);
        correlation.pair_btf_ids(pre, post);
        let groups = group::groups(pre, post);
        correlation.pair_by_place(pre, post);
        for rule in group::RULES {
            // Each pair may settle others through the code that refers to both.
            for group in &groups {
                while group.settle(rule, pre, post, &mut correlation) {
                    correlation.pair_by_place(pre, post);
                }
            }
        }
        for group in &groups {
            group.mark_ambiguous(&mut correlation);
        }
        correlation.part_what_starts_afresh(pre, post);
        correlation
    }

    /// A message's state whose message changed is new state.
    fn part_what_starts_afresh(&mut self, pre: &Unit, post: &Unit) {
        let comparer = Comparer::new(pre, post, self);
        let parted: Vec<(AtomId, AtomId)> = self
            .to_post
            .iter()
            .filter(|(a, _)| !pre.atoms[**a].kind.is_code())
            .filter(|(a, _)| {
                let name = pre.name_of(**a).unwrap_or_default();
                names::is_numbered(name) && names::may_start_afresh(name)
            })
            .filter(|(a, b)| comparer.difference(**a, **b).is_some())
            .map(|(a, b)| (*a, *b))
            .collect();
        for (a, b) in parted {
            self.part(a, b);
        }
    }

    fn pair_by_name(&mut self, pre: &Unit, post: &Unit) {
        for a in 0..pre.atoms.len() {
            for symbol in pre.symbols_of(a) {
                let Some(b) = post.named(&symbol.name) else {
                    continue;
                };
                let kinds = (pre.atoms[a].kind.is_code(), post.atoms[b].kind.is_code());
                let content = pre.atoms[a].is_content || post.atoms[b].is_content;
                if !names::is_numbered(&symbol.name)
                    && kinds.0 == kinds.1
                    && !content
                    && self.is_open(a, b)
                {
                    self.pair(a, b);
                }
            }
        }
    }

    /// What has no name at all is told by its section and order.
    fn pair_nameless(&mut self, pre: &Unit, post: &Unit) {
        let nameless = |unit: &Unit| {
            let mut found: BTreeMap<String, Vec<AtomId>> = BTreeMap::new();
            for (id, atom) in unit.atoms.iter().enumerate() {
                if atom.symbols.is_empty() && !atom.is_content {
                    let name = unit.section_of(id).name.clone();
                    found.entry(name).or_default().push(id);
                }
            }
            found
        };
        let posts = nameless(post);
        for (section, pres) in nameless(pre) {
            for (a, b) in pres.iter().zip(posts.get(&section).into_iter().flatten()) {
                self.pair(*a, *b);
            }
        }
    }

    /// An id may be in several sets of a unit; if all of them are still there in
    /// the same order, each is the one in its place.
    fn pair_btf_ids(&mut self, pre: &Unit, post: &Unit) {
        let ids = |unit: &Unit| -> Vec<(String, AtomId)> {
            let atoms = unit.atoms.iter().enumerate();
            let of_kind = atoms.filter(|(_, atom)| atom.kind == SectionKind::BtfIds);
            of_kind
                .map(|(id, _)| (names::normalise(&unit.label(id)), id))
                .collect()
        };
        let (pres, posts) = (ids(pre), ids(post));
        let names = |ids: &[(String, AtomId)]| -> Vec<String> {
            ids.iter().map(|(name, _)| name.clone()).collect()
        };
        if names(&pres) != names(&posts) {
            return;
        }
        for ((_, a), (_, b)) in pres.into_iter().zip(posts) {
            if self.is_open(a, b) {
                self.pair(a, b);
            }
        }
    }

    /// Code that did not change refers to the same things in the same places.
    fn pair_by_place(&mut self, pre: &Unit, post: &Unit) {
        loop {
            let votes = self.votes(pre, post);
            let mut by_post: HashMap<AtomId, HashSet<AtomId>> = HashMap::new();
            for (a, targets) in &votes {
                for b in targets {
                    by_post.entry(*b).or_default().insert(*a);
                }
            }
            let mut settled = Vec::new();
            for (a, targets) in &votes {
                if let Some(b) = only(targets)
                    && by_post.get(&b).and_then(only) == Some(*a)
                {
                    settled.push((*a, b));
                }
            }
            if settled.is_empty() {
                return;
            }
            for (a, b) in settled {
                self.pair(a, b);
            }
        }
    }

    /// For open atoms of pre: the open atoms of post that unchanged code
    /// refers to in the same places.
    fn votes(&self, pre: &Unit, post: &Unit) -> HashMap<AtomId, HashSet<AtomId>> {
        let mut votes: HashMap<AtomId, HashSet<AtomId>> = HashMap::new();
        for (a, b) in &self.to_post {
            let (from, to) = (&pre.atoms[*a], &post.atoms[*b]);
            let same_shape =
                from.size == to.size
                    && from.links.len() == to.links.len()
                    && from.links.iter().zip(&to.links).all(|(l, m)| {
                        l.offset == m.offset && l.kind == m.kind && l.addend == m.addend
                    });
            if !same_shape || !has_numbered(pre, *a) || masked(pre, *a) != masked(post, *b) {
                continue;
            }
            let entries = from.entries.iter().zip(&to.entries);
            let in_entries = entries
                .filter(|(e, f)| e.kind == f.kind && e.owner_offset() == f.owner_offset())
                .flat_map(|(e, f)| e.links.iter().zip(&f.links));
            for (l, m) in from.links.iter().zip(&to.links).chain(in_entries) {
                if let (Target::Atom(p), Target::Atom(q)) = (l.target, m.target)
                    && self.is_open(p, q)
                    && !pre.atoms[p].is_content
                    && !post.atoms[q].is_content
                    && same_stem(pre, p, post, q)
                {
                    votes.entry(p).or_default().insert(q);
                }
            }
        }
        votes
    }
}

fn only(set: &HashSet<AtomId>) -> Option<AtomId> {
    (set.len() == 1).then(|| set.iter().next().copied())?
}

fn has_numbered(unit: &Unit, id: AtomId) -> bool {
    let atom = &unit.atoms[id];
    let links = atom.entries.iter().flat_map(|e| &e.links);
    atom.links
        .iter()
        .chain(links)
        .any(|link| match link.target {
            Target::Atom(target) => unit.name_of(target).is_some_and(names::is_numbered),
            Target::External(_) => false,
        })
}

fn same_stem(pre: &Unit, p: AtomId, post: &Unit, q: AtomId) -> bool {
    match (pre.name_of(p), post.name_of(q)) {
        (Some(a), Some(b)) => names::normalise(a) == names::normalise(b),
        _ => false,
    }
}
