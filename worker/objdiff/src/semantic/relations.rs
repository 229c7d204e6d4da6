//! How types hang together, and which functions touch them.

use std::collections::BTreeSet;

use super::functions::inlined_closure;
use super::model::{FunctionId, Model, Type, TypeId};

/// What an array is of, or the type itself.
pub(super) fn element(model: &Model<'_>, id: Option<TypeId>) -> Option<TypeId> {
    let mut at = model.strip(id)?;
    for _ in 0..16 {
        match &model.types[at] {
            Type::Array { of, .. } => at = model.strip(*of)?,
            _ => return Some(at),
        }
    }
    None
}

/// Whether one type holds another by value, at any depth.
pub(super) fn embeds(model: &Model<'_>, outer: TypeId, inner: TypeId) -> bool {
    let mut open = vec![outer];
    let mut seen = BTreeSet::new();
    while let Some(at) = open.pop() {
        if at == inner {
            return true;
        }
        if !seen.insert(at) {
            continue;
        }
        match &model.types[at] {
            Type::Aggregate(of) => {
                open.extend(
                    of.members
                        .iter()
                        .filter_map(|member| model.strip(member.of)),
                );
            }
            Type::Array { of, .. } => open.extend(model.strip(*of)),
            _ => {}
        }
    }
    false
}

/// Whether a function has a variable of a type, or a pointer to it.
pub(super) fn mentions(model: &Model<'_>, function: FunctionId, of: TypeId) -> bool {
    let functions = inlined_closure(model, function)
        .into_iter()
        .chain([function]);
    let mut uses = functions.flat_map(|id| {
        let told = model.told(id);
        model.functions[id].uses.iter().chain(&told.uses)
    });
    uses.any(|id| pointee(model, *id) == Some(of))
}

/// What is behind pointers and arrays.
fn pointee(model: &Model<'_>, id: TypeId) -> Option<TypeId> {
    let mut at = model.strip(Some(id))?;
    for _ in 0..16 {
        match &model.types[at] {
            Type::Pointer { to } => at = model.strip(*to)?,
            Type::Array { of, .. } => at = model.strip(*of)?,
            _ => return Some(at),
        }
    }
    None
}
