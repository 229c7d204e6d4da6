//! What was compiled, and what is different about it.

use crate::{
    Error,
    build::{Build, blocking},
    compile::{KernelObject, NO_CODE, Reference, Witness},
    log::Log,
    meaning,
    module::Core,
    patch::Patch,
    report::Report,
};
use resplice_api::Declared;
use resplice_objdiff::{
    declare::{Declaration, DeclarationKind, Described},
    delta::{Delta, Identity, ObjectInput, UnitInput, write_parts},
    listing::{self, listing},
    plan::{Outcome, Plan},
    symvers::Symvers,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

/// Most names that say why a patch changes nothing.
const INITS_SHOWN: usize = 8;

/// The units of one kernel object, as indices into all references.
type Units = BTreeMap<KernelObject, Vec<usize>>;

/// The kernel objects that the units are linked into: vmlinux, then modules by
/// name. That is the order of the parts; no part links against another one, and
/// all go in at once, so that no other order is any better.
pub(super) fn by_object(references: &[Reference]) -> Units {
    let mut objects = Units::new();
    for (index, reference) in references.iter().enumerate() {
        for object in &reference.kernel_objects {
            objects.entry(object.clone()).or_default().push(index);
        }
    }
    objects
}

/// Everything that was compiled.
pub(super) struct Compiled {
    pub(super) objects: Units,
    pub(super) references: Arc<Vec<Reference>>,
    pub(super) pre: Vec<Vec<u8>>,
    pub(super) post: Vec<Vec<u8>>,
    pub(super) witnesses: Vec<Witness>,
    pub(super) touched: Option<BTreeSet<String>>,
    pub(super) symvers: Symvers,
    /// What the patch's description declares, by unit.
    pub(super) declared: BTreeMap<String, Vec<Declaration>>,
}

impl Compiled {
    pub(super) fn inputs(&self) -> Vec<ObjectInput<'_>> {
        let unit = |&index: &usize| UnitInput {
            name: &self.references[index].unit,
            reference: &self.references[index].object,
            pre: &self.pre[index],
            post: &self.post[index],
            touched: self.touched.as_ref(),
            declared: self
                .declared
                .get(&self.references[index].unit)
                .map_or(&[], Vec::as_slice),
        };
        self.objects
            .iter()
            .map(|(object, units)| ObjectInput {
                object: object.name(),
                units: units.iter().map(unit).collect(),
            })
            .collect()
    }
}

/// What a patch's description declares of functions and variables, by unit; of
/// types, it concerns all units.
pub(super) fn declared(patch: &Patch) -> BTreeMap<String, Vec<Declaration>> {
    let mut by_unit: BTreeMap<String, Vec<Declaration>> = BTreeMap::new();
    for described in described(patch) {
        if described.declaration.kind != DeclarationKind::LayoutOk {
            let of_unit = by_unit.entry(described.file).or_default();
            of_unit.push(described.declaration);
        }
    }
    by_unit
}

/// What a patch's description declares, each by a word that has a kind.
fn described(patch: &Patch) -> Vec<Described> {
    let one = |declared: &Declared| {
        let kind = DeclarationKind::of(&declared.what)?;
        Some(Described {
            file: declared.file.clone(),
            declaration: Declaration::described(kind, &declared.name, &declared.reason),
        })
    };
    patch.declared().iter().filter_map(one).collect()
}

/// Logs what is declared, and refuses what is said of a unit that the patch does
/// not reach; files of types are looked at when layouts are.
fn check_units(compiled: &Compiled, patch: &Patch, log: &Log) -> Result<(), Error> {
    for declared in patch.declared() {
        let (file, name) = (&declared.file, &declared.name);
        let is_of_type = declared.what == DeclarationKind::LayoutOk.word();
        if !is_of_type && !compiled.references.iter().any(|r| r.unit == *file) {
            return Err(Error::Refused(format!(
                "unneeded-declaration: {name}: Resplice-Declare names {file}, which is no unit \
                 that the patch changes: is the path right?"
            )));
        }
        log.line(&declared.to_string());
    }
    Ok(())
}

/// What the target's kernel exports.
pub(super) fn symvers(build: &Build<'_>, core: &Core) -> Result<Symvers, Error> {
    let path = build.target.build_dir().join("Module.symvers");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    Symvers::parse(&text)
        .and_then(|symvers| symvers.with_core(&String::from_utf8_lossy(&core.symbols)))
        .map_err(|error| Error::internal(format!("read {}", path.display()), error))
}

/// Compares what was compiled; what it found is in the report, also if nothing comes of it.
pub(super) async fn diff(
    build: &Build<'_>,
    identity: &Identity,
    compiled: &Arc<Compiled>,
    patch: &Patch,
    report: &mut Report,
) -> Result<Vec<Delta>, Error> {
    let (identity, compiled) = (identity.clone(), Arc::clone(compiled));
    check_units(&compiled, patch, build.log)?;
    let touched = meaning::touched(patch);
    let described = described(patch);
    let (deltas, found, listed) = blocking("compare pre and post", move || {
        let inputs = compiled.inputs();
        let mut deltas = write_parts(&identity, &inputs, &compiled.symvers)
            .map_err(|error| Error::internal("compare pre and post", error))?;
        let found = meaning::examine(
            &inputs,
            &compiled.witnesses,
            &mut deltas,
            &touched,
            &described,
        )?;
        let listed = list(&inputs, &deltas)?;
        Ok((deltas, found, listed))
    })
    .await?;
    report.listing = Some(listed);
    report.plans = deltas.iter().map(|delta| delta.plan.clone()).collect();
    report.semantic = Some(found);
    tell(build, &report.plans)?;
    Ok(deltas)
}

