//! How the layout of a struct, union or enum differs between pre and post.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::model::{Aggregate, Model, Signature, Type, TypeId};
use super::pieces::{Leaf, Piece, holes, leaves, pieces};

/// How alike two types are. Ordered: the later, the less alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// The same, or differing in qualifiers and typedefs only.
    Same,
    /// The same bytes with the same meaning for other names or signedness.
    Representation,
    /// Pointers to functions that are called in different ways.
    Signature,
    /// Something else.
    Different,
}

/// What is different about a struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberChange {
    Added(Piece),
    Removed(Piece),
    /// Unmoved, of another type.
    Retyped(Piece, Piece, Likeness),
    Moved(Piece, Piece),
}

/// A changed struct or union.
#[derive(Clone, Debug)]
pub(super) struct LayoutChange {
    pub pre: TypeId,
    pub post: TypeId,
    pub members: Vec<MemberChange>,
    /// All scalars lie as before and are called as before.
    pub is_equivalent: bool,
    /// All scalars lie as before, some under other names or of like types.
    pub is_renamed: bool,
    /// Where pre had neither a member nor an alternative of one, in bits.
    pub holes: Vec<(u64, u64)>,
}

/// Pairs of types that were compared in one question; also what bounds how deep
/// one goes.
type Pairs = HashMap<(TypeId, TypeId), Likeness>;
const MAX_PAIRS: usize = 1024;

/// Compares the types of a unit's two models.
pub(super) struct Layouts<'m, 'd> {
    pub pre: &'m Model<'d>,
    pub post: &'m Model<'d>,
    pre_names: HashMap<TypeId, String>,
    post_names: HashMap<TypeId, String>,
}

impl<'m, 'd> Layouts<'m, 'd> {
    pub fn new(pre: &'m Model<'d>, post: &'m Model<'d>) -> Self {
        Self {
            pre,
            post,
            pre_names: type_names(pre),
            post_names: type_names(post),
        }
    }

    /// `struct foo`, of a type of pre; nothing if it has no name.
    pub fn pre_name(&self, id: TypeId) -> Option<&str> {
        self.pre_names.get(&id).map(String::as_str)
    }

    pub fn post_name(&self, id: TypeId) -> Option<&str> {
        self.post_names.get(&id).map(String::as_str)
    }

    /// Types that have a name, are complete on both sides, and differ.
    pub fn changes(&self) -> Vec<LayoutChange> {
        let mut before: BTreeMap<&str, Vec<TypeId>> = BTreeMap::new();
        for (id, _) in self.pre.aggregates() {
            if let Some(name) = self.pre_name(id) {
                before.entry(name).or_default().push(id);
            }
        }
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut changes = Vec::new();
        for (post, _) in self.post.aggregates() {
            let Some(name) = self.post_name(post) else {
                continue;
            };
            let Some(candidates) = before.get(name) else {
                continue;
            };
            // Different scopes may have namesakes: like is paired with like.
            let ordinal = seen.entry(name).or_default();
            let pair = candidates[(*ordinal).min(candidates.len() - 1)];
            *ordinal += 1;
            let is_same = |pre: &TypeId| self.compare(*pre, post).is_none();
            if !candidates.iter().any(is_same)
                && let Some(change) = self.compare(pair, post)
            {
                changes.push(change);
            }
        }
        changes
    }

    /// Names of types that are complete in post and unknown in pre.
    pub fn added(&self) -> Vec<TypeId> {
        let before: HashSet<&str> = self.pre_names.values().map(String::as_str).collect();
        let of_post = self.post.aggregates().map(|(id, _)| id);
        of_post
            .filter(|id| {
                self.post_name(*id)
                    .is_some_and(|name| !before.contains(name))
            })
            .collect()
    }

    fn compare(&self, pre: TypeId, post: TypeId) -> Option<LayoutChange> {
        let (Type::Aggregate(was), Type::Aggregate(is)) =
            (&self.pre.types[pre], &self.post.types[post])
        else {
            return None;
        };
        let (before, after) = (pieces(self.pre, was), pieces(self.post, is));
        let members = self.member_changes(&before, &after);
        if members.is_empty() && was.size == is.size {
            return None;
        }
        let (is_equivalent, is_renamed) = self.same_scalars(pre, post, &mut Pairs::new());
        Some(LayoutChange {
            pre,
            post,
            members,
            is_equivalent,
            is_renamed,
            holes: holes(&before, was.size.saturating_mul(8)),
        })
    }

