//! Checks against the reference object, which is what runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::atoms::{AtomId, Target, Unit};
use crate::elf::{Binding, SectionKind, Symbol, SymbolKind};
use crate::names;
use crate::plan::Refusal;
use crate::sites::{self, Entry};

use super::{State, UnitDiff};

/// Bytes of the jump that leads to a replacement.
const JUMP_BYTES: u64 = 5;
/// Bytes of the fentry slot, which stays in front of the jump.
const FENTRY_BYTES: u64 = 5;

/// Code that runs where a replacement must not: without a stack that can be
/// checked, or while entry code has not set up the kernel's state.
const UNTOUCHABLE: [&str; 4] = [
    ".noinstr.text",
    ".entry.text",
    ".irqentry.text",
    ".cpuidle.text",
];

/// Refuses code that runs where functions can't be replaced.
pub(super) fn entry_code(name: &str, section: &str) -> Option<Refusal> {
    if waits_unplugged(name) {
        let sentence = format!(
            "{name} is where a CPU stays while it is unplugged, and nobody can tell whether one does"
        );
        return Some(Refusal::new("unplugged-cpu", name, sentence));
    }
    let sentence =
        format!("{name} lies in {section}, which runs where functions can't be replaced");
    UNTOUCHABLE
        .iter()
        .any(|s| section.starts_with(s))
        .then(|| Refusal::new("entry-code", name, sentence))
}

/// By the names that the kernel gives what never returns: once the CPU is plugged in, it
/// begins anew.
fn waits_unplugged(name: &str) -> bool {
    let source = names::source_function(name);
    source.ends_with("play_dead") || source == "arch_cpu_idle_dead"
}

impl UnitDiff {
    /// The symbol of the reference object of that name, if it is what an atom
    /// of pre stands for.
    fn reference_symbol(&self, pre: AtomId, name: &str) -> Option<&Symbol> {
        let mut found = self
            .reference
            .object
            .symbols
            .iter()
            .filter(|s| s.name == name && s.section().is_some());
        let (symbol, None) = (found.next()?, found.next()) else {
            return None;
        };
        let own = self.pre.symbols_of(pre).find(|s| s.name == name)?;
        let section = self.reference.object.section(symbol.section()?);
        let fits = symbol.kind == own.kind
            && symbol.binding == own.binding
            && section.kind == self.pre.atoms[pre].kind
            // Code may differ by the length of a jump between functions.
            && (section.kind.is_code() || symbol.size == own.size)
            && (!names::is_numbered(name) || self.same_referrers(pre, symbol));
        fits.then_some(symbol)
    }

    pub(super) fn is_in_reference(&self, pre: AtomId, name: &str) -> bool {
        self.reference_symbol(pre, name).is_some()
    }

    /// A counter alone identifies nothing, also between two compilations of
    /// the same source: the same functions must refer to it.
    fn same_referrers(&self, pre: AtomId, symbol: &Symbol) -> bool {
        // An object without size can't be told from what follows it.
        if symbol.size == 0 || symbol.kind == SymbolKind::Function {
            return true;
        }
        let Some(id) = self.reference.named(&symbol.name) else {
            return false;
        };
        let (ours, theirs) = (referrers(&self.pre, pre), referrers(&self.reference, id));
        let has_lodger = self.reference.symbols_of(id).any(|s| s.size == 0);
        ours == theirs || (has_lodger && ours.is_subset(&theirs))
    }

    /// Refuses replaced functions that no jump can be written into.
    pub(super) fn check_reference(&mut self) {
        let mut refused = Vec::new();
        for id in &self.replaced {
            let (State::Changed(was), name) = (self.states[*id], self.post.label(*id)) else {
                continue;
            };
            let checked = self.check_function(was, &name);
            if let Err(refusal) = checked {
                refused.push(refusal);
            }
        }
        if !self.replaced.is_empty() || !self.exchanges.is_empty() {
            refused.extend(self.check_inlining());
        }
        self.plan.refused.append(&mut refused);
    }

    /// What is inlined where must not depend on the flags that pre and the
    /// reference differ in: otherwise a changed function could live on inside
    /// a caller that seems unchanged. Same functions with the same calls out of
    /// the unit show that.
    fn check_inlining(&self) -> Option<Refusal> {
        let (ours, theirs) = (foreign_calls(&self.pre), foreign_calls(&self.reference));
        let differs = |name: &&String| ours.get(*name) != theirs.get(*name);
        let name = ours.keys().chain(theirs.keys()).find(differs)?;
        Some(Refusal::new(
            "reference-differs",
            name,
            format!(
                "{name} is compiled to other code with -ffunction-sections, so that inlined changes could be missed"
            ),
        ))
    }

