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
mod constants;
mod elf;
mod exchange;
mod hooks;
mod offers;
mod parts;
mod route;
mod tables;
mod update;
mod verify;

use std::collections::BTreeSet;

use crate::declare::Declaration;
use crate::elf::Object;
use crate::error::DiffError;
pub use crate::identity::Identity;
use crate::image::ImageBuilder;
use crate::plan::Plan;
use crate::symvers::Symvers;

pub use parts::{ObjectInput, write_parts};

/// A unit's three objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnitInput<'a> {
    /// Source path from the tree's root, such as `net/ipv6/seg6.c`.
    pub name: &'a str,
    /// The pre source, compiled exactly as the kernel was.
    pub reference: &'a [u8],
    /// The pre source with `-ffunction-sections -fdata-sections`.
    pub pre: &'a [u8],
    /// The post source with the same flags and line numbers.
    pub post: &'a [u8],
    /// Functions whose own source lines the patch touches, in pre or in post.
    /// `None`: not known, so that every change of `__init` code counts as one
    /// of its source.
    pub touched: Option<&'a BTreeSet<String>>,
    /// What the patch's description declares of this unit.
    pub declared: &'a [Declaration],
}

/// What [`write_delta`] made.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The object file; `None` if there is nothing to replace or something is refused.
    pub bytes: Option<Vec<u8>>,
    /// What is in it, or why there is none.
    pub plan: Plan,
}

/// Differences all units of one kernel object and writes their delta: an update
/// of one part. See [`write_parts`].
pub fn write_delta(
    id: &str,
    object: &str,
    units: &[UnitInput<'_>],
    symvers: &Symvers,
) -> Result<Delta, DiffError> {
    let objects = [ObjectInput {
        object,
        units: units.to_vec(),
    }];
    let mut deltas = write_parts(&Identity::new(id)?, &objects, symvers)?;
    deltas
        .pop()
        .ok_or_else(|| DiffError::SelfCheck("one object gives one delta".to_owned()))
}

/// Writes a delta without code: the core matches the units against the running
/// kernel, reports, and changes nothing.
pub fn write_match_only(
    id: &str,
    object: &str,
    units: &[(&str, &[u8])],
) -> Result<Vec<u8>, DiffError> {
    let identity = Identity::new(id)?;
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
        &identity,
        update::MATCH_ONLY,
        update::Part::ONLY,
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
mod parts_tests;
#[cfg(test)]
mod tests;
