//! Types broken down: to members, to scalars, to what lies between them.

use super::model::{Aggregate, Member, Model, Type, TypeId};
use super::sections::LIMITS;

/// A member, members of anonymous structs and unions among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub name: String,
    /// How C spells its type.
    pub spelled: String,
    pub of: Option<TypeId>,
    pub bit_offset: u64,
    pub bits: u64,
    pub is_bit_field: bool,
}

impl Piece {
    pub fn bit_end(&self) -> u64 {
        self.bit_offset.saturating_add(self.bits)
    }

    /// `+16`, or `+16 bit 3` for a bit field.
    pub fn place(&self) -> String {
        let (byte, bit) = (self.bit_offset / 8, self.bit_offset % 8);
        match self.is_bit_field {
            true => format!("+{byte} bit {bit}"),
            false => format!("+{byte}"),
        }
    }
}

/// A scalar of a type, or an array of scalars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub name: String,
    pub of: Option<TypeId>,
    pub bit_offset: u64,
    pub bits: u64,
}

/// The scalars of a type in order of their places; nothing if they are too many.
pub(super) fn leaves(model: &Model<'_>, id: TypeId) -> Option<Vec<Leaf>> {
    let mut found = Vec::new();
    collect_leaves(model, id, 0, 32, &mut found)?;
    found.sort_by(|a, b| (a.bit_offset, a.bits, &a.name).cmp(&(b.bit_offset, b.bits, &b.name)));
    // struct_group() and the like give one scalar several ways to reach it.
    found.dedup_by(|a, b| (a.bit_offset, a.bits, &a.name) == (b.bit_offset, b.bits, &b.name));
    Some(found)
}

fn collect_leaves(
    model: &Model<'_>,
    id: TypeId,
    base: u64,
    depth: u32,
    found: &mut Vec<Leaf>,
) -> Option<()> {
    let Type::Aggregate(aggregate) = &model.types[id] else {
        return None;
    };
    let depth = depth.checked_sub(1)?;
    for member in &aggregate.members {
        let bit_offset = base.checked_add(member.bit_offset)?;
        let inner = model.strip(member.of);
        if let Some(inner) = inner.filter(|id| matches!(model.types[*id], Type::Aggregate(_))) {
            collect_leaves(model, inner, bit_offset, depth, found)?;
            continue;
        }
        found.push(Leaf {
            name: member.name.unwrap_or_default().to_owned(),
            of: member.of,
            bit_offset,
            bits: width(model, member)?,
        });
        if found.len() as u64 > LIMITS.leaves {
            return None;
        }
    }
    Some(())
}

/// The members of a type; what anonymous structs and unions hold counts as its own.
pub(super) fn pieces(model: &Model<'_>, aggregate: &Aggregate<'_>) -> Vec<Piece> {
    let mut found = Vec::new();
    collect_pieces(model, aggregate, 0, 32, &mut found);
    found
}

fn collect_pieces(
    model: &Model<'_>,
    aggregate: &Aggregate<'_>,
    base: u64,
    depth: u32,
    found: &mut Vec<Piece>,
) {
    for member in &aggregate.members {
        if found.len() as u64 > LIMITS.leaves {
            return;
        }
        let bit_offset = base.saturating_add(member.bit_offset);
        if let (None, Type::Aggregate(inner), Some(depth)) =
            (member.name, model.resolved(member.of), depth.checked_sub(1))
        {
            collect_pieces(model, inner, bit_offset, depth, found);
            continue;
        }
        found.push(Piece {
            name: member.name.unwrap_or_default().to_owned(),
            spelled: match member.bits {
                Some(bits) => format!("{}:{bits}", model.spell(member.of)),
                None => model.spell(member.of),
            },
            of: member.of,
            bit_offset,
            bits: width(model, member).unwrap_or(0),
            is_bit_field: member.bits.is_some(),
        });
    }
}

fn width(model: &Model<'_>, member: &Member<'_>) -> Option<u64> {
    match member.bits {
        Some(bits) => Some(bits),
        None => model.size_of(member.of)?.checked_mul(8),
    }
}

/// The bits between members, and behind the last one, `start..end`.
pub(super) fn holes(pieces: &[Piece], bits: u64) -> Vec<(u64, u64)> {
    let mut used: Vec<(u64, u64)> = pieces.iter().map(|p| (p.bit_offset, p.bit_end())).collect();
    used.sort_unstable();
    let mut holes = Vec::new();
    let mut end = 0;
    for (start, stop) in used {
        if start > end {
            holes.push((end, start));
        }
        end = end.max(stop);
    }
    if bits > end {
        holes.push((end, bits));
    }
    holes
}