/// The instructions of what is replaced.
fn list(inputs: &[ObjectInput<'_>], deltas: &[Delta]) -> Result<listing::Listing, Error> {
    let mut units = Vec::new();
    for (object, delta) in inputs.iter().zip(deltas) {
        for plan in &delta.plan.units {
            let unit = object.units.iter().find(|unit| unit.name == plan.name);
            units.extend(unit.map(|unit| listing::UnitInput {
                object: object.object,
                plan,
                pre: unit.pre,
                post: unit.post,
            }));
        }
    }
    listing(&units).map_err(|error| Error::internal("list the replaced functions", error))
}

/// Logs what is replaced, or why nothing can be.
fn tell(build: &Build<'_>, plans: &[Plan]) -> Result<(), Error> {
    for plan in plans {
        for function in plan.replaced() {
            build.log.line(&format!(
                "replaces {} of {} in {}: {} -> {} bytes ({})",
                function.name,
                function.unit,
                plan.object,
                function.old_size,
                function.new_size,
                function.reason
            ));
        }
    }
    for unit in plans.iter().flat_map(|plan| &plan.units) {
        for data in &unit.exchanged {
            build.log.line(&format!(
                "exchanges {} of {}: {} of {} bytes ({})",
                data.name, data.unit, data.bytes, data.size, data.reason
            ));
        }
        for name in &unit.exports_left {
            build.log.line(&format!(
                "exports {name} to the other parts of the update, and to nobody else"
            ));
        }
        for name in &unit.events_left {
            build.log.line(&format!(
                "tracepoint {name} is new: its code is there, but nobody can enable it"
            ));
        }
        for name in &unit.exit_left {
            build.log.line(&format!(
                "leaves {name} as it is, which runs as the module goes: the update stays loaded when it is undone, \
                 and the module with it"
            ));
        }
        for name in &unit.init_changed {
            build.log.line(&format!(
                "leaves what {name} did as it is: it is initialisation, and has run"
            ));
        }
        for name in &unit.held {
            build.log.line(&format!(
                "hands out {name}: the update stays loaded when it is undone"
            ));
        }
    }
    // A unit of several modules says the same in each of them.
    let refused: BTreeSet<String> = plans
        .iter()
        .flat_map(Plan::refused)
        .map(ToString::to_string)
        .collect();
    for sentence in &refused {
        build.log.error(sentence);
    }
    let outcomes: Vec<Outcome> = plans.iter().map(Plan::outcome).collect();
    let refused: Vec<String> = refused.into_iter().collect();
    if outcomes.contains(&Outcome::Refused) {
        return Err(Error::Refused(refused.join("; ")));
    }
    if outcomes.contains(&Outcome::NeedsCode) {
        return Err(Error::NeedsCode(refused.join("; ")));
    }
    if !outcomes.contains(&Outcome::Replace) {
        return Err(Error::Nothing(nothing(plans)));
    }
    Ok(())
}

/// Why no plan replaces anything.
fn nothing(plans: &[Plan]) -> String {
    let units = plans.iter().flat_map(|plan| &plan.units);
    // A unit of several modules says the same in each of them.
    let names: BTreeSet<&str> = units
        .flat_map(|unit| {
            let declared = unit.declared.iter();
            let declared = declared.filter(|d| d.kind == DeclarationKind::InitDone && d.is_needed);
            let left = unit.init_changed.iter().map(String::as_str);
            left.chain(declared.map(|d| d.name.as_str()))
        })
        .collect();
    if names.is_empty() {
        return NO_CODE.to_owned();
    }
    let shown: Vec<&str> = names.iter().copied().take(INITS_SHOWN).collect();
    let more = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the patch changes initialisation alone, which has run: {}{more}",
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use resplice_api::DECLARABLE;
    use resplice_objdiff::plan::UnitPlan;

    #[test]
    fn initialisation_that_has_run_is_named_where_nothing_else_changes() {
        let plan = |names: &[&str]| Plan {
            units: vec![UnitPlan {
                init_changed: names.iter().map(ToString::to_string).collect(),
                declared: vec![Declaration {
                    is_needed: true,
                    ..Declaration::described(DeclarationKind::InitDone, "a_init", "it has run")
                }],
                ..UnitPlan::default()
            }],
            ..Plan::default()
        };
        assert_eq!(nothing(&[Plan::default()]), NO_CODE);
        assert_eq!(
            nothing(&[plan(&["b_init"]), plan(&["b_init"])]),
            "the patch changes initialisation alone, which has run: a_init, b_init"
        );
        let many: Vec<String> = (0..20).map(|n| format!("f{n:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(nothing(&[plan(&many)]).ends_with("f06 and 13 more"));
    }

    #[test]
    fn nothing_that_can_be_declared_is_left_out() {
        let said: String = DECLARABLE
            .iter()
            .map(|word| format!("Resplice-Declare: {word} mm/a.c:f (it is so)\n"))
            .collect();
        let text = format!("{said}--- a/mm/a.c\n+++ b/mm/a.c\n@@ -1 +1 @@\n-a\n+b\n");
        let found = described(&Patch::parse(&text).unwrap());
        let words: Vec<&str> = found.iter().map(|d| d.declaration.kind.word()).collect();
        assert_eq!(words, DECLARABLE);
    }
}
