//! Matching whole units: how much of a kernel's code is what was compiled.
//!
//! For the evaluation: the same reference objects and the same matcher as for
//! an update, but no patch, and an update module that changes nothing.

use crate::{
    Error,
    build::{Build, blocking},
    compile::{self, KernelObject, Reference},
    kmod::Kmod,
    module,
    verify::{FileMatch, match_report},
};
use resplice_objdiff::{delta::write_match_only, filematch::MatchReport};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// What came of matching the units of one kernel object.
#[derive(Debug, Clone, Serialize)]
pub struct Matched {
    /// `vmlinux` or the module's name.
    pub object: String,
    /// The units.
    pub units: Vec<String>,
    /// Against the shipped file.
    pub file: FileMatch,
    /// The same, with every function.
    #[serde(skip)]
    pub report: MatchReport,
    /// The id of `update` in the kernel.
    pub id: String,
    /// A module that only matches when it is loaded; its report is in
    /// `/sys/kernel/resplice/report`.
    #[serde(skip)]
    pub update: Vec<u8>,
    /// `resplice.ko`, which has to be loaded first.
    #[serde(skip)]
    pub core: Vec<u8>,
}

/// Compiles units as the kernel was shipped, matches them against its files,
/// and makes a module per kernel object that matches them against its memory.
///
/// # Errors
/// If a unit does not compile or can't be read; not for a mismatch.
pub async fn match_units(
    build: &Build<'_>,
    units: &[String],
    kmod: &Kmod,
    cache: &Path,
) -> Result<Vec<Matched>, Error> {
    let references = compile::reference(build, units).await?;
    module::headers(build, kmod)?;
    let core = module::core(build, kmod, cache).await?;
    let mut objects: BTreeMap<KernelObject, Vec<Reference>> = BTreeMap::new();
    for reference in references {
        for object in &reference.kernel_objects {
            objects
                .entry(object.clone())
                .or_default()
                .push(reference.clone());
        }
    }
    let mut matched = Vec::new();
    for (object, references) in objects {
        let (target, references) = (build.target.clone(), Arc::new(references));
        let (compared, of) = (Arc::clone(&references), object.clone());
        let compare = blocking("match against the shipped file", move || {
            match_report(&target, &of, compared.iter())
        });
        let report = build.stage("match", compare).await?;
        let file = FileMatch::from(report.clone());
        build.log.line(&file.sentence());
        let id = format!("rsp_match_{}", object.name());
        let inputs: Vec<(&str, &[u8])> = references
            .iter()
            .map(|reference| (reference.unit.as_str(), reference.object.as_slice()))
            .collect();
        let delta = write_match_only(&id, object.name(), &inputs).map_err(|error| {
            Error::internal(format!("write the match image of {}", object.name()), error)
        })?;
        let deltas = [(id.clone(), delta)];
        let mut modules = module::update(build, kmod, &core, &deltas).await?;
        let update = modules
            .pop()
            .ok_or_else(|| Error::internal("build the match-only module", "kbuild made none"))?;
        matched.push(Matched {
            object: object.name().to_owned(),
            units: references
                .iter()
                .map(|reference| reference.unit.clone())
                .collect(),
            file,
            report,
            id,
            update,
            core: core.module.clone(),
        });
    }
    Ok(matched)
}
