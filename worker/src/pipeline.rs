//! The way of a patch on the build side, stage by stage.

mod difference;

use crate::{
    Error,
    build::{Build, blocking},
    compile::{self, KernelObject, Reference, units},
    kmod::Kmod,
    module,
    module_key::ModuleKey,
    package::identity,
    patch::{self, Patch},
    report::Report,
    skeleton,
    verify::{Check, GuestReport, Trial, TrialPart, against_file, in_guest},
};
use difference::{Compiled, by_object, declared, diff, symvers};
use resplice_objdiff::{
    delta::{Delta, Identity},
    linked::check_module,
    plan::Plan,
};
use resplice_package::part_name;
use std::{path::PathBuf, sync::Arc};

/// What is to be built.
#[derive(Debug, Clone)]
pub struct Request {
    /// The update's id on the server.
    pub update_id: String,
    /// One line for people.
    pub name: String,
    /// CVE ids that it fixes.
    pub cves: Vec<String>,
    /// The patch.
    pub patch: Patch,
    /// Ids in the kernel of the updates whose place it takes, for this target.
    pub supersedes: Vec<String>,
    /// How to see whether the fix is in force.
    pub check: Option<Check>,
}

/// How it is to be built.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where targets, cores and snapshots are kept.
    pub cache: PathBuf,
    /// The sources of the kernel core and of update modules.
    pub kmod: Kmod,
    /// QEMU's CPU models to verify on; none skips that.
    pub cpus: Vec<String>,
    /// Signs the modules, for hosts that take no others.
    pub module_key: Option<ModuleKey>,
}

/// An update's modules with what they need, verified but not signed.
#[derive(Debug, Clone)]
pub struct Built {
    /// What the update is called in the kernel, and whose place it takes.
    pub identity: Identity,
    /// `resplice.ko`.
    pub core: Vec<u8>,
    /// One for each kernel object that the update changes, by number.
    pub parts: Vec<BuiltPart>,
}

/// What an update changes in one kernel object.
#[derive(Debug, Clone)]
pub struct BuiltPart {
    /// The module's name.
    pub name: String,
    /// The module.
    pub module: Vec<u8>,
    /// What differencing found.
    pub plan: Plan,
}

impl Built {
    /// The names of the kernel objects that it changes.
    #[must_use]
    pub fn objects(&self) -> Vec<&str> {
        self.parts.iter().map(|p| p.plan.object.as_str()).collect()
    }
}

/// Takes a patch through all stages but signing. `report` is filled in as far
/// as the build comes, also if it fails.
///
/// # Errors
/// See [`Error`]; [`Error::status`] says how the job ends.
pub async fn build(
    build: &Build<'_>,
    request: &Request,
    options: &Options,
    report: &mut Report,
) -> Result<Built, Error> {
    let target_digest = build.target.digest();
    let identity = identity(&request.patch, &target_digest, &request.supersedes)?;
    report.target = build.target.id().to_string();
    report.target_digest = target_digest;
    identity.id().clone_into(&mut report.id);
    report.patch_sha256 = request.patch.sha256();
    report.files = request.patch.files().to_vec();

    module::headers(build, &options.kmod)?;
    let patched = patch::apply(build, &request.patch).await?;
    let reached = units(build, &request.patch, &patched).await?;
    let changed = compile::changed(build, &reached, &patched).await?;
    let references = Arc::new(changed.references);
    report.units = references.iter().map(|r| r.unit.clone()).collect();
    let objects = by_object(&references);
    // The core's exports are for hooks; it is in the cache but for the first time.
    let core = module::core(build, &options.kmod, &options.cache).await?;
    let (pre, post, witnesses) = (changed.pre, changed.post, changed.witnesses);
    let touched = patch::touched(&build.target.source_dir(), &patched)?;
    let compiled = Arc::new(Compiled {
        objects,
        references,
        pre,
        post,
        witnesses,
        touched,
        symvers: symvers(build, &core)?,
        declared: declared(&request.patch),
    });
    let deltas = build
        .stage(
            "diff",
            diff(build, &identity, &compiled, &request.patch, report),
        )
        .await;
    if matches!(deltas, Err(Error::NeedsCode(_))) {
        report.skeleton = Some(skeleton::of(build, &request.patch, report)?);
    }
    let mut parts = link(build, options, &core, identity.id(), deltas?).await?;
    build
        .stage("check", check_linked(&identity, &compiled, &parts))
        .await?;
    build
        .stage("match", match_files(build, &parts, &compiled, report))
        .await?;
    let mut core = core.module;
    if let Some(key) = &options.module_key {
        let signing = sign_modules(build, key, &mut core, &mut parts);
        build.stage("sign-modules", signing).await?;
    }
    for cpu in &options.cpus {
        let trial = Trial {
            id: identity.id().to_owned(),
            core: core.clone(),
            parts: parts.iter().map(trial_part).collect(),
            check: request.check.clone(),
            cpu: cpu.clone(),
        };
        build
            .stage("verify", verify(build, options, trial, report))
            .await?;
    }
    Ok(Built {
        identity,
        core,
        parts,
    })
}