    fn member_changes(&self, before: &[Piece], after: &[Piece]) -> Vec<MemberChange> {
        let mut changes = Vec::new();
        let mut old: HashMap<&str, Vec<&Piece>> = HashMap::new();
        for piece in before {
            old.entry(&piece.name).or_default().push(piece);
        }
        for piece in after {
            // Alternatives of a union may share a name.
            let matching = old.get_mut(piece.name.as_str());
            let found = matching.and_then(|list| {
                let same = list.iter().position(|p| p.bit_offset == piece.bit_offset);
                (!list.is_empty()).then(|| list.remove(same.unwrap_or(0)))
            });
            let Some(was) = found else {
                changes.push(MemberChange::Added(piece.clone()));
                continue;
            };
            if was.bit_offset != piece.bit_offset {
                changes.push(MemberChange::Moved(was.clone(), piece.clone()));
                continue;
            }
            let likeness = match was.bits == piece.bits && was.is_bit_field == piece.is_bit_field {
                true => self.likeness(was.of, piece.of),
                false => Likeness::Different,
            };
            if likeness > Likeness::Same {
                changes.push(MemberChange::Retyped(was.clone(), piece.clone(), likeness));
            }
        }
        let mut gone: Vec<&Piece> = old.into_values().flatten().collect();
        gone.sort_by_key(|piece| (piece.bit_offset, piece.name.clone()));
        changes.extend(gone.into_iter().cloned().map(MemberChange::Removed));
        changes
    }

    /// How alike a type of pre and one of post are.
    pub fn likeness(&self, pre: Option<TypeId>, post: Option<TypeId>) -> Likeness {
        self.like(pre, post, &mut Pairs::new())
    }

    fn like(&self, pre: Option<TypeId>, post: Option<TypeId>, seen: &mut Pairs) -> Likeness {
        let (pre, post) = match (self.pre.strip(pre), self.post.strip(post)) {
            (Some(pre), Some(post)) => (pre, post),
            (None, None) => return Likeness::Same,
            _ => return Likeness::Different,
        };
        if let Some(known) = seen.get(&(pre, post)) {
            return *known;
        }
        if seen.len() >= MAX_PAIRS {
            return Likeness::Different;
        }
        // While a pair is being compared, it is the same as far as it knows.
        seen.insert((pre, post), Likeness::Same);
        let like = self.like_stripped(pre, post, seen);
        seen.insert((pre, post), like);
        like
    }

    fn like_stripped(&self, pre: TypeId, post: TypeId, seen: &mut Pairs) -> Likeness {
        match (&self.pre.types[pre], &self.post.types[post]) {
            (
                Type::Base { size, encoding, .. },
                Type::Base {
                    size: now,
                    encoding: code,
                    ..
                },
            ) => match (size == now, encoding == code) {
                (true, true) => Likeness::Same,
                (true, false) if is_integer(*encoding) && is_integer(*code) => {
                    Likeness::Representation
                }
                _ => Likeness::Different,
            },
            (Type::Enum(was), Type::Enum(is)) => match was.size == is.size {
                true if was.name == is.name => Likeness::Same,
                true => Likeness::Representation,
                false => Likeness::Different,
            },
            (Type::Enum(of), Type::Base { size, encoding, .. })
            | (Type::Base { size, encoding, .. }, Type::Enum(of)) => {
                match of.size == *size && is_integer(*encoding) {
                    true => Likeness::Representation,
                    false => Likeness::Different,
                }
            }
            (Type::Pointer { to: was }, Type::Pointer { to: is }) => self.like(*was, *is, seen),
            (
                Type::Array { of, counts },
                Type::Array {
                    of: now,
                    counts: lengths,
                },
            ) => match length(counts) == length(lengths) {
                true => self.like(*of, *now, seen),
                false => Likeness::Different,
            },
            (Type::Aggregate(was), Type::Aggregate(is)) => {
                self.like_aggregates((pre, was), (post, is), seen)
            }
            (Type::Function(was), Type::Function(is)) => self.like_functions(was, is, seen),
            _ => Likeness::Different,
        }
    }

    /// How alike two ways to call a function are.
    pub fn like_signatures(&self, pre: &Signature, post: &Signature) -> Likeness {
        self.like_functions(pre, post, &mut Pairs::new())
    }

    fn like_functions(&self, was: &Signature, is: &Signature, seen: &mut Pairs) -> Likeness {
        if was.parameters.len() != is.parameters.len() || was.is_variadic != is.is_variadic {
            return Likeness::Signature;
        }
        let mut like = self.like(was.returns, is.returns, seen);
        for (a, b) in was.parameters.iter().zip(&is.parameters) {
            like = like.max(self.like(*a, *b, seen));
        }
        like.min(Likeness::Signature)
    }

