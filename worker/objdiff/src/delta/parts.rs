//! The parts of an update: one for each kernel object that the patch changes.

use std::collections::BTreeMap;

use crate::declare::DeclarationKind;
use crate::diff::{State, UnitDiff};
use crate::elf::{Binding, Definition};
use crate::error::DiffError;
use crate::identity::Identity;
use crate::image::ImageBuilder;
use crate::plan::{Outcome, Plan, Refusal};
use crate::symvers::Symvers;

use super::collect::Set;
use super::update::Part;
use super::{Delta, UnitInput, assemble, image_error, offers, update, verify};

/// RESPLICE_MAX_PARTS.
const MAX_PARTS: u64 = 64;

/// A kernel object with those of its units that the patch reaches.
#[derive(Clone, Debug)]
pub struct ObjectInput<'a> {
    /// `vmlinux` or a module's name.
    pub object: &'a str,
    /// The units. One that is linked into several modules is in each of them.
    pub units: Vec<UnitInput<'a>>,
}

/// Differences all units of all kernel objects and writes a delta for each
/// object that changes; deltas come in the objects' order, which is that of the
/// parts' numbers as well.
///
/// What can't be
/// carried over is in the plans' refusals, and then no part is written: an
/// update is the whole of its patch. An error means that an object can't be
/// understood.
pub fn write_parts(
    identity: &Identity,
    objects: &[ObjectInput<'_>],
    symvers: &Symvers,
) -> Result<Vec<Delta>, DiffError> {
    let mut sets = Vec::new();
    for object in objects {
        let diffs: Result<Vec<UnitDiff>, DiffError> =
            object.units.iter().map(UnitDiff::new).collect();
        sets.push(Set::new(identity.id(), object.object, diffs?, symvers));
    }
    collect(&mut sets);
    let mut plans: Vec<Plan> = sets.iter().map(Set::plan).collect();
    for plan in &mut plans {
        // Layouts are compared elsewhere.
        plan.refuse_unneeded(&[
            DeclarationKind::DataKeep,
            DeclarationKind::DataSet,
            DeclarationKind::InitDone,
            DeclarationKind::ExitKeep,
            DeclarationKind::IgnoreSection,
            DeclarationKind::IgnoreFunction,
        ]);
    }
    refuse_new_borders(&sets, &mut plans);
    let outcomes: Vec<Outcome> = plans.iter().map(Plan::outcome).collect();
    let is_refused = [Outcome::Refused, Outcome::NeedsCode]
        .iter()
        .any(|what| outcomes.contains(what));
    let count = outcomes.iter().filter(|o| **o == Outcome::Replace).count();
    let of = update::limit("parts", count, MAX_PARTS)?;
    let mut number = 0;
    let mut deltas = Vec::new();
    for (set, plan) in sets.iter().zip(plans) {
        let bytes = if is_refused || plan.outcome() != Outcome::Replace {
            None
        } else {
            let part = Part { number, of };
            number += 1;
            Some(write_part(identity, part, set)?)
        };
        deltas.push(Delta { bytes, plan });
    }
    Ok(deltas)
}

fn write_part(identity: &Identity, part: Part, set: &Set<'_>) -> Result<Vec<u8>, DiffError> {
    let mut builder = ImageBuilder::new(set.object);
    let mut ids = Vec::new();
    for diff in &set.units {
        let added = builder.add_unit(&diff.plan.name, &diff.reference.object);
        ids.push(added.map_err(|e| image_error(set.object, &e))?);
    }
    let mut image = update::ImageSymbols::new(builder, ids);
    let draft = assemble::assemble(set, &mut image)?;
    let names = image.names();
    let flags = if set.stays() { update::STAYS } else { 0 };
    let bytes = update::finish(identity, flags, part, draft.clone(), image, set.object)?;
    verify::verify(set, &draft, &names, &bytes)?;
    Ok(bytes)
}

/// Finds what goes into each part. Those of modules may call what vmlinux's part
/// adds: that one is first, and always there.
fn collect(sets: &mut [Set<'_>]) {
    let Some((first, others)) = sets.split_first_mut() else {
        return;
    };
    if first.object == "vmlinux" {
        first.offers = offers::find(first, others);
    }
    let mut lent: BTreeMap<String, bool> = BTreeMap::new();
    for set in others {
        set.borrows = first.offers.keys().cloned().collect();
        set.collect();
        let used = offers::used(set);
        set.borrows.retain(|name| used.contains_key(name));
        for (name, is_held) in used {
            *lent.entry(name).or_default() |= is_held;
        }
    }
    first.offers.retain(|name, _| lent.contains_key(name));
    first.collect();
    first.hold(lent.iter().filter(|(_, held)| **held).map(|(name, _)| name));
}

/// Otherwise a part can't use what another one adds: each is a module of its
/// own, and the running kernel has no such symbol that the core could find.
fn refuse_new_borders(sets: &[Set<'_>], plans: &mut [Plan]) {
    for (user, plan) in sets.iter().zip(plans) {
        for (diff, unit) in user.units.iter().zip(&mut plan.units) {
            let undefined = diff
                .post
                .object
                .symbols
                .iter()
                .filter(|s| s.definition == Definition::Undefined);
            for symbol in undefined {
                if user.borrows.contains(&symbol.name) {
                    continue;
                }
                let adds = |set: &&Set<'_>| set.object != user.object && adds(set, &symbol.name);
                let Some(other) = sets.iter().find(adds) else {
                    continue;
                };
                unit.refused.push(Refusal::new(
                    "added-in-another-part",
                    &symbol.name,
                    format!(
                        "{} is new in {} and used in {}: move it to where it is used, or give {} a copy",
                        symbol.name, other.object, user.object, user.object
                    ),
                ));
            }
        }
    }
}

/// Whether a kernel object gets a new global symbol of that name.
fn adds(set: &Set<'_>, name: &str) -> bool {
    set.units.iter().any(|diff| {
        diff.post
            .global(name)
            .is_some_and(|id| diff.states[id] == State::Added)
            && !diff
                .pre
                .object
                .symbols
                .iter()
                .any(|s| s.name == name && s.binding != Binding::Local)
    })
}
