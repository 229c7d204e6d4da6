//! One translation unit: what changed, and whether it can be carried over.

mod changes;
mod data;
mod hooks;
mod init;
mod reference;

pub(crate) use changes::{Role, role};
pub(crate) use data::Exchange;

use std::collections::BTreeSet;

use crate::atoms::{AtomId, Unit};
use crate::correlate::Correlation;
use crate::declare::DeclarationKind;
use crate::delta::UnitInput;
use crate::elf::Object;
use crate::error::DiffError;
use crate::hook::HookKind;
use crate::plan::UnitPlan;

/// What became of an atom of post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As in pre: the running kernel has it.
    Same(AtomId),
    /// Something else than in pre.
    Changed(AtomId),
    /// Not in pre.
    Added,
    /// Only contents count: comes along with whatever refers to it.
    Content,
}

/// A unit's objects and what is different between them.
pub(crate) struct UnitDiff {
    pub reference: Unit,
    pub pre: Unit,
    pub post: Unit,
    /// Per atom of post.
    pub states: Vec<State>,
    /// Functions of post that replace their counterparts, cold parts not among them.
    pub replaced: Vec<AtomId>,
    /// Functions of post that are hooks: unit's sections in their order.
    pub hooks: Vec<(HookKind, AtomId)>,
    /// Data that are exchanged in place.
    pub exchanges: Vec<Exchange>,
    /// Whether exit code runs only as the module goes, before and after the change.
    pub exits_are_apart: bool,
    /// Atoms of post that are read-only objects with another size than in pre.
    pub resized: BTreeSet<AtomId>,
    /// Atoms of post that could be several of pre.
    pub ambiguous: Vec<AtomId>,
    /// See [`crate::delta::UnitInput::touched`].
    touched: Option<BTreeSet<String>>,
    pub plan: UnitPlan,
}

/// Compares pre and post of one unit and checks against the reference object
/// that what changed can be replaced in the running kernel.
pub fn diff_unit(
    name: &str,
    reference: &[u8],
    pre: &[u8],
    post: &[u8],
) -> Result<UnitPlan, DiffError> {
    let input = UnitInput {
        name,
        reference,
        pre,
        post,
        ..UnitInput::default()
    };
    UnitDiff::new(&input).map(|diff| diff.plan)
}

impl UnitDiff {
    /// Whether an atom of post is a replacement or a cold part of one.
    pub fn replaces(&self, id: AtomId) -> bool {
        let body = self.post.atoms[id].parent.unwrap_or(id);
        self.replaced.contains(&body)
    }

    /// Compares what an input holds.
    pub fn new(input: &UnitInput<'_>) -> Result<Self, DiffError> {
        let name = input.name;
        let parse = |bytes: &[u8], which| {
            Object::parse(bytes).map_err(|source| DiffError::Object {
                unit: name.to_owned(),
                which,
                source,
            })
        };
        let reference = Unit::as_shipped(parse(input.reference, "reference")?)?;
        let pre = Unit::new(parse(input.pre, "pre")?)?;
        let post = Unit::new(parse(input.post, "post")?)?;
        let mut correlation = Correlation::new(&pre, &post);
        let resized = data::part_resized(&pre, &post, &mut correlation);
        let (mut declared, refused) = match crate::declare::read(&post.object) {
            Ok(declared) => (declared, Vec::new()),
            Err(refusal) => (Vec::new(), vec![refusal]),
        };
        declared.extend_from_slice(input.declared);
        let mut diff = Self {
            reference,
            states: changes::states(&pre, &post, &correlation),
            exits_are_apart: init::exits_are_apart(&pre) && init::exits_are_apart(&post),
            ambiguous: correlation.ambiguous.iter().copied().collect(),
            pre,
            post,
            replaced: Vec::new(),
            hooks: Vec::new(),
            exchanges: Vec::new(),
            resized,
            touched: input.touched.cloned(),
            plan: UnitPlan {
                name: name.to_owned(),
                declared,
                refused,
                ..UnitPlan::default()
            },
        };
        diff.ambiguous.sort_unstable();
        diff.ignore_functions();
        diff.describe(&correlation);
        diff.read_hooks();
        diff.check_reference();
        let mut seen = std::collections::HashSet::new();
        diff.plan
            .refused
            .retain(|r| seen.insert((r.code.clone(), r.object.clone())));
        Ok(diff)
    }

    /// Functions that shall stay as they run, whatever became of them.
    fn ignore_functions(&mut self) {
        for id in 0..self.states.len() {
            let body = self.post.atoms[id].parent.unwrap_or(id);
            if let State::Changed(was) = self.states[id]
                && self.post.atoms[id].is_function()
                && self
                    .plan
                    .declares(DeclarationKind::IgnoreFunction, &self.post.label(body))
            {
                self.states[id] = State::Same(was);
            }
        }
    }

    /// The name in the running kernel of an atom of pre.
    pub fn reference_name(&self, pre: AtomId) -> Option<&str> {
        self.pre
            .symbols_of(pre)
            .map(|s| s.name.as_str())
            .find(|name| self.is_in_reference(pre, name))
    }
}

#[cfg(test)]
mod tests;
