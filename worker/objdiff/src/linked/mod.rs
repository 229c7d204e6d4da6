//! The finished update module, held against the objects that it was made from.
//!
//! This is the last look before a module is tried and signed, after the
//! compiler, the writer of the delta, the linker, objtool and modpost had their
//! hands on it. It shares the ELF reader and the rules of names with differencing
//! and nothing else: every function, table entry, variable and record of the module
//! is found by its own means and must say what post says, or what the format
//! asks for. Whatever is not understood is wrong.

mod aims;
mod carried;
mod constants;
mod exchange;
mod fields;
mod module;
mod orc;
mod region;
mod tables;
mod target;

use std::collections::HashMap;

use crate::delta::UnitInput;
use crate::elf::{Object, SectionId};
use crate::identity::Identity;
use crate::plan::Plan;
use crate::symvers::Symvers;

use module::Module;

/// Why a finished module is not what the objects say.
#[derive(Debug, thiserror::Error)]
#[error("check of the linked module {id}: {problem}")]
pub struct LinkedError {
    /// The update's id.
    pub id: String,
    /// What is wrong, and where.
    pub problem: String,
}

type Result<T> = std::result::Result<T, String>;

/// An object with what is looked up in it often.
struct Side {
    object: Object,
    entries: Vec<tables::Entry>,
    orc: orc::States,
    /// Source functions that refer to what starts at a place.
    referrers: aims::Referrers,
}

pub(crate) struct Unit<'a> {
    name: &'a str,
    reference: Object,
    pre: Side,
    post: Side,
}

/// Something of post that is in the module, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    section: SectionId,
    offset: u64,
}

/// The comparison while it goes on.
struct Check<'a> {
    units: &'a [Unit<'a>],
    symvers: &'a Symvers,
    id: &'a str,
    plan: &'a Plan,
    module: Module,
    /// Carried functions by unit and name: where, and whether one replaces.
    code: HashMap<(usize, String), carried::Carried>,
    /// By unit, section, start and size in post.
    seen: HashMap<(usize, SectionId, u64, u64), Place>,
    open: Vec<region::Region>,
    /// Where code ends that the unwinder knows.
    ends: Vec<(Place, String)>,
    /// Late places that were accounted for.
    late_seen: std::collections::HashSet<(SectionId, u64)>,
}

/// Checks the finished module of a plan: `module` is the bytes of `<id>.ko`, or
/// of the delta object before it is linked. Fails on the first thing that is
/// not as post has it.
pub fn check_module(
    module: &[u8],
    identity: &Identity,
    plan: &Plan,
    units: &[UnitInput<'_>],
    symvers: &Symvers,
) -> std::result::Result<(), LinkedError> {
    units
        .iter()
        .map(Unit::read)
        .collect::<Result<Vec<Unit<'_>>>>()
        .and_then(|units| check(module, identity, plan, &units, symvers))
        .map_err(|problem| LinkedError {
            id: identity.id().to_owned(),
            problem,
        })
}

fn check<'a>(
    module: &[u8],
    identity: &'a Identity,
    plan: &'a Plan,
    units: &'a [Unit<'a>],
    symvers: &'a Symvers,
) -> Result<()> {
    let mut check = Check {
        units,
        symvers,
        id: identity.id(),
        plan,
        module: Module::read(module, identity, &plan.object)?,
        ends: Vec::new(),
        code: HashMap::new(),
        seen: HashMap::new(),
        open: Vec::new(),
        late_seen: std::collections::HashSet::new(),
    };
    check.find_code(plan)?;
    check.same_orc_sections()?;
    check.nothing_is_left_out()?;
    check.exchanges(plan)?;
    while let Some(region) = check.open.pop() {
        check.region(&region)?;
    }
    check.exports()?;
    check.nothing_else()
}

impl Side {
    fn read(bytes: &[u8], what: &str) -> Result<Self> {
        let object = Object::parse(bytes).map_err(|e| format!("{what}: {e}"))?;
        Self::of(object).map_err(|e| format!("{what}: {e}"))
    }

    fn of(object: Object) -> Result<Self> {
        Ok(Self {
            entries: tables::read(&object)?,
            orc: orc::read(&object)?,
            referrers: aims::referrers(&object)?,
            object,
        })
    }
}

impl<'a> Unit<'a> {
    pub fn read(input: &UnitInput<'a>) -> Result<Self> {
        let at = |what: &str| format!("{} of {}", what, input.name);
        Ok(Self {
            name: input.name,
            reference: Object::parse(input.reference).map_err(|e| format!("reference: {e}"))?,
            pre: Side::read(input.pre, &at("pre"))?,
            post: Side::read(input.post, &at("post"))?,
        })
    }
}

/// As [`check_module`], of objects that were read before.
#[cfg(test)]
pub(crate) fn problem(
    module: &[u8],
    identity: &Identity,
    plan: &Plan,
    units: &[Unit<'_>],
    symvers: &Symvers,
) -> Option<String> {
    check(module, identity, plan, units, symvers).err()
}
