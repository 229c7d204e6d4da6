//! Whether objects that exist in the running kernel can take the place of ones
//! with a member more.
//!
//! A rule holds only if all of it is seen in the code of every unit that knows
//! the type. What is not seen is given as the reason why nothing was shown.

use std::collections::BTreeSet;

use crate::elf::{Object, SectionKind};
use crate::names;

use super::allocate::{Allocation, allocations, class_of};
use super::changes::Growth;
use super::code::{Code, FunctionCode};
use super::error::SemanticError;
use super::finding::{Finding, Severity};
use super::layout::type_names;
use super::model::{Model, Type, TypeId};
use super::relations::{embeds, mentions};
use super::sections::Sections;
use super::{UnitInput, dwarf};

/// Functions that a sentence names.
const SHOWN: usize = 3;

/// Gives each growth its finding.
pub(super) fn judge(
    growths: Vec<Growth>,
    units: &[UnitInput<'_>],
) -> Result<Vec<Finding>, SemanticError> {
    let mut verdicts: Vec<Verdict> = growths.into_iter().map(Verdict::new).collect();
    if verdicts.iter().all(|verdict| verdict.problem.is_some()) {
        return Ok(verdicts.into_iter().map(Verdict::finding).collect());
    }
    for unit in units {
        let sections = Sections::load(unit.before)?;
        let model = dwarf::read(&sections, &unit.plan.name)?;
        let names = type_names(&model);
        let known = |verdict: &Verdict| {
            model.aggregates().find_map(|(id, of)| {
                let named = names
                    .get(&id)
                    .is_some_and(|name| *name == verdict.growth.name);
                (named && of.size == verdict.growth.old_size).then_some(id)
            })
        };
        let which: Vec<Option<TypeId>> = verdicts.iter().map(known).collect();
        if which.iter().all(Option::is_none) {
            continue;
        }
        let mut witness = Witness::new(unit, &model)?;
        for (verdict, id) in verdicts.iter_mut().zip(which) {
            if let (Some(id), None) = (id, &verdict.problem) {
                verdict.problem = witness.problem(id, &verdict.growth, &mut verdict.allocators);
            }
        }
    }
    Ok(verdicts.into_iter().map(Verdict::finding).collect())
}

struct Verdict {
    growth: Growth,
    /// Functions that are seen to allocate the type.
    allocators: BTreeSet<String>,
    /// Why nothing is shown.
    problem: Option<String>,
}

impl Verdict {
    fn new(growth: Growth) -> Self {
        let same_class = class_of(growth.old_size).is_some()
            && class_of(growth.old_size) == class_of(growth.new_size);
        let problem = if let Some(reason) = &growth.not_zero {
            Some(reason.clone())
        } else if !growth.fits_holes {
            Some("a new member overlaps an old one".to_owned())
        } else if growth.new_size != growth.old_size && !same_class {
            Some("it no longer fits the memory that was allocated for it".to_owned())
        } else {
            None
        };
        Self {
            growth,
            allocators: BTreeSet::new(),
            problem,
        }
    }

    fn finding(self) -> Finding {
        let mut finding = self.growth.finding;
        let problem = match self.problem {
            None if self.allocators.is_empty() => {
                Some("no allocation of it is seen in the units that know it".to_owned())
            }
            other => other,
        };
        if let Some(problem) = problem {
            finding.sentence.push_str(&format!("; {problem}"));
            return finding;
        }
        let room = match self.growth.old_size == self.growth.new_size {
            true => "in what was padding".to_owned(),
            false => format!(
                "in the {} bytes that were allocated for it",
                class_of(self.growth.new_size).unwrap_or_default()
            ),
        };
        let allocators: Vec<String> = self.allocators.into_iter().collect();
        let what = finding.sentence.split(';').next().unwrap_or_default();
        finding.sentence = format!(
            "{what}; objects that exist now hold 0 there, {room}, since {} zeroes them: see that the new code can begin with 0",
            shorten(&allocators)
        );
        finding.severity = Severity::Review;
        finding.code = "layout-grown".to_owned();
        finding
    }
}

fn shorten(names: &[String]) -> String {
    match names.len() {
        0..=SHOWN => names.join(", "),
        count => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
    }
}

/// A unit's code and types, asked about one type after the other.
struct Witness<'w, 'd> {
    model: &'w Model<'d>,
    pre: Object,
    functions: Vec<(String, FunctionCode, Vec<Allocation>)>,
    post: Code,
    replaced: BTreeSet<&'w str>,
}

impl<'w, 'd> Witness<'w, 'd> {
    fn new(unit: &UnitInput<'w>, model: &'w Model<'d>) -> Result<Self, SemanticError> {
        let pre = Object::parse(unit.pre)?;
        let functions = Code::read(&pre).functions.into_iter();
        Ok(Self {
            model,
            functions: functions
                .map(|(name, mut code)| {
                    let found = allocations(&mut code);
                    (name, code, found)
                })
                .collect(),
            pre,
            post: Code::read(&Object::parse(unit.post)?),
            replaced: unit.plan.replaced.iter().map(|f| f.name.as_str()).collect(),
        })
    }

    /// Why this unit keeps the growth from being harmless.
    fn problem(
        &mut self,
        of: TypeId,
        growth: &Growth,
        allocators: &mut BTreeSet<String>,
    ) -> Option<String> {
        let holders: Vec<TypeId> = (0..self.model.types.len())
            .filter(|id| {
                let of_interest = matches!(
                    self.model.types[*id],
                    Type::Aggregate(_) | Type::Array { .. }
                );
                of_interest && embeds(self.model, *id, of)
            })
            .collect();
        let grows = growth.new_size != growth.old_size;
        if let Some(holder) = holders.iter().find(|id| **id != of && grows) {
            return Some(format!(
                "{} holds it by value",
                self.model.spell(Some(*holder))
            ));
        }
        if let Some(problem) = self.by_value(&holders, grows) {
            return Some(problem);
        }
        let sizes: BTreeSet<u64> = holders
            .iter()
            .filter_map(|id| self.model.size_of(Some(*id)))
            .collect();
        self.unzeroed(&sizes, growth, allocators)
            .or_else(|| self.size_elsewhere(&sizes))
            .or_else(|| self.initialised(&sizes, growth))
            .or_else(|| self.resized(growth))
            .or_else(|| self.straddled(of, growth))
    }

    /// Objects that no allocator made.
    fn by_value(&self, holders: &[TypeId], grows: bool) -> Option<String> {
        let model = self.model;
        let holds = |id: TypeId| {
            model
                .strip(Some(id))
                .is_some_and(|id| holders.contains(&id))
        };
        for (id, function) in model.functions.iter().enumerate() {
            if !function.is_declaration && function.uses.iter().any(|id| holds(*id)) {
                let name = model.function_name(id).unwrap_or("a function");
                return Some(format!("{name}() has one on its stack"));
            }
        }
        let variable = model
            .variables
            .iter()
            .find(|variable| grows && variable.of.is_some_and(holds));
        variable.map(|variable| format!("{} is one that was not allocated", variable.name))
    }

    /// Memory that the type may lie in and that does not begin as 0.
    fn unzeroed(
        &self,
        sizes: &BTreeSet<u64>,
        growth: &Growth,
        allocators: &mut BTreeSet<String>,
    ) -> Option<String> {
        let grows = growth.new_size != growth.old_size;
        for (name, _, found) in &self.functions {
            for allocation in found {
                if allocation.size.is_some_and(|size| size < growth.old_size) {
                    continue;
                }
                if !allocation.is_zeroed {
                    return Some(format!(
                        "{name}() allocates memory that is not zeroed, and that may be for it"
                    ));
                }
                if !allocation.size.is_some_and(|size| sizes.contains(&size)) {
                    continue;
                }
                if grows && !allocation.is_slab {
                    return Some(format!(
                        "{name}() allocates it, but not from a general slab cache"
                    ));
                }
                allocators.insert(name.clone());
            }
        }
        None
    }

    /// The size is used for something that is not understood.
    fn size_elsewhere(&self, sizes: &BTreeSet<u64>) -> Option<String> {
        for (name, code, _) in &self.functions {
            let other = code
                .constants
                .iter()
                .find(|constant| !constant.is_explained && sizes.contains(&constant.value));
            if let Some(constant) = other {
                return Some(format!(
                    "{name}() uses the number {}, which may be its size",
                    constant.value
                ));
            }
        }
        let place = self.pre.sections.iter().find(|section| {
            use SectionKind::{
                Data, DataOnce, InitData, MergeConstants, PerCpu, RoAfterInit, Rodata,
            };
            matches!(
                section.kind,
                Data | DataOnce | InitData | MergeConstants | PerCpu | RoAfterInit | Rodata
            ) && holds_number(&section.bytes, sizes)
        });
        place.map(|section| format!("{} holds a number that may be its size", section.name))
    }

    /// A replaced allocating function gives a new member its first value.
    fn initialised(&self, sizes: &BTreeSet<u64>, growth: &Growth) -> Option<String> {
        for (name, _, found) in &self.functions {
            let allocates = found
                .iter()
                .any(|a| a.size.is_some_and(|size| sizes.contains(&size)));
            if !allocates || !self.replaced.contains(name.as_str()) {
                continue;
            }
            // The code of a clone may have moved to another one.
            let source = names::source_function(name);
            let after = self
                .post
                .functions
                .iter()
                .filter(|(other, _)| names::source_function(other) == source);
            for (_, code) in after {
                if sizes.len() > 1
                    || code
                        .stores
                        .iter()
                        .any(|s| !s.is_zero && overlaps(s, growth))
                {
                    return Some(format!(
                        "{name}() allocates it and may give the new member another value than 0"
                    ));
                }
            }
        }
        None
    }

    /// A growing type takes part in other sizes.
    fn resized(&self, growth: &Growth) -> Option<String> {
        if growth.new_size == growth.old_size {
            return None;
        }
        for (name, _, before) in &self.functions {
            if !self.replaced.contains(name.as_str()) {
                continue;
            }
            let mut post = FunctionCode::default();
            let after = match self.post.functions.get(name) {
                Some(code) => {
                    post.calls.extend(code.calls.iter().cloned());
                    allocations(&mut post)
                }
                None => Vec::new(),
            };
            let others = |list: &[Allocation], own: u64| {
                let mut sizes: Vec<Option<u64>> = list.iter().map(|a| a.size).collect();
                sizes.retain(|size| {
                    size.is_none_or(|size| size >= growth.old_size) && *size != Some(own)
                });
                sizes.sort_unstable();
                sizes
            };
            let (old, new) = (
                others(before, growth.old_size),
                others(&after, growth.new_size),
            );
            if old != new || old.contains(&None) {
                return Some(format!(
                    "{name}() allocates memory whose size may depend on it"
                ));
            }
        }
        None
    }

    /// Copies that carry padding along with its neighbours.
    fn straddled(&self, of: TypeId, growth: &Growth) -> Option<String> {
        if growth.new_size != growth.old_size {
            return None;
        }
        let by_symbol = self.model.by_symbol();
        for (name, code, _) in &self.functions {
            let uses = by_symbol
                .get(name.as_str())
                .is_none_or(|id| mentions(self.model, *id, of));
            if uses
                && code
                    .stores
                    .iter()
                    .any(|s| !s.is_zero && straddles(s, growth))
            {
                return Some(format!(
                    "{name}() stores more than one member at once, and perhaps what was padding"
                ));
            }
        }
        None
    }
}

fn bits(store: &super::code::Store) -> (u64, u64) {
    let start = store.displacement.saturating_mul(8);
    (start, start.saturating_add(store.bytes.saturating_mul(8)))
}

fn overlaps(store: &super::code::Store, growth: &Growth) -> bool {
    let (start, end) = bits(store);
    growth
        .added
        .iter()
        .any(|(from, to)| start < *to && *from < end)
}

/// It reaches into what was padding, and beyond it.
fn straddles(store: &super::code::Store, growth: &Growth) -> bool {
    let (start, end) = bits(store);
    growth
        .added
        .iter()
        .any(|(from, to)| start < *to && *from < end && (start < *from || end > *to))
}

/// Whether an aligned number of two or four bytes is one of these; wider ones
/// begin with those.
fn holds_number(bytes: &[u8], sizes: &BTreeSet<u64>) -> bool {
    let narrow = bytes.chunks_exact(2).any(|pair| {
        let value = u64::from(u16::from_le_bytes([pair[0], pair[1]]));
        value >= 8 && sizes.contains(&value)
    });
    narrow
        || bytes.chunks_exact(4).any(|four| {
            let value = u64::from(u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
            value > u64::from(u16::MAX) && sizes.contains(&value)
        })
}
