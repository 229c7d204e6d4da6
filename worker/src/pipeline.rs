//! The way of a patch on the build side, stage by stage.

use crate::{
    Error,
    build::{Build, blocking},
    compile::{self, KernelObject, Reference, Side, units},
    kmod::Kmod,
    module,
    patch::{self, Patch},
    report::Report,
    verify::{Check, GuestReport, Trial, against_file, in_guest},
};
use resplice_objdiff::{
    delta::{UnitInput, write_delta},
    linked::check_module,
    plan::{Outcome, Plan},
    symvers::Symvers,
};
use resplice_package::{Function, Input, Manifest, Package, SecretKey};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
};

/// Hex digits of an update's id after `rsp_`.
const ID_DIGITS: usize = 12;

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
}

/// An update module with what it needs, verified but not signed.
#[derive(Debug, Clone)]
pub struct Built {
    /// The update's id in the kernel.
    pub id: String,
    /// `vmlinux` or the patched module's name.
    pub object: String,
    /// `resplice.ko`.
    pub core: Vec<u8>,
    /// `<id>.ko`.
    pub update: Vec<u8>,
    /// What differencing found.
    pub plan: Plan,
}

/// The update's id in the kernel: the same patch for the same target has the same.
#[must_use]
pub fn kernel_id(patch: &Patch, target_digest: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(patch.text().as_bytes());
    hash.update(target_digest.as_bytes());
    let digits: String = hex::encode(hash.finalize())
        .chars()
        .take(ID_DIGITS)
        .collect();
    format!("rsp_{digits}")
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
    let id = kernel_id(&request.patch, &target_digest);
    report.target = build.target.id().to_string();
    report.target_digest = target_digest;
    report.id.clone_from(&id);
    report.patch_sha256 = request.patch.sha256();
    report.files = request.patch.files().to_vec();

    module::headers(build, &options.kmod)?;
    let patched = patch::apply(build, &request.patch).await?;
    report.units = units(build, &request.patch).await?;
    let references = Arc::new(compile::reference(build, &report.units).await?);
    let object = one_object(&references)?;
    let pre = compile::again(build, Side::Pre, &references, &[]).await?;
    let post = compile::again(build, Side::Post, &references, &patched).await?;
    let objects = Arc::new(Objects {
        references,
        pre,
        post,
        symvers: symvers(build)?,
    });
    let references = &objects.references;
    let delta = build
        .stage("diff", diff(build, &id, &object, &objects, report))
        .await?;
    let core = module::core(build, &options.kmod, &options.cache).await?;
    let update = module::update(build, &options.kmod, &core, &id, &delta).await?;
    build
        .stage("check", check_linked(&id, &objects, &update, report))
        .await?;
    build
        .stage("match", match_file(build, &object, references, report))
        .await?;
    for cpu in &options.cpus {
        let trial = Trial {
            id: id.clone(),
            modules: match &object {
                KernelObject::Vmlinux => Vec::new(),
                KernelObject::Module(name) => vec![name.clone()],
            },
            core: core.module.clone(),
            update: update.clone(),
            check: request.check.clone(),
            cpu: cpu.clone(),
        };
        build
            .stage("verify", verify(build, options, trial, report))
            .await?;
    }
    Ok(Built {
        id,
        object: object.name().to_owned(),
        core: core.module,
        update,
        plan: report.plan.clone().unwrap_or_default(),
    })
}

fn one_object(references: &[Reference]) -> Result<KernelObject, Error> {
    let objects: BTreeSet<&KernelObject> = references.iter().map(|r| &r.kernel_object).collect();
    let names: Vec<&str> = objects.iter().map(|object| object.name()).collect();
    match (objects.first(), objects.len()) {
        (Some(object), 1) => Ok((*object).clone()),
        _ => Err(Error::Refused(format!(
            "several-objects: the patch reaches {}: make one update for each of them",
            names.join(" and ")
        ))),
    }
}

/// Everything that was compiled.
struct Objects {
    references: Arc<Vec<Reference>>,
    pre: Vec<Vec<u8>>,
    post: Vec<Vec<u8>>,
    symvers: Symvers,
}

impl Objects {
    fn units(&self) -> Vec<UnitInput<'_>> {
        self.references
            .iter()
            .zip(self.pre.iter().zip(&self.post))
            .map(|(reference, (pre, post))| UnitInput {
                name: &reference.unit,
                reference: &reference.object,
                pre,
                post,
            })
            .collect()
    }
}

