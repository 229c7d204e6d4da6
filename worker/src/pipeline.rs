//! The way of a patch on the build side, stage by stage.

use crate::{
    Error,
    build::{Build, blocking},
    compile::{self, KernelObject, Reference, Witness, units},
    kmod::Kmod,
    meaning,
    module::{self, Core},
    module_key::ModuleKey,
    package::identity,
    patch::{self, Patch},
    report::Report,
    skeleton,
    verify::{Check, GuestReport, Trial, TrialPart, against_file, in_guest},
};
use resplice_objdiff::{
    delta::{Delta, Identity, ObjectInput, UnitInput, write_parts},
    linked::check_module,
    listing::{self, listing},
    plan::{Outcome, Plan},
    symvers::Symvers,
};
use resplice_package::part_name;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
};

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

/// The units of one kernel object, as indices into all references.
type Units = BTreeMap<KernelObject, Vec<usize>>;

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

/// The kernel objects that the units are linked into: vmlinux, then modules by
/// name. That is the order of the parts; no part links against another one, and
/// all go in at once, so that no other order is any better.
fn by_object(references: &[Reference]) -> Units {
    let mut objects = Units::new();
    for (index, reference) in references.iter().enumerate() {
        for object in &reference.kernel_objects {
            objects.entry(object.clone()).or_default().push(index);
        }
    }
    objects
}

/// Everything that was compiled.
struct Compiled {
    objects: Units,
    references: Arc<Vec<Reference>>,
    pre: Vec<Vec<u8>>,
    post: Vec<Vec<u8>>,
    witnesses: Vec<Witness>,
    touched: Option<BTreeSet<String>>,
    symvers: Symvers,
}

impl Compiled {
    fn inputs(&self) -> Vec<ObjectInput<'_>> {
        let unit = |&index: &usize| UnitInput {
            name: &self.references[index].unit,
            reference: &self.references[index].object,
            pre: &self.pre[index],
            post: &self.post[index],
            touched: self.touched.as_ref(),
        };
        self.objects
            .iter()
            .map(|(object, units)| ObjectInput {
                object: object.name(),
                units: units.iter().map(unit).collect(),
            })
            .collect()
    }
}

/// What the target's kernel exports.
fn symvers(build: &Build<'_>, core: &Core) -> Result<Symvers, Error> {
    let path = build.target.build_dir().join("Module.symvers");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    Symvers::parse(&text)
        .and_then(|symvers| symvers.with_core(&String::from_utf8_lossy(&core.symbols)))
        .map_err(|error| Error::internal(format!("read {}", path.display()), error))
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

async fn diff(
    build: &Build<'_>,
    identity: &Identity,
    compiled: &Arc<Compiled>,
    patch: &Patch,
    report: &mut Report,
) -> Result<Vec<Delta>, Error> {
    let (identity, compiled) = (identity.clone(), Arc::clone(compiled));
    let touched = meaning::touched(patch);
    let (deltas, found, listed) = blocking("compare pre and post", move || {
        let inputs = compiled.inputs();
        let mut deltas = write_parts(&identity, &inputs, &compiled.symvers)
            .map_err(|error| Error::internal("compare pre and post", error))?;
        let found = meaning::examine(&inputs, &compiled.witnesses, &mut deltas, &touched)?;
        let listed = list(&inputs, &deltas)?;
        Ok((deltas, found, listed))
    })
    .await?;
    report.listing = Some(listed);
    report.plans = deltas.iter().map(|delta| delta.plan.clone()).collect();
    report.semantic = Some(found);
    tell(build, &report.plans)?;
    Ok(deltas)
}

/// The instructions of what is replaced.
fn list(inputs: &[ObjectInput<'_>], deltas: &[Delta]) -> Result<listing::Listing, Error> {
    let mut units = Vec::new();
    for (object, delta) in inputs.iter().zip(deltas) {
        for plan in &delta.plan.units {
            let unit = object.units.iter().find(|unit| unit.name == plan.name);
            units.extend(unit.map(|unit| listing::UnitInput {
                object: object.object,
                plan,
                pre: unit.pre,
                post: unit.post,
            }));
        }
    }
    listing(&units).map_err(|error| Error::internal("list the replaced functions", error))
}

/// Logs what is replaced, or why nothing can be.
fn tell(build: &Build<'_>, plans: &[Plan]) -> Result<(), Error> {
    for plan in plans {
        for function in plan.replaced() {
            build.log.line(&format!(
                "replaces {} of {} in {}: {} -> {} bytes ({})",
                function.name,
                function.unit,
                plan.object,
                function.old_size,
                function.new_size,
                function.reason
            ));
        }
    }
    for unit in plans.iter().flat_map(|plan| &plan.units) {
        for data in &unit.exchanged {
            build.log.line(&format!(
                "exchanges {} of {}: {} of {} bytes ({})",
                data.name, data.unit, data.bytes, data.size, data.reason
            ));
        }
        for name in &unit.exports_left {
            build.log.line(&format!(
                "exports {name} to the other parts of the update, and to nobody else"
            ));
        }
        for name in &unit.events_left {
            build.log.line(&format!(
                "tracepoint {name} is new: its code is there, but nobody can enable it"
            ));
        }
        for name in &unit.exit_left {
            build.log.line(&format!(
                "leaves {name} as it is, which runs as the module goes: the update stays loaded when it is undone, \
                 and the module with it"
            ));
        }
        for name in &unit.held {
            build.log.line(&format!(
                "hands out {name}: the update stays loaded when it is undone"
            ));
        }
    }
    // A unit of several modules says the same in each of them.
    let refused: BTreeSet<String> = plans
        .iter()
        .flat_map(Plan::refused)
        .map(ToString::to_string)
        .collect();
    for sentence in &refused {
        build.log.error(sentence);
    }
    let outcomes: Vec<Outcome> = plans.iter().map(Plan::outcome).collect();
    let refused: Vec<String> = refused.into_iter().collect();
    if outcomes.contains(&Outcome::Refused) {
        return Err(Error::Refused(refused.join("; ")));
    }
    if outcomes.contains(&Outcome::NeedsCode) {
        return Err(Error::NeedsCode(refused.join("; ")));
    }
    if !outcomes.contains(&Outcome::Replace) {
        return Err(Error::Nothing(
            "the patch changes no object code of this kernel".to_owned(),
        ));
    }
    Ok(())
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
