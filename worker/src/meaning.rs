//! What an update means beyond its code: the semantic report, and what of it
//! keeps the update from going on.

use crate::{Error, compile::Witness, patch::Patch};
use resplice_objdiff::{
    declare::Described,
    delta::{Delta, ObjectInput},
    plan::{Plan, Refusal, UnitPlan},
    semantic::{LineRange, SemanticReport, UnitInput, report},
};
use std::collections::BTreeSet;

/// Compares the debug information of all units. What needs code, and is not
/// declared by the patch's author, is refused in the plans.
///
/// # Errors
/// If debug information can't be read.
pub fn examine(
    objects: &[ObjectInput<'_>],
    witnesses: &[Witness],
    deltas: &mut [Delta],
    touched: &[LineRange],
    described: &[Described],
) -> Result<SemanticReport, Error> {
    let mut seen = BTreeSet::new();
    let mut units = Vec::new();
    for (object, delta) in objects.iter().zip(deltas.iter()) {
        for (unit, plan) in object.units.iter().zip(&delta.plan.units) {
            // A unit of several modules means the same in each of them.
            if unit.name == plan.name && seen.insert(unit.name) {
                units.push(UnitInput {
                    plan,
                    before: unit.pre,
                    pre: unit.pre,
                    post: unit.post,
                    touched,
                });
            }
        }
    }
    let unchanged: Vec<UnitPlan> = witnesses
        .iter()
        .map(|witness| UnitPlan {
            name: witness.unit.clone(),
            ..UnitPlan::default()
        })
        .collect();
    units.extend(
        witnesses
            .iter()
            .zip(&unchanged)
            .map(|(witness, plan)| UnitInput {
                plan,
                before: &witness.pre,
                pre: &witness.pre,
                post: &witness.post,
                touched,
            }),
    );
    let mut found =
        report(&units).map_err(|error| Error::internal("compare debug information", error))?;
    let mut plans: Vec<&mut Plan> = deltas.iter_mut().map(|delta| &mut delta.plan).collect();
    found.apply_declarations(&mut plans, described);
    for finding in found.needs_code() {
        let refusal = Refusal::new(&finding.code, &finding.object, &finding.sentence);
        let units = plans.iter_mut().flat_map(|plan| &mut plan.units);
        for unit in units.filter(|unit| unit.name == finding.unit) {
            unit.refused.push(refusal.clone());
        }
    }
    Ok(found)
}

/// The lines of the old source that a patch takes out, or behind which it puts
/// others in.
#[must_use]
pub fn touched(patch: &Patch) -> Vec<LineRange> {
    let mut found: Vec<LineRange> = Vec::new();
    let (mut file, mut line, mut left) = (String::new(), 0_u64, (0_u64, 0_u64));
    for text in patch.text().lines() {
        if left == (0, 0) {
            if let Some(path) = text.strip_prefix("+++ ") {
                let path = path.split('\t').next().unwrap_or_default();
                path.strip_prefix("b/")
                    .unwrap_or(path)
                    .clone_into(&mut file);
            } else if let Some((start, counts)) = text.strip_prefix("@@ -").and_then(hunk) {
                (line, left) = (start, counts);
            }
            continue;
        }
        let (old, new, is_change) = match text.as_bytes().first() {
            Some(b'-') => (1, 0, true),
            Some(b'+') => (0, 1, true),
            Some(b'\\') => (0, 0, false),
            _ => (1, 1, false),
        };
        if is_change {
            let at = if old == 1 {
                line
            } else {
                line.saturating_sub(1)
            };
            match found.last_mut() {
                Some(last) if last.file == file && last.last.saturating_add(1) >= at => {
                    last.last = last.last.max(at);
                }
                _ => found.push(LineRange {
                    file: file.clone(),
                    first: at,
                    last: at,
                }),
            }
        }
        line = line.saturating_add(old);
        left = (left.0.saturating_sub(old), left.1.saturating_sub(new));
    }
    found
}

/// The first old line and the numbers of lines of `1,2 +1,3 @@ ...`.
fn hunk(header: &str) -> Option<(u64, (u64, u64))> {
    let (old, new) = header.split_once(" @@")?.0.split_once(" +")?;
    let range = |text: &str| -> Option<(u64, u64)> {
        match text.split_once(',') {
            Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let ((start, old), (_, new)) = (range(old)?, range(new)?);
    Some((start, (old, new)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_lines_that_a_patch_touches_are_those_of_the_old_source() {
        let text = "--- a/net/a.c\n+++ b/net/a.c\n@@ -10,4 +10,5 @@ f\n a\n-b\n+c\n+d\n e\n f\n\
                    @@ -50,2 +51,3 @@ g\n a\n+b\n c\n";
        let found = touched(&Patch::parse(text).unwrap());
        let ranges: Vec<(&str, u64, u64)> = found
            .iter()
            .map(|range| (range.file.as_str(), range.first, range.last))
            .collect();
        assert_eq!(ranges, [("net/a.c", 11, 11), ("net/a.c", 50, 50)]);
    }
}
