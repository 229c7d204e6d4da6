//! Changed data: what is exchanged in place, what gets a new copy, and what
//! only the patch's author can decide.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::atoms::{AtomId, Link, Unit};
use crate::compare::Comparer;
use crate::correlate::Correlation;
use crate::declare::DeclarationKind;
use crate::elf::{Binding, SectionKind};
use crate::plan::{Exchanged, Refusal, UnitPlan};

use super::UnitDiff;

/// Writable data whose running value the author may declare to be set: one
/// copy, at an address that matched text gives away.
const CAN_BE_SET: [SectionKind; 2] = [SectionKind::Data, SectionKind::RoAfterInit];

/// Data that get new contents where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// The atom of pre.
    pub was: AtomId,
    /// The atom of post.
    pub id: AtomId,
    /// Where the two differ; ascending.
    pub spans: Vec<Range<u64>>,
}

impl Exchange {
    /// Whether a reference is among what is exchanged.
    pub fn has(&self, link: &Link) -> bool {
        self.spans.iter().any(|s| s.contains(&link.offset))
    }
}

/// Takes read-only objects that got another size for new ones: then whatever
/// refers to them is changed by that, and the old ones stay as they are.
/// Returns them as atoms of post.
pub(super) fn part_resized(
    pre: &Unit,
    post: &Unit,
    correlation: &mut Correlation,
) -> BTreeSet<AtomId> {
    let mut resized = BTreeSet::new();
    for (id, atom) in post.atoms.iter().enumerate() {
        let Some(was) = correlation.pre_of(id) else {
            continue;
        };
        let is_local = |unit: &Unit, id: AtomId| {
            unit.name_of(id).is_some() && unit.symbols_of(id).all(|s| s.binding == Binding::Local)
        };
        let both = atom.kind == SectionKind::Rodata && pre.atoms[was].kind == SectionKind::Rodata;
        if both
            && !atom.is_content
            && atom.size != pre.atoms[was].size
            && is_local(pre, was)
            && is_local(post, id)
        {
            correlation.part(was, id);
            resized.insert(id);
        }
    }
    resized
}

impl UnitDiff {
    /// What becomes of changed data; `None` if the running value stays.
    pub(super) fn changed_data(
        &self,
        comparer: &Comparer<'_>,
        (was, id): (AtomId, AtomId),
        plan: &mut UnitPlan,
    ) -> Result<Option<Exchange>, Refusal> {
        let (pre, post) = (&self.pre.atoms[was], &self.post.atoms[id]);
        let name = self.post.label(id);
        let what = comparer.difference(was, id).unwrap_or("is different");
        let refuse = |why: &str| {
            let sentence = format!("existing data {name} {what}; {why}");
            Err(Refusal::new("changed-data", &name, sentence))
        };
        if pre.size == post.size && plan.declares(DeclarationKind::DataKeep, &name) {
            return Ok(None);
        }
        let is_constant = pre.kind == SectionKind::Rodata && post.kind == SectionKind::Rodata;
        let can_be_set = pre.kind == post.kind && CAN_BE_SET.contains(&pre.kind);
        let is_set = can_be_set && plan.declares(DeclarationKind::DataSet, &name);
        if !is_constant && !is_set {
            return refuse("the running kernel keeps its own copy, so that needs custom code");
        }
        if pre.size != post.size {
            return refuse(
                "others know its address, so that a larger or smaller copy needs custom code",
            );
        }
        let mut symbols = self.pre.symbols_of(was);
        if symbols.any(|s| s.binding == Binding::Weak) {
            return refuse("it is weak, so that another unit may have taken its place");
        }
        if self.reference_name(was).is_none() {
            return refuse("it is not to be found in the object compiled as the kernel was");
        }
        let spans = comparer.spans(was, id);
        if spans.is_empty() {
            return refuse("what is different in it is not known");
        }
        plan.exchanged.push(Exchanged {
            unit: plan.name.clone(),
            size: post.size,
            bytes: spans.iter().map(|s| s.end - s.start).sum(),
            section: self.post.section_of(id).name.clone(),
            reason: what.to_owned(),
            name,
        });
        Ok(Some(Exchange { was, id, spans }))
    }
}
