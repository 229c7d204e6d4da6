//! Whether two atoms are the same, relocations taken for what they mean.

mod spans;

use std::cell::RefCell;
use std::collections::HashMap;

use crate::atoms::{Atom, AtomId, Entry, Link, Target, Unit};
use crate::correlate::Correlation;
use crate::elf::SectionKind;

/// Constants that point to constants; deeper ones count as different.
const MAX_DEPTH: u32 = 64;

/// Compares atoms of pre and post.
pub(crate) struct Comparer<'a> {
    pub pre: &'a Unit,
    pub post: &'a Unit,
    pub correlation: &'a Correlation,
    memo: RefCell<HashMap<(AtomId, AtomId), Option<&'static str>>>,
}

impl<'a> Comparer<'a> {
    pub fn new(pre: &'a Unit, post: &'a Unit, correlation: &'a Correlation) -> Self {
        Self {
            pre,
            post,
            correlation,
            memo: RefCell::default(),
        }
    }

    /// What is different between two atoms; `None` if they are the same.
    pub fn difference(&self, a: AtomId, b: AtomId) -> Option<&'static str> {
        self.difference_at(a, b, 0)
    }

    fn difference_at(&self, a: AtomId, b: AtomId, depth: u32) -> Option<&'static str> {
        if depth > MAX_DEPTH {
            return Some("constants nested too deep");
        }
        if let Some(known) = self.memo.borrow().get(&(a, b)) {
            return *known;
        }
        // Constants that refer to each other are the same unless shown otherwise.
        self.memo.borrow_mut().insert((a, b), None);
        let found = self.compare(a, b, depth);
        self.memo.borrow_mut().insert((a, b), found);
        found
    }

    fn compare(&self, a: AtomId, b: AtomId, depth: u32) -> Option<&'static str> {
        let (pre, post) = (&self.pre.atoms[a], &self.post.atoms[b]);
        if pre.kind != post.kind || section_class(self.pre, a) != section_class(self.post, b) {
            return Some("lies in another kind of section");
        }
        if pre.size != post.size {
            return Some("has another size");
        }
        if pre.links.len() != post.links.len() {
            return Some("has other references");
        }
        if masked(self.pre, a) != masked(self.post, b) {
            return Some("has other contents");
        }
        if !pre
            .links
            .iter()
            .zip(&post.links)
            .all(|(l, m)| self.same_link(l, m, depth))
        {
            return Some("refers to something else");
        }
        if !self.same_entries(pre, post, depth) {
            return Some("has other table entries");
        }
        None
    }

    fn same_entries(&self, pre: &Atom, post: &Atom, depth: u32) -> bool {
        pre.entries.len() == post.entries.len()
            && pre
                .entries
                .iter()
                .zip(&post.entries)
                .all(|(e, f)| self.same_entry(e, f, depth))
    }

    fn same_entry(&self, e: &Entry, f: &Entry, depth: u32) -> bool {
        e.kind == f.kind
            && without_line(e) == without_line(f)
            && e.links.len() == f.links.len()
            && e.owner_offset() == f.owner_offset()
            // The first link is the atom itself.
            && e.links[1..]
                .iter()
                .zip(&f.links[1..])
                .all(|(l, m)| self.same_link(l, m, depth))
    }

    fn same_link(&self, l: &Link, m: &Link, depth: u32) -> bool {
        l.offset == m.offset
            && l.kind.means_same(m.kind)
            && l.addend == m.addend
            && l.tail == m.tail
            && self.same_target(l.target, m.target, depth)
    }

    fn same_target(&self, l: Target, m: Target, depth: u32) -> bool {
        match (l, m) {
            (Target::External(s), Target::External(t)) => {
                let (s, t) = (self.pre.object.symbol(s), self.post.object.symbol(t));
                s.name == t.name && s.definition == t.definition && s.value == t.value
            }
            (Target::Atom(a), Target::Atom(b)) => {
                match (self.pre.atoms[a].is_content, self.post.atoms[b].is_content) {
                    (true, true) => self.difference_at(a, b, depth + 1).is_none(),
                    (false, false) => self.correlation.post_of(a) == Some(b),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// The section's name without the atom's own part: `.text.f` → `.text`,
/// while `.sched.text` and `.data..read_mostly` stay as they are.
pub(crate) fn section_class(unit: &Unit, id: AtomId) -> &str {
    const SPLIT: [&str; 5] = [".text.unlikely", ".text", ".data", ".rodata", ".bss"];
    let name = unit.section_of(id).name.as_str();
    SPLIT
        .into_iter()
        .find(|class| {
            name.strip_prefix(class)
                .is_some_and(|rest| rest.starts_with('.') && !rest.starts_with(".."))
        })
        .unwrap_or(name)
}

/// Contents with the fields of relocations, and of line numbers, zeroed.
pub(crate) fn masked(unit: &Unit, id: AtomId) -> Vec<u8> {
    let atom = &unit.atoms[id];
    let mut bytes = unit.bytes_of(id).to_vec();
    for link in &atom.links {
        let start = usize::try_from(link.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(link.kind.width() as usize);
        if let Some(field) = bytes.get_mut(start..end) {
            field.fill(0);
        }
    }
    if atom.kind == SectionKind::Dyndbg {
        // struct _ddebug: the low 18 bits of the word at 32 are the line.
        for (at, keep) in [(32, 0), (33, 0), (34, 0xfc)] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte &= keep;
            }
        }
    }
    bytes
}

/// An entry's bytes; those of `__bug_table` without the line number.
fn without_line(entry: &Entry) -> Vec<u8> {
    let mut bytes = entry.bytes.clone();
    for link in &entry.links {
        let start = usize::try_from(link.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(link.kind.width() as usize);
        if let Some(field) = bytes.get_mut(start..end) {
            field.fill(0);
        }
    }
    if entry.kind == SectionKind::BugTable
        && let Some(line) = bytes.get_mut(8..10)
    {
        line.fill(0);
    }
    bytes
}