/// What the target's kernel exports.
fn symvers(build: &Build<'_>) -> Result<Symvers, Error> {
    let path = build.target.build_dir().join("Module.symvers");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    Symvers::parse(&text)
        .map_err(|error| Error::internal(format!("read {}", path.display()), error))
}

/// Holds the finished module against the objects that it was made from.
async fn check_linked(
    id: &str,
    objects: &Arc<Objects>,
    update: &[u8],
    report: &Report,
) -> Result<(), Error> {
    let (id, objects, update) = (id.to_owned(), Arc::clone(objects), update.to_vec());
    let plan = report.plan.clone().unwrap_or_default();
    blocking("check the linked module", move || {
        check_module(&update, &id, &plan, &objects.units(), &objects.symvers)
            .map_err(|error| Error::internal("check the linked module", error))
    })
    .await
}

async fn diff(
    build: &Build<'_>,
    id: &str,
    object: &KernelObject,
    objects: &Arc<Objects>,
    report: &mut Report,
) -> Result<Vec<u8>, Error> {
    let (id, name) = (id.to_owned(), object.name().to_owned());
    let objects = Arc::clone(objects);
    let delta = blocking("compare pre and post", move || {
        write_delta(&id, &name, &objects.units(), &objects.symvers)
            .map_err(|error| Error::internal("compare pre and post", error))
    })
    .await?;
    let plan = delta.plan;
    for function in plan.replaced() {
        build.log.line(&format!(
            "replaces {} of {}: {} -> {} bytes ({})",
            function.name, function.unit, function.old_size, function.new_size, function.reason
        ));
    }
    let refused: Vec<String> = plan.refused().map(ToString::to_string).collect();
    for sentence in &refused {
        build.log.error(sentence);
    }
    let outcome = plan.outcome();
    report.plan = Some(plan);
    match (outcome, delta.bytes) {
        (Outcome::Replace, Some(bytes)) => Ok(bytes),
        (Outcome::Refused, _) => Err(Error::Refused(refused.join("; "))),
        _ => Err(Error::Nothing(
            "the patch changes no object code of this kernel".to_owned(),
        )),
    }
}

async fn match_file(
    build: &Build<'_>,
    object: &KernelObject,
    references: &Arc<Vec<Reference>>,
    report: &mut Report,
) -> Result<(), Error> {
    let (target, object) = (build.target.clone(), object.clone());
    let references = Arc::clone(references);
    let found = blocking("match against the shipped file", move || {
        against_file(&target, &object, &references)
    })
    .await?;
    build.log.line(&found.sentence());
    let difference = found.first_difference();
    let differs = found.differs();
    report.file_match = Some(found);
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

/// Signs what was built; the same inputs give the same bytes.
///
/// # Errors
/// If the package's own rules are not met.
pub fn sign(
    target: &resplice_target::Target,
    request: &Request,
    built: &Built,
    report: &Report,
    key: &SecretKey,
) -> Result<Vec<u8>, Error> {
    let mut inputs = vec![Input {
        name: "patch".to_owned(),
        sha256: request.patch.sha256(),
    }];
    inputs.extend(target.inputs().iter().map(|input| Input {
        name: format!("{} {}", input.name, input.version),
        sha256: input.sha256.clone(),
    }));
    let functions = built.plan.replaced().map(|function| Function {
        name: function.name.clone(),
        unit: function.unit.clone(),
        old_size: function.old_size,
        new_size: function.new_size,
    });
    let manifest = Manifest {
        format: resplice_package::FORMAT,
        id: built.id.clone(),
        update_id: request.update_id.clone(),
        name: request.name.clone(),
        cves: request.cves.clone(),
        target: resplice_package::Target {
            id: target.id().to_string(),
            release: target.release().to_owned(),
            package_version: target.package_version().to_owned(),
            digest: target.digest(),
        },
        object: built.object.clone(),
        functions: functions.collect(),
        members: Vec::new(),
        built_by: concat!("resplice-worker ", env!("CARGO_PKG_VERSION")).to_owned(),
        inputs,
    };
    let members = BTreeMap::from([
        (
            resplice_package::update_module_name(&built.id),
            built.update.clone(),
        ),
        (resplice_package::CORE_MODULE.to_owned(), built.core.clone()),
        (resplice_package::REPORT.to_owned(), report.reproducible()?),
    ]);
    Package::write(manifest, members, key)
        .map_err(|error| Error::internal("sign the package", error))
}
