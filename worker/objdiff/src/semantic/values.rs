//! Enumerators and variables that mean something else than before.

use std::collections::{BTreeSet, HashMap};

use crate::names;

use super::changes::finding;
use super::finding::{Finding, Severity};
use super::functions::UnitView;
use super::layout::Likeness;
use super::model::{FunctionId, Model, Type, TypeId, Variable};

/// Enumerators that mean another number than before, or are new.
pub(super) fn enums(unit: &UnitView<'_, '_>, findings: &mut Vec<Finding>) {
    let (pre, post) = (unit.layouts.pre, unit.layouts.post);
    let mut before = HashMap::new();
    let mut held: HashMap<Option<&str>, BTreeSet<i128>> = HashMap::new();
    for of in pre.types.iter() {
        if let Type::Enum(of) = of {
            for (name, value) in &of.constants {
                before.insert(*name, *value);
                held.entry(of.name).or_default().insert(*value);
            }
        }
    }
    for of in post.types.iter() {
        let Type::Enum(of) = of else { continue };
        let label = of
            .name
            .map_or("enum".to_owned(), |name| format!("enum {name}"));
        let mut renumbered = Vec::new();
        let mut added = Vec::new();
        for (name, value) in &of.constants {
            match before.get(name) {
                Some(was) if was != value => {
                    renumbered.push(format!("{name} was {was} and is {value}"));
                }
                Some(_) => {}
                None => added.push((*name, *value)),
            }
        }
        let is_new = !of
            .constants
            .iter()
            .any(|(name, _)| before.contains_key(name));
        if !renumbered.is_empty() {
            let sentence = format!(
                "{}; what running objects hold means the old numbers",
                renumbered.join(", ")
            );
            findings.push(finding(
                unit,
                Severity::NeedsCode,
                "enum-renumbered",
                &label,
                &of.position,
                sentence,
            ));
        } else if !added.is_empty() && !is_new {
            let reused = added
                .iter()
                .any(|(_, value)| held.get(&of.name).is_some_and(|held| held.contains(value)));
            let names: Vec<String> = added.iter().map(|(n, v)| format!("{n} = {v}")).collect();
            let (severity, end) = match reused {
                false => (Severity::Info, "no running object holds that yet"),
                true => (
                    Severity::Review,
                    "running objects may hold that number for another constant",
                ),
            };
            let sentence = format!("gains {}; {end}", names.join(", "));
            findings.push(finding(
                unit,
                severity,
                "enum-grown",
                &label,
                &of.position,
                sentence,
            ));
        }
    }
}

/// Variables that mean something else than before.
pub(super) fn variables(unit: &UnitView<'_, '_>, findings: &mut Vec<Finding>) {
    let (pre, post) = (unit.layouts.pre, unit.layouts.post);
    let key = |model: &Model<'_>, scope: Option<FunctionId>| {
        scope
            .and_then(|id| model.function_name(id))
            .map(str::to_owned)
    };
    let has_meaning = |variable: &&Variable<'_>, model: &Model<'_>| {
        variable.symbol.is_some()
            && !is_constant(model, variable.of)
            && !names::may_start_afresh(variable.name)
            && !names::is_numbered(variable.name)
    };
    for variable in post.variables.iter().filter(|v| has_meaning(v, post)) {
        let scope = key(post, variable.scope);
        let namesakes = || {
            pre.variables
                .iter()
                .filter(|was| was.name == variable.name && has_meaning(was, pre))
        };
        let Some(was) = namesakes().find(|was| key(pre, was.scope) == scope) else {
            if let Some(was) = namesakes().next()
                && !post
                    .variables
                    .iter()
                    .any(|v| v.name == was.name && key(post, v.scope) == key(pre, was.scope))
            {
                let place = |scope: Option<String>| {
                    scope.map_or("the file".to_owned(), |f| format!("{f}()"))
                };
                let sentence = format!(
                    "moved from {} to {}: see that it is the same variable",
                    place(key(pre, was.scope)),
                    place(scope)
                );
                findings.push(finding(
                    unit,
                    Severity::Review,
                    "static-moved",
                    variable.name,
                    &was.position,
                    sentence,
                ));
            }
            continue;
        };
        let like = unit.layouts.likeness(was.of, variable.of);
        let (old, new) = (pre.size_of(was.of), post.size_of(variable.of));
        let (severity, end) = match like {
            Likeness::Same => continue,
            Likeness::Representation | Likeness::Signature => (
                Severity::Review,
                "the running value stays: see that it means the same",
            ),
            Likeness::Different if old != new => (
                Severity::Review,
                "it has another size, so that its contents are compared by differencing",
            ),
            Likeness::Different => (
                Severity::NeedsCode,
                "the running value stays and has the old type",
            ),
        };
        let sentence = format!(
            "was {}, is {}; {end}",
            pre.spell(was.of),
            post.spell(variable.of)
        );
        findings.push(finding(
            unit,
            severity,
            "variable-type-changed",
            variable.name,
            &was.position,
            sentence,
        ));
    }
}

/// Read-only data is compared by its bytes, which says more than its type.
fn is_constant(model: &Model<'_>, of: Option<TypeId>) -> bool {
    let mut of = of;
    for _ in 0..16 {
        let Some(id) = of else { return false };
        match &model.types[id] {
            Type::Qualified { word: "const", .. } => return true,
            Type::Qualified { to, .. } | Type::Alias { to, .. } => of = *to,
            Type::Array { of: element, .. } => of = *element,
            _ => return false,
        }
    }
    false
}
