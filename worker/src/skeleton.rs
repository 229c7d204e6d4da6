//! What is left for the author of a patch to write.

use crate::{
    Error,
    build::Build,
    patch::{self, Patch},
    report::Report,
};

/// The skeleton of the code that a build ended for want of: a patch that goes
/// on top of the one that was uploaded.
///
/// # Errors
/// If a unit's text can't be read.
pub fn of(build: &Build<'_>, patch: &Patch, report: &Report) -> Result<String, Error> {
    let mut text = String::new();
    for unit in report.plans.iter().flat_map(|plan| &plan.units) {
        let source = patch::post_text(build, patch, &unit.name)?;
        text.extend(resplice_objdiff::skeleton::skeleton(unit, &source));
    }
    build
        .log
        .line("the report holds a skeleton of the code that is missing");
    Ok(text)
}