/// Signs what a host's kernel loads, before it is tried: what is tried is what ships.
async fn sign_modules(
    build: &Build<'_>,
    key: &ModuleKey,
    core: &mut Vec<u8>,
    parts: &mut [BuiltPart],
) -> Result<(), Error> {
    let update = parts
        .iter_mut()
        .map(|part| (part.name.as_str(), &mut part.module));
    for (name, module) in std::iter::once(("resplice", core)).chain(update) {
        *module = key.sign(build.target, name, std::mem::take(module)).await?;
    }
    Ok(())
}

/// Holds each finished module against the objects that it was made from.
async fn check_linked(
    identity: &Identity,
    compiled: &Arc<Compiled>,
    parts: &[BuiltPart],
) -> Result<(), Error> {
    let (identity, compiled, parts) = (identity.clone(), Arc::clone(compiled), parts.to_vec());
    let operation = "check the linked module";
    blocking(operation, move || {
        let inputs = compiled.inputs();
        for part in &parts {
            let object = inputs.iter().find(|input| input.object == part.plan.object);
            let units = object.map_or(&[][..], |input| &input.units);
            check_module(
                &part.module,
                &identity,
                &part.plan,
                units,
                &compiled.symvers,
            )
            .map_err(|error| Error::internal(operation, error))?;
        }
        Ok(())
    })
    .await
}

/// Makes modules of the deltas; objects that do not change get none.
async fn link(
    build: &Build<'_>,
    options: &Options,
    core: &module::Core,
    id: &str,
    deltas: Vec<Delta>,
) -> Result<Vec<BuiltPart>, Error> {
    let changed = deltas
        .into_iter()
        .filter_map(|delta| Some((delta.bytes?, delta.plan)));
    let (deltas, plans): (Vec<(String, Vec<u8>)>, Vec<Plan>) = changed
        .enumerate()
        .map(|(number, (bytes, plan))| ((part_name(id, number), bytes), plan))
        .unzip();
    let modules = module::update(build, &options.kmod, core, &deltas).await?;
    let names = deltas.into_iter().map(|(name, _)| name);
    Ok(names
        .zip(modules)
        .zip(plans)
        .map(|((name, module), plan)| BuiltPart { name, module, plan })
        .collect())
}

fn trial_part(part: &BuiltPart) -> TrialPart {
    TrialPart {
        name: part.name.clone(),
        object: part.plan.object.clone(),
        module: part.module.clone(),
    }
}

/// Matches the units of each part's kernel object against its file.
async fn match_files(
    build: &Build<'_>,
    parts: &[BuiltPart],
    compiled: &Compiled,
    report: &mut Report,
) -> Result<(), Error> {
    let changed = |object: &KernelObject| parts.iter().any(|p| p.plan.object == object.name());
    let objects = compiled.objects.iter();
    for (object, units) in objects.filter(|(object, _)| changed(object)) {
        let references = Arc::clone(&compiled.references);
        match_file(build, object, units, references, report).await?;
    }
    Ok(())
}

async fn match_file(
    build: &Build<'_>,
    object: &KernelObject,
    units: &[usize],
    references: Arc<Vec<Reference>>,
    report: &mut Report,
) -> Result<(), Error> {
    let (target, object, units) = (build.target.clone(), object.clone(), units.to_vec());
    let found = blocking("match against the shipped file", move || {
        against_file(
            &target,
            &object,
            units.iter().map(|&unit| &references[unit]),
        )
    })
    .await?;
    build.log.line(&found.sentence());
    let difference = found.first_difference();
    let differs = found.differs();
    report.file_matches.push(found);
    if differs {
        return Err(Error::Mismatch(format!(
            "what was compiled is not what the distribution shipped: {}",
            difference.unwrap_or_else(|| "see the report".to_owned())
        )));
    }
    Ok(())
}

async fn verify(
    build: &Build<'_>,
    options: &Options,
    trial: Trial,
    report: &mut Report,
) -> Result<(), Error> {
    let (target, cache, log) = (
        build.target.clone(),
        options.cache.clone(),
        build.log.clone(),
    );
    let (outcome, guest) = blocking("run the verification", move || {
        let mut guest = GuestReport::default();
        let outcome = in_guest(&target, &cache, &trial, &log, &mut guest);
        Ok((outcome, guest))
    })
    .await?;
    report.guests.push(guest);
    outcome
}
