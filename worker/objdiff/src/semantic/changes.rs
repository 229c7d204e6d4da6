//! Changed types of one unit, before the memory of the running
//! kernel is considered.

use super::finding::{Field, Finding, Layout, LayoutMember, Severity};
use super::functions::UnitView;
use super::layout::{LayoutChange, Likeness, MemberChange};
use super::model::{Model, Position, Type, TypeId};
use super::pieces::Piece;
use super::relations::{element, embeds, mentions};

/// A type that lost nothing: members were added, and nothing moved. Whether
/// running objects can carry that depends on how they are allocated.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    /// The finding as it stands if nothing can be shown.
    pub finding: Finding,
    /// `struct foo`.
    pub name: String,
    pub old_size: u64,
    pub new_size: u64,
    /// The new members in bits, `start..end`.
    pub added: Vec<(u64, u64)>,
    /// Why 0 is not a value that a new member may begin with.
    pub not_zero: Option<String>,
    /// All new members lie where pre has nothing.
    pub fits_holes: bool,
}

/// What one unit says about types.
#[derive(Debug, Default)]
pub(super) struct TypeFindings {
    pub findings: Vec<Finding>,
    pub growths: Vec<Growth>,
}

/// Types that are complete on both sides and differ.
pub(super) fn types(unit: &UnitView<'_, '_>) -> TypeFindings {
    let mut found = TypeFindings::default();
    let changes = unit.layouts.changes();
    for change in &changes {
        if is_consequence(unit, change, &changes) {
            continue;
        }
        let Some(name) = unit.layouts.post_name(change.post) else {
            continue;
        };
        let carriers = carriers(unit, change, &changes);
        one_type(unit, name, change, &carriers, &mut found);
    }
    for post in unit.layouts.added() {
        if let Type::Aggregate(of) = &unit.layouts.post.types[post]
            && let Some(name) = unit.layouts.post_name(post)
            && is_from_the_patch(unit, &of.position)
        {
            let sentence = format!("{name} is new: no running object has it");
            let at = &of.position;
            found.findings.push(finding(
                unit,
                Severity::Info,
                "type-added",
                name,
                at,
                sentence,
            ));
        }
    }
    found
}

/// Types come and go with what else a unit uses of its headers.
fn is_from_the_patch(unit: &UnitView<'_, '_>, at: &Position) -> bool {
    unit.touched.is_empty() || unit.touched.iter().any(|range| *range.file == *at.file)
}

pub(super) fn finding(
    unit: &UnitView<'_, '_>,
    severity: Severity,
    code: &str,
    object: &str,
    at: &Position,
    sentence: String,
) -> Finding {
    Finding {
        severity,
        code: code.to_owned(),
        object: object.to_owned(),
        unit: unit.plan.name.clone(),
        file: at.file.to_string(),
        line: at.line,
        sentence,
        layout: None,
    }
}

fn sizes(unit: &UnitView<'_, '_>, change: &LayoutChange) -> (u64, u64) {
    let size = |model: &Model<'_>, id| model.size_of(Some(id)).unwrap_or(0);
    (
        size(unit.layouts.pre, change.pre),
        size(unit.layouts.post, change.post),
    )
}

/// It only moved because of what it embeds.
fn is_consequence(unit: &UnitView<'_, '_>, change: &LayoutChange, all: &[LayoutChange]) -> bool {
    let model = unit.layouts.post;
    let holds_another = |piece: &Piece| {
        let inner = element(model, piece.of);
        !piece.is_bit_field && inner.is_some_and(|id| matches!(model.types[id], Type::Aggregate(_)))
    };
    let only_moved = change.members.iter().all(|member| match member {
        MemberChange::Moved(was, is) => was.spelled == is.spelled,
        MemberChange::Retyped(was, is, _) => was.spelled == is.spelled && holds_another(is),
        _ => false,
    });
    only_moved
        && all.iter().any(|inner| {
            inner.post != change.post && embeds(unit.layouts.post, change.post, inner.post)
        })
}

/// Names of the types that changed only because they embed this one.
fn carriers(unit: &UnitView<'_, '_>, change: &LayoutChange, all: &[LayoutChange]) -> Vec<String> {
    let outer = all.iter().filter(|outer| {
        outer.post != change.post
            && is_consequence(unit, outer, all)
            && embeds(unit.layouts.post, outer.post, change.post)
    });
    let names = outer.filter_map(|outer| unit.layouts.post_name(outer.post));
    names.map(str::to_owned).collect()
}

