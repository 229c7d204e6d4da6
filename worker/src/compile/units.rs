//! Which translation units a patch reaches.

use super::Index;
use crate::{Error, build::Build, patch::Patch};
use std::collections::BTreeSet;

/// The units of this kernel that contain a file of the patch. What contains
/// none of it is named in the log.
///
/// # Errors
/// [`Error::Nothing`] if the patch reaches no unit of this kernel.
pub async fn units(build: &Build<'_>, patch: &Patch) -> Result<Vec<String>, Error> {
    let index = Index::load(build).await?;
    let mut units = BTreeSet::new();
    for file in patch.sources() {
        let reached = index.reached(std::slice::from_ref(file), &[]);
        let linked: Vec<_> = reached
            .iter()
            .filter(|unit| !unit.links.is_empty())
            .collect();
        if linked.is_empty() {
            build
                .log
                .line(&format!("{file} is in no object of this kernel"));
        }
        units.extend(linked.into_iter().map(|unit| unit.source.clone()));
    }
    if units.is_empty() {
        return Err(Error::Nothing(
            "the patch touches nothing that this kernel's configuration builds".to_owned(),
        ));
    }
    Ok(units.into_iter().collect())
}
