//! What an update means, from the debug information of its units.
//!
//! Differencing sees that code is different; it does not see that a structure
//! has a member more, that an enumerator has another number, that a function
//! is called in another way. Here the types, variables and functions of pre
//! and post are compared, and what replacing code alone can't carry into a
//! running kernel becomes a finding of the severity [`Severity::NeedsCode`].
//!
//! Bytes in, typed findings out. Malformed debug information is an error.

mod allocate;
mod changes;
mod code;
mod dwarf;
mod error;
mod finding;
mod functions;
mod layout;
mod locks;
mod model;
mod pieces;
mod relations;
mod running;
mod sections;
mod text;
mod threads;
mod values;

pub use error::SemanticError;
pub use finding::{
    Field, Finding, FunctionFacts, Layout, LayoutMember, Scope, SemanticReport, Severity,
};
pub use sections::{LIMITS, Limits};
pub use text::{Palette, render};

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::elf::Object;
use crate::plan::UnitPlan;

use changes::Growth;
use code::Code;
use functions::UnitView;
use layout::Layouts;
use sections::Sections;

/// The code of a finding that only an error of this program explains.
const INCONSISTENT: &str = "inconsistent";

/// One unit with its objects.
#[derive(Clone, Copy, Debug)]
pub struct UnitInput<'a> {
    /// What differencing found.
    pub plan: &'a UnitPlan,
    /// An object of the source before the change, with debug information: `pre`
    /// or the reference object.
    pub before: &'a [u8],
    /// Before the change, with `-ffunction-sections -fdata-sections`.
    pub pre: &'a [u8],
    /// After the change, with the same flags and debug information. A unit
    /// without replaced or added functions may have none.
    pub post: &'a [u8],
    /// The lines before the change that the patch touches; empty if unknown.
    pub touched: &'a [LineRange],
}

/// Lines of a source file, both ends included, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRange {
    /// Path from the source tree's root.
    pub file: String,
    /// First line.
    pub first: u64,
    /// Last line.
    pub last: u64,
}

/// What debug information holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Types.
    pub types: usize,
    /// Functions, instances and declarations among them.
    pub functions: usize,
    /// Variables with an address, and declarations.
    pub variables: usize,
}

/// Reads all of an object's debug information: DWARF 4 or 5 in a relocatable
/// x86-64 object. Takes any bytes without a panic.
///
/// # Errors
/// See [`SemanticError`]; what is beyond [`LIMITS`] is refused before memory is taken.
pub fn read(bytes: &[u8]) -> Result<Summary, SemanticError> {
    let sections = Sections::load(bytes)?;
    let model = dwarf::read(&sections, "")?;
    Ok(Summary {
        types: model.types.len(),
        functions: model.functions.len(),
        variables: model.variables.len(),
    })
}

/// Compares all units of one kernel object. `units` must hold every unit that
/// the patch reaches: a type is judged by what all of them do with it.
///
/// # Errors
/// If an object or its debug information can't be read.
pub fn report(units: &[UnitInput<'_>]) -> Result<SemanticReport, SemanticError> {
    let mut report = SemanticReport::default();
    let mut growths: BTreeMap<(String, String), Growth> = BTreeMap::new();
    for unit in units {
        let plan = unit.plan;
        if !has_new_code(plan) && plan.init_changed.is_empty() && plan.exit_changed.is_empty() {
            continue;
        }
        for growth in one_unit(unit, &mut report)? {
            let key = (growth.name.clone(), growth.finding.file.clone());
            growths.entry(key).or_insert(growth);
        }
    }
    let growths = growths.into_values().collect();
    report.findings.extend(running::judge(growths, units)?);
    report.sort();
    Ok(report)
}

fn has_new_code(plan: &UnitPlan) -> bool {
    !plan.replaced.is_empty() || !plan.added.is_empty()
}

fn one_unit(
    unit: &UnitInput<'_>,
    report: &mut SemanticReport,
) -> Result<Vec<Growth>, SemanticError> {
    let (pre_sections, post_sections) = (Sections::load(unit.before)?, Sections::load(unit.post)?);
    let pre_model = dwarf::read(&pre_sections, &unit.plan.name)?;
    let post_model = dwarf::read(&post_sections, &unit.plan.name)?;
    let layouts = Layouts::new(&pre_model, &post_model);
    let (pre, post) = (Object::parse(unit.pre)?, Object::parse(unit.post)?);
    let (pre_code, post_code) = (Code::read(&pre), Code::read(&post));
    let view = UnitView {
        plan: unit.plan,
        layouts: &layouts,
        pre: &pre,
        post: &post,
        pre_code: &pre_code,
        post_code: &post_code,
        touched: unit.touched,
    };
    view.init_code(&mut report.findings);
    view.exit_code(&mut report.findings);
    if !has_new_code(unit.plan) {
        return Ok(Vec::new());
    }
    report.functions.extend(view.facts());
    let types = changes::types(&view);
    let findings = &mut report.findings;
    findings.extend(types.findings);
    values::enums(&view, findings);
    values::variables(&view, findings);
    view.signatures(findings);
    view.unchanged_absorbers(findings);
    view.sizes_agree(findings);
    view.locking(findings);
    view.threads(findings);
    Ok(types.growths)
}