    fn like_aggregates(
        &self,
        (pre, was): (TypeId, &Aggregate<'d>),
        (post, is): (TypeId, &Aggregate<'d>),
        seen: &mut Pairs,
    ) -> Likeness {
        if was.is_union != is.is_union {
            return Likeness::Different;
        }
        match (was.name, is.name) {
            // It is compared by itself.
            (Some(a), Some(b)) if a == b => return Likeness::Same,
            _ => {}
        }
        if was.is_declaration || is.is_declaration || was.size != is.size {
            return Likeness::Different;
        }
        let named = was.name.or(is.name).is_some();
        let (before, after) = (pieces(self.pre, was), pieces(self.post, is));
        let same_places = before.len() == after.len()
            && before.iter().zip(&after).all(|(a, b)| {
                (a.bit_offset, a.bits, a.is_bit_field, &a.name)
                    == (b.bit_offset, b.bits, b.is_bit_field, &b.name)
            });
        if !same_places {
            return match self.same_scalars(pre, post, seen).1 {
                true => Likeness::Representation,
                false => Likeness::Different,
            };
        }
        let mut like = match named {
            true => Likeness::Representation,
            false => Likeness::Same,
        };
        for (a, b) in before.iter().zip(&after) {
            like = like.max(self.like(a.of, b.of, seen));
        }
        like
    }

    /// Whether two types consist of the same scalars at the same places: (of
    /// the same types under the same names, or also of like types under others).
    fn same_scalars(&self, pre: TypeId, post: TypeId, seen: &mut Pairs) -> (bool, bool) {
        let size = |model: &Model<'_>, id| model.size_of(Some(id));
        if size(self.pre, pre) != size(self.post, post) {
            return (false, false);
        }
        let (Some(before), Some(after)) = (leaves(self.pre, pre), leaves(self.post, post)) else {
            return (false, false);
        };
        let mut worst = Likeness::Same;
        let same_places = before.len() == after.len()
            && before.iter().zip(&after).all(|(a, b)| {
                worst = worst.max(self.like(a.of, b.of, seen));
                (a.bit_offset, a.bits) == (b.bit_offset, b.bits)
            });
        let is_like = same_places && worst <= Likeness::Representation;
        let same_names = before.iter().zip(&after).all(|(a, b)| a.name == b.name);
        // A name that is still there must not mean another place.
        let places = |list: &[Leaf]| -> HashMap<String, Vec<u64>> {
            let mut places: HashMap<String, Vec<u64>> = HashMap::new();
            for leaf in list {
                let at = places.entry(leaf.name.clone()).or_default();
                at.push(leaf.bit_offset);
            }
            places
        };
        let (old, new) = (places(&before), places(&after));
        let moved = old
            .iter()
            .any(|(name, at)| new.get(name).is_some_and(|now| now != at));
        (
            is_like && same_names && worst == Likeness::Same,
            is_like && !moved,
        )
    }
}

/// Names of structs and unions: their own, or that of a typedef.
pub(super) fn type_names(model: &Model<'_>) -> HashMap<TypeId, String> {
    let mut names = HashMap::new();
    for (id, of) in model.types.iter().enumerate() {
        match of {
            Type::Aggregate(aggregate) => {
                if let Some(name) = aggregate.name {
                    names.insert(id, format!("{} {name}", aggregate.keyword()));
                }
            }
            Type::Alias { name, to: Some(to) } => {
                if matches!(&model.types[*to], Type::Aggregate(a) if a.name.is_none()) {
                    names.entry(*to).or_insert_with(|| (*name).to_owned());
                }
            }
            _ => {}
        }
    }
    names
}

/// Elements of an array; one without length has none of its own.
fn length(counts: &[Option<u64>]) -> Vec<u64> {
    counts.iter().map(|count| count.unwrap_or(0)).collect()
}

fn is_integer(encoding: u8) -> bool {
    use gimli::{DW_ATE_UTF, DW_ATE_unsigned_char};
    use gimli::{DW_ATE_boolean, DW_ATE_signed, DW_ATE_signed_char, DW_ATE_unsigned};
    [
        DW_ATE_boolean,
        DW_ATE_signed,
        DW_ATE_signed_char,
        DW_ATE_unsigned,
        DW_ATE_unsigned_char,
        DW_ATE_UTF,
    ]
    .iter()
    .any(|known| known.0 == encoding)
}
