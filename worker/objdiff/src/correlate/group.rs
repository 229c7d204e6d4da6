//! Atoms that share a name but for its counter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::atoms::{AtomId, Target, Unit};
use crate::compare::{masked, section_class};
use crate::elf::SectionKind;
use crate::names;

use super::Correlation;

/// Ways to tell members of a group apart, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The same functions refer to it, and it has the same contents.
    ReferrersAndContents,
    /// The same functions refer to it.
    Referrers,
    /// Some function refers to both, and it has the same contents.
    SharedReferrerAndContents,
    /// Some function refers to both.
    SharedReferrer,
    /// A clone of a function with the very same name.
    CloneName,
}

pub(super) const RULES: [Rule; 5] = [
    Rule::ReferrersAndContents,
    Rule::Referrers,
    Rule::SharedReferrerAndContents,
    Rule::SharedReferrer,
    Rule::CloneName,
];

struct Member {
    id: AtomId,
    name: String,
    is_code: bool,
    class: String,
    /// Read-only, and refers to nothing.
    is_constant_bytes: bool,
    /// Source functions and variables that refer to it.
    referrers: BTreeSet<String>,
    contents: Vec<u8>,
}

pub(super) struct Group {
    stem: String,
    pre: Vec<Member>,
    post: Vec<Member>,
}

/// All groups, by stem.
pub(super) fn groups(pre: &Unit, post: &Unit) -> Vec<Group> {
    let mut by_stem: BTreeMap<String, (Vec<Member>, Vec<Member>)> = BTreeMap::new();
    for member in members(pre) {
        by_stem
            .entry(names::normalise(&member.name))
            .or_default()
            .0
            .push(member);
    }
    for member in members(post) {
        by_stem
            .entry(names::normalise(&member.name))
            .or_default()
            .1
            .push(member);
    }
    by_stem
        .into_iter()
        .map(|(stem, (pre, post))| Group { stem, pre, post })
        .collect()
}

fn members(unit: &Unit) -> Vec<Member> {
    let mut referrers: HashMap<AtomId, BTreeSet<String>> = HashMap::new();
    for (id, atom) in unit.atoms.iter().enumerate() {
        let Some(name) = unit.name_of(id) else {
            continue;
        };
        let source = names::source_function(name);
        let in_entries = atom.entries.iter().flat_map(|e| &e.links);
        for link in atom.links.iter().chain(in_entries) {
            if let Target::Atom(target) = link.target
                && target != id
            {
                referrers
                    .entry(target)
                    .or_default()
                    .insert(source.to_owned());
            }
        }
    }
    let mut members = Vec::new();
    for (id, atom) in unit.atoms.iter().enumerate() {
        let Some(name) = unit.name_of(id) else {
            continue;
        };
        if atom.is_content || !names::is_numbered(name) {
            continue;
        }
        members.push(Member {
            id,
            name: name.to_owned(),
            is_code: atom.kind.is_code(),
            class: section_class(unit, id).to_owned(),
            is_constant_bytes: atom.kind == SectionKind::Rodata && atom.links.is_empty(),
            referrers: referrers.remove(&id).unwrap_or_default(),
            contents: contents(unit, id, 0),
        });
    }
    members
}

/// Contents with references by name, or by contents where there is none.
fn contents(unit: &Unit, id: AtomId, depth: u32) -> Vec<u8> {
    let mut out = masked(unit, id);
    out.extend_from_slice(&unit.atoms[id].size.to_le_bytes());
    for link in &unit.atoms[id].links {
        out.extend_from_slice(&link.addend.to_le_bytes());
        match link.target {
            Target::External(symbol) => {
                out.extend_from_slice(unit.object.symbol(symbol).name.as_bytes());
            }
            Target::Atom(target) if unit.atoms[target].is_content && depth < 2 => {
                out.extend_from_slice(&contents(unit, target, depth + 1));
            }
            Target::Atom(target) => {
                let name = unit.name_of(target).unwrap_or_default();
                out.extend_from_slice(names::normalise(name).as_bytes());
            }
        }
        out.push(0);
    }
    out
}

impl Rule {
    fn allows(self, a: &Member, b: &Member) -> bool {
        let shared = a.referrers.iter().any(|r| b.referrers.contains(r));
        let contents = a.contents == b.contents;
        a.is_code == b.is_code
            && a.class == b.class
            && match self {
                Self::ReferrersAndContents => a.referrers == b.referrers && contents,
                Self::Referrers => a.referrers == b.referrers && !a.referrers.is_empty(),
                Self::SharedReferrerAndContents => shared && contents,
                Self::SharedReferrer => shared,
                Self::CloneName => a.is_code && a.name == b.name,
            }
    }
}

impl Group {
    /// Pairs members that only fit each other. Says whether it found any.
    pub fn settle(
        &self,
        rule: Rule,
        pre: &Unit,
        post: &Unit,
        correlation: &mut Correlation,
    ) -> bool {
        let open_pre: Vec<&Member> = self
            .pre
            .iter()
            .filter(|m| correlation.post_of(m.id).is_none())
            .collect();
        let open_post: Vec<&Member> = self
            .post
            .iter()
            .filter(|m| correlation.pre_of(m.id).is_none())
            .collect();
        let mut found = Vec::new();
        for a in &open_pre {
            let mut fits = open_post.iter().filter(|b| rule.allows(a, b));
            let (Some(b), None) = (fits.next(), fits.next()) else {
                continue;
            };
            if open_pre.iter().filter(|m| rule.allows(m, b)).count() == 1 {
                found.push((a.id, b.id));
            }
        }
        for (a, b) in &found {
            debug_assert!(pre.atoms.len() > *a && post.atoms.len() > *b);
            correlation.pair(*a, *b);
        }
        !found.is_empty()
    }

    /// Members of post that may be one of several of pre. State that may start
    /// afresh is taken for new instead, and so are constant bytes, of which a
    /// copy is as good: messages of `NL_SET_ERR_MSG` and the like.
    pub fn mark_ambiguous(&self, correlation: &mut Correlation) {
        if names::may_start_afresh(&self.stem) {
            return;
        }
        for b in &self.post {
            let might_be = |a: &&Member| {
                correlation.post_of(a.id).is_none()
                    && a.is_code == b.is_code
                    && (a.referrers.is_empty()
                        || b.referrers.is_empty()
                        || a.referrers.iter().any(|r| b.referrers.contains(r)))
            };
            if !b.is_code
                && !b.is_constant_bytes
                && correlation.pre_of(b.id).is_none()
                && self.pre.iter().any(|a| might_be(&a))
            {
                correlation.ambiguous.insert(b.id);
            }
        }
    }
}
