//! The delta object: what changed of one kernel object, as a relocatable ELF
//! file that kbuild links into an update module.
//!
//! It holds the new functions with everything that only they need (cold
//! parts, strings, constants, new variables, table entries), the match image,
//! and `resplice_update`, which the kernel core starts from. References that
//! the module loader can't resolve are taken out of the relocations and listed
//! as late ones (see kmod/include/resplice/format.h).

mod assemble;
mod collect;
mod elf;
mod route;
mod tables;
mod update;
mod verify;

use crate::declare::DeclarationKind;
use crate::diff::UnitDiff;
use crate::elf::Object;
use crate::error::DiffError;
use crate::image::ImageBuilder;
use crate::plan::{Outcome, Plan};
use crate::symvers::Symvers;

/// A unit's three objects.
#[derive(Clone, Copy, Debug)]
pub struct UnitInput<'a> {
    /// Source path from the tree's root, such as `net/ipv6/seg6.c`.
    pub name: &'a str,
    /// The pre source, compiled exactly as the kernel was.
    pub reference: &'a [u8],
    /// The pre source with `-ffunction-sections -fdata-sections`.
    pub pre: &'a [u8],
    /// The post source with the same flags and line numbers.
    pub post: &'a [u8],
}

/// What [`write_delta`] made.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The object file; `None` if there is nothing to replace or something is refused.
    pub bytes: Option<Vec<u8>>,
    /// What is in it, or why there is none.
    pub plan: Plan,
}

/// Differences all units of one kernel object and writes their delta.
///
/// `id` names the update in the kernel: 1 to 63 of `a-z0-9_`. `object` is
/// `vmlinux` or a module's name. What can't be carried over is in the plan's
/// refusals; an error means that an object can't be understood.
pub fn write_delta(
    id: &str,
    object: &str,
    units: &[UnitInput<'_>],
    symvers: &Symvers,
) -> Result<Delta, DiffError> {
    update::check_id(id)?;
    let diffs: Result<Vec<UnitDiff>, DiffError> = units
        .iter()
        .map(|u| UnitDiff::new(u.name, u.reference, u.pre, u.post))
        .collect();
    let mut set = collect::Set::new(object, diffs?, symvers);
    set.collect();
    let mut plan = set.plan();
    // Layouts are compared elsewhere.
    plan.refuse_unneeded(&[
        DeclarationKind::DataKeep,
        DeclarationKind::DataSet,
        DeclarationKind::InitDone,
    ]);
    if plan.outcome() != Outcome::Replace {
        return Ok(Delta { bytes: None, plan });
    }
    let mut builder = ImageBuilder::new(object);
    let mut ids = Vec::new();
    for diff in &set.units {
        let added = builder.add_unit(&diff.plan.name, &diff.reference.object);
        ids.push(added.map_err(|e| image_error(object, &e))?);
    }
    let mut image = update::ImageSymbols::new(builder, ids);
    let draft = assemble::assemble(&set, &mut image)?;
    let names = image.names();
    let bytes = update::finish(id, 0, draft.clone(), image, object)?;
    verify::verify(&set, &draft, &names, &bytes)?;
    Ok(Delta {
        bytes: Some(bytes),
        plan,
    })
}

/// Writes a delta without code: the core matches the units against the running
/// kernel, reports, and changes nothing.
pub fn write_match_only(
    id: &str,
    object: &str,
    units: &[(&str, &[u8])],
) -> Result<Vec<u8>, DiffError> {
    update::check_id(id)?;
    let mut builder = ImageBuilder::new(object);
    let mut ids = Vec::new();
    for (name, bytes) in units {
        let reference = Object::parse(bytes).map_err(|source| DiffError::Object {
            unit: (*name).to_owned(),
            which: "reference",
            source,
        })?;
        let added = builder.add_unit(name, &reference);
        ids.push(added.map_err(|e| image_error(object, &e))?);
    }
    let image = update::ImageSymbols::new(builder, ids);
    update::finish(
        id,
        update::MATCH_ONLY,
        assemble::Draft::default(),
        image,
        object,
    )
}

fn image_error(object: &str, problem: &dyn std::fmt::Display) -> DiffError {
    DiffError::Image {
        object: object.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod mutation;
#[cfg(test)]
mod tests;
