//! What a build comes to: its name in the kernel, and the signed package.

use crate::{
    Error,
    patch::Patch,
    pipeline::{Built, BuiltPart, Request},
    report::Report,
};
use resplice_objdiff::delta::Identity;
use resplice_package::{
    Function, Input, Manifest, Package, Part, SecretKey, part_member, provenance::PATCH,
};
use resplice_target::Target;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The program that builds, with its version.
pub const BUILT_BY: &str = concat!("resplice-worker ", env!("CARGO_PKG_VERSION"));
/// Hex digits of an update's id after `rsp_`.
const ID_DIGITS: usize = 12;

/// What the update is called in the kernel: the same patch for the same target,
/// that supersedes the same updates, has the same name.
///
/// # Errors
/// If an id of `supersedes` is none.
pub fn identity(
    patch: &Patch,
    target_digest: &str,
    supersedes: &[String],
) -> Result<Identity, Error> {
    let mut others = supersedes.to_vec();
    others.sort();
    others.dedup();
    let mut hash = Sha256::new();
    hash.update(patch.text().as_bytes());
    hash.update(target_digest.as_bytes());
    for other in &others {
        hash.update(b"\0");
        hash.update(other.as_bytes());
    }
    let digits: String = hex::encode(hash.finalize())
        .chars()
        .take(ID_DIGITS)
        .collect();
    Identity::superseding(&format!("rsp_{digits}"), &others)
        .map_err(|error| Error::Refused(format!("the updates to be superseded: {error}")))
}

/// Signs what was built; the same inputs give the same bytes.
///
/// # Errors
/// If the package's own rules are not met.
pub fn sign(
    target: &Target,
    request: &Request,
    built: &Built,
    report: &Report,
    key: &SecretKey,
) -> Result<Vec<u8>, Error> {
    let members = members(built, report)?;
    Package::write(manifest(target, request, built), members, key)
        .map_err(|error| Error::internal("sign the package", error))
}

/// What the package says of itself, without its members.
#[must_use]
pub fn manifest(target: &Target, request: &Request, built: &Built) -> Manifest {
    let mut inputs = vec![Input {
        name: PATCH.to_owned(),
        sha256: request.patch.sha256(),
    }];
    inputs.extend(target.inputs().iter().map(|input| Input {
        name: format!("{} {}", input.name, input.version),
        sha256: input.sha256.clone(),
    }));
    Manifest {
        format: resplice_package::FORMAT,
        id: built.identity.id().to_owned(),
        update_id: request.update_id.clone(),
        name: request.name.clone(),
        cves: request.cves.clone(),
        supersedes: built.identity.supersedes().to_vec(),
        target: resplice_package::Target {
            id: target.id().to_string(),
            release: target.release().to_owned(),
            package_version: target.package_version().to_owned(),
            digest: target.digest(),
        },
        parts: built.parts.iter().map(manifest_part).collect(),
        members: Vec::new(),
        built_by: BUILT_BY.to_owned(),
        inputs,
    }
}

/// What the package holds.
///
/// # Errors
/// If the report has no JSON form.
pub fn members(built: &Built, report: &Report) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut members = BTreeMap::from([
        (resplice_package::CORE_MODULE.to_owned(), built.core.clone()),
        (resplice_package::REPORT.to_owned(), report.reproducible()?),
    ]);
    for (number, part) in built.parts.iter().enumerate() {
        members.insert(
            part_member(built.identity.id(), number),
            part.module.clone(),
        );
    }
    Ok(members)
}

fn manifest_part(part: &BuiltPart) -> Part {
    let functions = part.plan.replaced().map(|function| Function {
        name: function.name.clone(),
        unit: function.unit.clone(),
        old_size: function.old_size,
        new_size: function.new_size,
    });
    Part {
        object: part.plan.object.clone(),
        functions: functions.collect(),
    }
}
