//! Changed initialisation: it has run, and its code and data are gone. And a changed
//! exit, which can't run as long as the update is loaded.

use crate::atoms::{AtomId, Target, Unit};
use crate::declare::DeclarationKind;
use crate::elf::{Binding, SectionKind};
use crate::names;
use crate::plan::{Refusal, UnitPlan};

use super::{Role, UnitDiff, role};

/// What `module_exit` makes of the function that it is given.
const MODULE_EXIT: &str = "cleanup_module";

impl UnitDiff {
    /// Notes or refuses a change of an `__init` atom of pre or post. Code that
    /// the patch does not touch is different only because something that it
    /// uses is: what it did stays done.
    pub(super) fn changed_init(&self, unit: &Unit, id: AtomId, plan: &mut UnitPlan) {
        let name = unit.label(id);
        if is_declared(unit, id, DeclarationKind::InitDone, plan) {
            return;
        }
        let refusal = self.hands_out_resized(unit, id).or_else(|| {
            let source = names::source_function(&name);
            let untouched = self.touched.as_ref().is_some_and(|t| !t.contains(source));
            let is_code = unit.atoms[id].kind == SectionKind::InitText;
            (!is_code || !untouched).then(|| {
                let sentence = format!(
                    "{name} is initialisation that ran long ago and is freed; doing it again needs custom code"
                );
                Refusal::new("init-changed", &name, sentence)
            })
        });
        match refusal {
            Some(refusal) => plan.refused.push(refusal),
            None if plan.init_changed.contains(&name) => {}
            None => plan.init_changed.push(name),
        }
    }

    /// Initialisation that handed out the address of an object which got
    /// another size: who holds it now is not known.
    fn hands_out_resized(&self, unit: &Unit, id: AtomId) -> Option<Refusal> {
        let held = |to: &AtomId| {
            let names = unit.symbols_of(*to).map(|s| names::normalise(&s.name));
            let mut resized = self.resized.iter().flat_map(|r| self.post.symbols_of(*r));
            let names: Vec<String> = names.collect();
            resized.any(|s| names.contains(&names::normalise(&s.name)))
        };
        let targets = unit.atoms[id].links.iter().filter_map(|l| match l.target {
            Target::Atom(to) => Some(to),
            Target::External(_) => None,
        });
        let held = unit.label(targets.into_iter().find(held)?);
        let from = unit.label(id);
        let sentence = format!(
            "{held} has another size, and {from} handed out its address when it ran, so that needs custom code"
        );
        Some(Refusal::new("changed-data", held, sentence))
    }
}

/// Whether a unit's `__exit` code runs only when its module goes: nothing of the unit
/// but itself refers to it (a driver's `remove` may run any time), and nothing of
/// another unit can.
pub(super) fn exits_are_apart(unit: &Unit) -> bool {
    let is_exit = |id: AtomId| matches!(role(unit.atoms[id].kind), Role::Exit);
    (0..unit.atoms.len()).all(|id| {
        if is_exit(id) {
            return unit
                .symbols_of(id)
                .all(|s| s.binding == Binding::Local || s.name == MODULE_EXIT);
        }
        let links = unit.atoms[id].links.iter();
        links.map(|link| link.target).all(|target| match target {
            Target::Atom(to) => !is_exit(to),
            Target::External(_) => true,
        })
    })
}

/// Notes a change of an `__exit` atom of pre or post.
pub(super) fn changed_exit(unit: &Unit, id: AtomId, plan: &mut UnitPlan) {
    let name = unit.label(id);
    if !is_declared(unit, id, DeclarationKind::ExitKeep, plan) && !plan.exit_changed.contains(&name)
    {
        plan.exit_changed.push(name);
    }
}

/// Whether that is declared of an atom under any of its names: a module's init and
/// exit have two, of which authors see the first.
fn is_declared(unit: &Unit, id: AtomId, kind: DeclarationKind, plan: &mut UnitPlan) -> bool {
    let names: Vec<String> = unit.symbols_of(id).map(|s| s.name.to_string()).collect();
    // Each is asked: which one is written is noted.
    names
        .iter()
        .filter(|name| plan.declares(kind, name))
        .count()
        > 0
        || (names.is_empty() && plan.declares(kind, &unit.label(id)))
}