fn one_type(
    unit: &UnitView<'_, '_>,
    name: &str,
    change: &LayoutChange,
    carriers: &[String],
    found: &mut TypeFindings,
) {
    let (old_size, new_size) = sizes(unit, change);
    let position = match &unit.layouts.pre.types[change.pre] {
        Type::Aggregate(of) => of.position.clone(),
        _ => Position::default(),
    };
    let layout = Layout {
        name: name.to_owned(),
        old_size,
        new_size,
        members: change.members.iter().map(layout_member).collect(),
    };
    let make = |severity, code: &str, sentence: String| {
        let mut found = finding(unit, severity, code, name, &position, sentence);
        found.layout = Some(layout.clone());
        found
    };
    let what = describe(name, old_size, new_size, &change.members);
    let worst = change.members.iter().map(hurt).max().unwrap_or(Hurt::None);
    if change.is_equivalent {
        let sentence = format!("{what}; every scalar lies as before under its old name");
        found
            .findings
            .push(make(Severity::Info, "layout-equivalent", sentence));
    } else if worst == Hurt::Signedness && old_size == new_size {
        let sentence =
            format!("{what}; the bytes are the same: see that running values mean the same");
        found
            .findings
            .push(make(Severity::Review, "member-type-changed", sentence));
    } else if change.is_renamed {
        let sentence = format!(
            "{what}; every scalar lies as before, some under another name: see that the meaning is the old one"
        );
        found
            .findings
            .push(make(Severity::Review, "layout-equivalent", sentence));
    } else if worst == Hurt::Call && old_size == new_size {
        let sentence = format!(
            "{what}; see that all functions it points to, and all their callers, are replaced"
        );
        found
            .findings
            .push(make(Severity::Review, "callback-changed", sentence));
    } else {
        let used = users(unit, change.post);
        let sentence = format!("{what}; objects that exist now have the old layout{used}");
        let result = make(Severity::NeedsCode, "layout-changed", sentence);
        let added: Vec<&Piece> = change
            .members
            .iter()
            .filter_map(|m| match m {
                MemberChange::Added(piece) => Some(piece),
                _ => None,
            })
            .collect();
        let is_union =
            matches!(&unit.layouts.pre.types[change.pre], Type::Aggregate(of) if of.is_union);
        if worst == Hurt::Growth
            && !is_union
            && !added.is_empty()
            && carriers.is_empty()
            && new_size >= old_size
        {
            found.growths.push(Growth {
                name: name.to_owned(),
                old_size,
                new_size,
                added: added.iter().map(|p| (p.bit_offset, p.bit_end())).collect(),
                not_zero: added.iter().find_map(|p| not_zero(unit.layouts.post, p)),
                fits_holes: added.iter().all(|p| is_free(p, &change.holes, old_size)),
                finding: result,
            });
            return;
        }
        let mut result = result;
        if !carriers.is_empty() {
            result
                .sentence
                .push_str(&format!("; {} with it", carriers.join(", ")));
        }
        found.findings.push(result);
    }
}

/// How much a changed member hurts. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hurt {
    None,
    Signedness,
    Call,
    Growth,
    Unknown,
}

fn hurt(change: &MemberChange) -> Hurt {
    match change {
        MemberChange::Added(_) => Hurt::Growth,
        MemberChange::Retyped(_, _, Likeness::Same | Likeness::Representation) => Hurt::Signedness,
        MemberChange::Retyped(_, _, Likeness::Signature) => Hurt::Call,
        MemberChange::Retyped(..) | MemberChange::Removed(_) | MemberChange::Moved(..) => {
            Hurt::Unknown
        }
    }
}

/// The member lies in a hole of pre, or behind its end.
fn is_free(piece: &Piece, holes: &[(u64, u64)], old_size: u64) -> bool {
    let end = old_size.saturating_mul(8);
    // A hole at the end continues behind it.
    let free = holes
        .iter()
        .map(|(start, stop)| (*start, if *stop == end { u64::MAX } else { *stop }))
        .chain([(end, u64::MAX)]);
    piece.bits > 0
        && free
            .into_iter()
            .any(|(start, stop)| piece.bit_offset >= start && piece.bit_end() <= stop)
}

