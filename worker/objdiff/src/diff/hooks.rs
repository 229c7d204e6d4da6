//! Which functions of post the patch's author made hooks.

use std::collections::HashSet;

use crate::atoms::{AtomId, Target};
use crate::elf::{RelocKind, SectionKind};
use crate::hook::{Hook, HookKind};
use crate::plan::Refusal;

use super::{Role, State, UnitDiff, role};

impl UnitDiff {
    /// Reads the hooks' sections. Only code that the patch adds may be a hook:
    /// what exists in the kernel was not written for that context, and may be
    /// replaced itself.
    pub(super) fn read_hooks(&mut self) {
        let mut seen = HashSet::new();
        for id in 0..self.post.atoms.len() {
            if self.post.atoms[id].kind != SectionKind::Hook {
                continue;
            }
            let found = self.hook(id).and_then(|(kind, function)| {
                let label = self.post.label(function);
                if seen.insert((kind, function)) {
                    return Ok((kind, function, label));
                }
                let sentence = format!("{label} is a {} hook twice", kind.word());
                Err(Refusal::new("duplicate-hook", label, sentence))
            });
            match found {
                Ok((kind, function, label)) => {
                    self.hooks.push((kind, function));
                    self.plan.hooks.push(Hook {
                        kind,
                        function: label,
                    });
                }
                Err(refusal) => self.plan.refused.push(refusal),
            }
        }
    }

    fn hook(&self, id: AtomId) -> Result<(HookKind, AtomId), Refusal> {
        let (atom, section) = (&self.post.atoms[id], self.post.section_of(id));
        let bad = |what: &str| {
            let sentence = format!(
                "{} {what}: use the macros of <resplice/hooks.h>, with a function that the patch adds",
                section.name
            );
            Refusal::new("bad-hook", self.post.label(id), sentence)
        };
        let kind = HookKind::of_section(&section.name).ok_or_else(|| bad("is of no known kind"))?;
        let [link] = atom.links.as_slice() else {
            return Err(bad("holds something else than a pointer"));
        };
        if atom.size != 8 || link.offset != 0 || link.kind != RelocKind::Abs64 {
            return Err(bad("holds something else than a pointer"));
        }
        let target = match link.target {
            Target::Atom(target) if link.target_offset() == 0 => target,
            Target::Atom(_) => return Err(bad("points into the middle of something")),
            Target::External(symbol) => {
                let name = &self.post.object.symbol(symbol).name;
                return Err(not_added(name, "is not defined in this unit"));
            }
        };
        let label = self.post.label(target);
        let code = &self.post.atoms[target];
        if !code.is_function() || code.parent.is_some() {
            return Err(bad("points to something else than a function"));
        }
        if !matches!(role(code.kind), Role::Code) {
            let section = &self.post.section_of(target).name;
            let what = format!("lies in {section}, which is not there when hooks run");
            return Err(not_added(&label, &what));
        }
        if self.states[target] != State::Added {
            return Err(not_added(&label, "exists in the running kernel"));
        }
        Ok((kind, target))
    }
}

fn not_added(name: &str, what: &str) -> Refusal {
    let sentence = format!(
        "the hook {name} {what}; write a function of its own in the file that the patch changes"
    );
    Refusal::new("hook-not-added", name, sentence)
}
