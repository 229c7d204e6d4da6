//! What is left for the author of a patch to write.

use crate::{
    Error,
    build::Build,
    patch::{self, Patch},
    report::Report,
};
use resplice_objdiff::skeleton::{declarations, skeleton};
use std::collections::BTreeSet;

/// The skeleton of the code that a build ended for want of: a patch that goes
/// on top of the one that was uploaded.
///
/// # Errors
/// If a unit's text can't be read.
pub fn of(build: &Build<'_>, patch: &Patch, report: &Report) -> Result<String, Error> {
    let mut text = String::new();
    let mut lines = BTreeSet::new();
    for unit in report.plans.iter().flat_map(|plan| &plan.units) {
        let source = patch::post_text(build, patch, &unit.name)?;
        text.extend(skeleton(unit, &source));
        lines.extend(declarations(unit));
    }
    build.log.line(
        "what needs no code can be declared instead, in the patch's description, with the reason:",
    );
    for line in lines {
        build.log.line(&line);
    }
    build
        .log
        .line("the report holds a skeleton of the code that is missing");
    Ok(text)
}