/// Why a member can't simply begin as 0; nothing if it can. A number, a flag, a
/// pointer and a counter can; so can what is written before it is read
/// (struct rcu_head, include/linux/types.h).
fn not_zero(model: &Model<'_>, piece: &Piece) -> Option<String> {
    const ALIASES: [&str; 3] = ["atomic_t", "atomic64_t", "atomic_long_t"];
    let mut of = piece.of;
    for _ in 0..16 {
        let id = of?;
        match &model.types[id] {
            Type::Alias { name, .. } if ALIASES.contains(name) => return None,
            Type::Alias { to, .. } | Type::Qualified { to, .. } => of = *to,
            Type::Array { of: element, .. } => of = *element,
            Type::Base { .. } | Type::Pointer { .. } => return None,
            Type::Enum(of) if of.constants.iter().any(|(_, value)| *value == 0) => return None,
            Type::Aggregate(of) if of.name == Some("callback_head") => return None,
            _ => break,
        }
    }
    Some(format!(
        "{} ({}) may need more than zero to begin with",
        piece.name, piece.spelled
    ))
}

fn layout_member(change: &MemberChange) -> LayoutMember {
    let field = |piece: &Piece| Field {
        of: piece.spelled.clone(),
        bit_offset: piece.bit_offset,
        bits: piece.bits,
    };
    let (name, old, new) = match change {
        MemberChange::Added(piece) => (&piece.name, None, Some(field(piece))),
        MemberChange::Removed(piece) => (&piece.name, Some(field(piece)), None),
        MemberChange::Retyped(was, is, _) | MemberChange::Moved(was, is) => {
            (&is.name, Some(field(was)), Some(field(is)))
        }
    };
    LayoutMember {
        name: name.clone(),
        old,
        new,
    }
}

/// `struct foo grows from 8 to 16 bytes: b (long) is added at +8`
fn describe(name: &str, old_size: u64, new_size: u64, members: &[MemberChange]) -> String {
    const SHOWN: usize = 6;
    let size = match old_size.cmp(&new_size) {
        std::cmp::Ordering::Less => format!("{name} grows from {old_size} to {new_size} bytes"),
        std::cmp::Ordering::Greater => {
            format!("{name} shrinks from {old_size} to {new_size} bytes")
        }
        std::cmp::Ordering::Equal => format!("{name} keeps its {old_size} bytes"),
    };
    let moves = |m: &&MemberChange| matches!(m, MemberChange::Moved(..));
    let mut parts: Vec<String> = members
        .iter()
        .filter(|m| !moves(m))
        .map(|member| match member {
            MemberChange::Added(p) => {
                format!("{} ({}) is added at {}", p.name, p.spelled, p.place())
            }
            MemberChange::Removed(p) => {
                format!("{} ({}) at {} is gone", p.name, p.spelled, p.place())
            }
            MemberChange::Retyped(was, is, _) if was.spelled == is.spelled => {
                format!("{} ({}) changes within", is.name, is.spelled)
            }
            MemberChange::Retyped(was, is, _) | MemberChange::Moved(was, is) => {
                format!("{} was {} and is {}", is.name, was.spelled, is.spelled)
            }
        })
        .collect();
    if parts.len() > SHOWN {
        let more = parts.len() - SHOWN;
        parts.truncate(SHOWN);
        parts.push(format!("{more} more"));
    }
    let moved: Vec<String> = members
        .iter()
        .filter_map(|member| match member {
            MemberChange::Moved(was, is) => {
                let text = format!("{} moves from {} to {}", is.name, was.place(), is.place());
                Some(match was.spelled == is.spelled {
                    true => text,
                    false => format!("{text} (was {}, is {})", was.spelled, is.spelled),
                })
            }
            _ => None,
        })
        .collect();
    match moved.len() {
        0 => {}
        1..=3 => parts.extend(moved),
        count => parts.push(format!("{}, and {} more members move", moved[0], count - 1)),
    }
    match parts.is_empty() {
        true => size,
        false => format!("{size}: {}", parts.join(", ")),
    }
}

/// `; f and g use it`, for a reader: functions with a variable of that type.
fn users(unit: &UnitView<'_, '_>, of: TypeId) -> String {
    const SHOWN: usize = 4;
    let post = unit.layouts.post;
    let by_symbol = post.by_symbol();
    let users: Vec<&str> = unit
        .plan
        .replaced
        .iter()
        .map(|f| &f.name)
        .chain(&unit.plan.added)
        .filter(|name| {
            let id = by_symbol.get(name.as_str());
            id.is_some_and(|id| mentions(post, *id, of))
        })
        .map(String::as_str)
        .collect();
    match users.len() {
        0 => String::new(),
        1..=SHOWN => format!("; used by {}", users.join(", ")),
        count => format!(
            "; used by {} and {} more",
            users[..SHOWN].join(", "),
            count - SHOWN
        ),
    }
}
