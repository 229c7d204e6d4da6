//! What is signed: targets, snapshots, timestamps.

use super::{
    RepositoryError, SNAPSHOT_LIFE, TARGETS_LIFE, TIMESTAMP_LIFE,
    files::{Files, number},
};
use jiff::{SignedDuration, Timestamp};
use resplice_rollout::Terms;
use resplice_tuf::{
    json::Json,
    metadata::{Role, Targets},
    sign::{SPEC_VERSION, object, text},
};
use std::collections::BTreeMap;

/// Lengths, sha256 and terms of targets, by name.
pub(super) type Entries = BTreeMap<String, (u64, String, Option<serde_json::Value>)>;

/// A released package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name in the repository, see [`resplice_api::package_target`].
    pub name: String,
    /// Its sha256 in hex.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// On which terms hosts may take it.
    pub terms: Terms,
}

pub(super) fn wanted(packages: &[Package]) -> Entries {
    let entry = |p: &Package| {
        let terms = serde_json::to_value(&p.terms).ok();
        (p.name.clone(), (p.bytes, p.sha256.clone(), terms))
    };
    packages.iter().map(entry).collect()
}

pub(super) fn entries(targets: &Targets) -> Entries {
    let entries = targets.targets.iter().map(|(name, meta)| {
        let sha256 = meta.hashes.get("sha256").cloned().unwrap_or_default();
        (name.clone(), (meta.length, sha256, meta.custom.clone()))
    });
    entries.collect()
}

pub(super) fn targets(
    version: u64,
    now: Timestamp,
    packages: &[Package],
) -> Result<Json, RepositoryError> {
    let entry = |package: &Package| {
        let value = object([
            ("length", number(package.bytes)),
            ("hashes", object([("sha256", text(&package.sha256))])),
            ("custom", json(&package.terms)?),
        ]);
        Ok((package.name.clone(), value))
    };
    let list = packages
        .iter()
        .map(entry)
        .collect::<Result<_, RepositoryError>>()?;
    Ok(head(
        "targets",
        version,
        now,
        TARGETS_LIFE,
        [("targets", Json::Object(list))],
    ))
}

/// A value as it is signed.
fn json(value: &impl serde::Serialize) -> Result<Json, RepositoryError> {
    let bytes = serde_json::to_vec(value);
    bytes
        .and_then(|bytes| Json::read(&bytes))
        .map_err(|error| RepositoryError::Damaged(format!("the terms of a package: {error}")))
}

pub(super) fn snapshot(version: u64, now: Timestamp, targets: Json) -> Json {
    let meta = object([("targets.json", targets)]);
    head("snapshot", version, now, SNAPSHOT_LIFE, [("meta", meta)])
}

pub(super) fn timestamp(version: u64, now: Timestamp, snapshot: Json) -> Json {
    let meta = object([("snapshot.json", snapshot)]);
    head("timestamp", version, now, TIMESTAMP_LIFE, [("meta", meta)])
}

pub(super) fn head<const N: usize>(
    role: &str,
    version: u64,
    now: Timestamp,
    life: SignedDuration,
    more: [(&str, Json); N],
) -> Json {
    let expires = (now + life).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let head = [
        ("_type", text(role)),
        ("spec_version", text(SPEC_VERSION)),
        ("version", number(version)),
        ("expires", text(&expires)),
    ];
    let members = head.into_iter().chain(more);
    Json::Object(
        members
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

pub(super) fn read_json(bytes: &[u8]) -> Result<Json, RepositoryError> {
    Json::read(bytes).map_err(|error| damaged(&error))
}

/// The targets that wait for a signature.
pub(super) fn read_unsigned(files: &Files) -> Result<Option<(Vec<u8>, Targets)>, RepositoryError> {
    let Some(bytes) = files.read(&files.unsigned())? else {
        return Ok(None);
    };
    let targets: Targets = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
    targets.check().map_err(|reason| damaged(&reason))?;
    Ok(Some((bytes, targets)))
}

fn damaged(reason: &dyn ToString) -> RepositoryError {
    RepositoryError::Damaged(format!("targets.unsigned: {}", reason.to_string()))
}