    fn check_function(&self, was: AtomId, name: &str) -> Result<(), Refusal> {
        let refuse = |code: &str, sentence: String| Err(Refusal::new(code, name, sentence));
        let section_name = &self.pre.section_of(was).name;
        if let Some(refusal) = entry_code(name, section_name) {
            return Err(refusal);
        }
        let Some(symbol) = self
            .pre
            .symbols_of(was)
            .find_map(|s| self.reference_symbol(was, &s.name))
        else {
            return refuse(
                "not-in-reference",
                format!("{name} is not to be found in the object compiled as the kernel was"),
            );
        };
        if symbol.binding == Binding::Weak {
            return refuse(
                "weak-function",
                format!("{name} is weak, so that another unit may have taken its place"),
            );
        }
        if let Some(entry) = self.entry_inside(symbol) {
            return refuse(
                "several-entries",
                format!("{entry} leads into the middle of {name}, past the jump to a replacement"),
            );
        }
        self.check_jump(symbol, name)
    }

    /// A symbol that others may call, inside of a function.
    fn entry_inside(&self, function: &Symbol) -> Option<&str> {
        let end = function.value.saturating_add(function.size);
        self.reference
            .object
            .symbols_in(function.section()?)
            .filter(|s| s.binding != Binding::Local)
            .find(|s| s.value > function.value && s.value < end)
            .map(|s| s.name.as_str())
    }

    /// The bytes after the endbr and the fentry slot must be free for the jump.
    fn check_jump(&self, symbol: &Symbol, name: &str) -> Result<(), Refusal> {
        let refuse = |code: &str, sentence: String| Err(Refusal::new(code, name, sentence));
        let entries = sites::read_all(&self.reference.object).map_err(|e| {
            Refusal::new(
                "not-in-reference",
                name,
                format!("the reference object's {e}"),
            )
        })?;
        let at = |offset: u64| Some(offset).zip(symbol.section());
        let section = symbol.section().map(|id| self.reference.object.section(id));
        let endbr = section.is_some_and(|section| sites::begins_with_endbr(section, symbol.value));
        let entry = symbol.value + if endbr { sites::ENDBR.len() as u64 } else { 0 };
        let is_fentry = entries.iter().any(|e| {
            e.kind == SectionKind::McountLoc && at(entry) == Some((e.code.offset, e.code.section))
        });
        let start = entry + if is_fentry { FENTRY_BYTES } else { 0 };
        let end = start + JUMP_BYTES;
        if end > symbol.value + symbol.size {
            return refuse(
                "too-small",
                format!("{name} has {} bytes, too few for a jump", symbol.size),
            );
        }
        let under = |kind: SectionKind| {
            // None begins before: what lies there is whole.
            let here = |e: &&Entry| {
                Some(e.code.section) == symbol.section() && (start..end).contains(&e.code.offset)
            };
            let of_kind = entries.iter().filter(move |e| e.kind == kind);
            of_kind.filter(here).count()
        };
        let what = match (
            under(SectionKind::JumpTable),
            under(SectionKind::StaticCallSites),
        ) {
            // The core holds one jump label as it is for as long as the update is in.
            (0 | 1, 0) => return Ok(()),
            (_, 0) => "more than one jump label",
            _ => "a static call",
        };
        refuse(
            "site-at-entry",
            format!(
                "{what} lies where the jump into {name}'s replacement would go; the kernel rewrites it"
            ),
        )
    }
}

/// Per function: how often it refers to which symbol of another unit. Cold
/// parts count with their function.
fn foreign_calls(unit: &Unit) -> BTreeMap<String, BTreeMap<&str, usize>> {
    let mut calls: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for (id, atom) in unit.atoms.iter().enumerate() {
        let Some(name) = unit.name_of(atom.parent.unwrap_or(id)) else {
            continue;
        };
        if !atom.is_function() {
            continue;
        }
        let own = calls.entry(name.to_owned()).or_default();
        for link in &atom.links {
            let Target::External(symbol) = link.target else {
                continue;
            };
            let symbol = unit.object.symbol(symbol);
            // A place behind the unit's own variables is nobody's, and no call.
            if symbol.section().is_none() {
                *own.entry(symbol.name.as_str()).or_default() += 1;
            }
        }
    }
    calls
}

/// Source functions that refer to an atom.
fn referrers(unit: &Unit, id: AtomId) -> BTreeSet<&str> {
    let refers = |from: &AtomId| {
        let links = &unit.atoms[*from].links;
        unit.atoms[*from].is_function() && links.iter().any(|l| l.target == Target::Atom(id))
    };
    (0..unit.atoms.len())
        .filter(refers)
        .filter_map(|from| unit.name_of(from))
        .map(names::source_function)
        .collect()
}
