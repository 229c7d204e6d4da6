//! The statement itself, field by field, and what may stand in it.

use super::refused;
use crate::{Error, PublicKey, name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most things that went in.
const MAX_DEPENDENCIES: usize = 2048;
pub(super) const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
pub(super) const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// How to read the parameters, and what a builder does with them.
pub(super) const BUILD_TYPE: &str = "urn:resplice:build:v1";
/// Before the builder's public key.
pub(super) const BUILDER: &str = "urn:resplice:worker:ed25519:";

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement {
    #[serde(rename = "_type")]
    pub(super) kind: String,
    pub(super) subject: [Subject; 1],
    #[serde(rename = "predicateType")]
    pub(super) predicate_type: String,
    pub(super) predicate: Predicate,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) digest: Sha256,
}

/// A digest, as in-toto writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sha256 {
    /// sha256 in lower-case hex.
    pub sha256: String,
}

/// How it was built (SLSA provenance v1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Predicate {
    /// What went in.
    pub build_definition: BuildDefinition,
    /// This one run.
    pub run_details: RunDetails,
}

/// All that a build is a function of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BuildDefinition {
    pub(super) build_type: String,
    /// What whoever uploaded the patch has asked for.
    pub external_parameters: Asked,
    /// What the worker was set to.
    pub internal_parameters: Set,
    /// Each thing that went in, by its digest.
    pub resolved_dependencies: Vec<Dependency>,
}

/// What whoever uploaded the patch has asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Asked {
    /// The update on the server.
    pub update_id: String,
    /// One line for people.
    pub name: String,
    /// CVE ids.
    pub cves: Vec<String>,
    /// The kernel that it is for.
    pub target: String,
    /// sha256 over that target's inputs, in hex.
    pub target_digest: String,
    /// Ids in the kernel of the updates whose place it takes.
    pub supersedes: Vec<String>,
}

/// What the worker was set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Set {
    /// `local` or `docker`.
    pub sandbox: String,
    /// The processor models that it was tried on, in this order.
    pub cpus: Vec<String>,
    /// Whether a module key has signed the modules, for hosts in lockdown.
    pub modules_signed: bool,
}

/// Something that went in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// What it is: `patch`, a package's name and version, a program's path, ...
    pub name: String,
    /// Its digest.
    pub digest: Sha256,
}

/// One run of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunDetails {
    pub(super) builder: Builder,
    /// When, and for which job.
    pub metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Builder {
    pub(super) id: String,
    pub(super) version: BTreeMap<String, String>,
}

/// When, and for which job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metadata {
    /// `JOB/ATTEMPT`, or `local`.
    pub invocation_id: String,
    /// When it began (RFC 3339).
    pub started_on: String,
    /// When it ended.
    pub finished_on: String,
}

impl Dependency {
    /// A thing that went in.
    pub fn new(name: impl Into<String>, sha256: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            digest: Sha256 {
                sha256: sha256.into(),
            },
        }
    }
}

impl Statement {
    pub(super) fn check(&self, signer: PublicKey) -> Result<(), Error> {
        let definition = &self.predicate.build_definition;
        for (what, found, expected) in [
            ("statement", &self.kind, STATEMENT_TYPE),
            ("predicate", &self.predicate_type, PREDICATE_TYPE),
            ("build", &definition.build_type, BUILD_TYPE),
        ] {
            need(found == expected, what, found)?;
        }
        let run = &self.predicate.run_details;
        let builder = format!("{BUILDER}{signer}");
        need(run.builder.id == builder, "builder", &run.builder.id)?;
        need(run.builder.version.len() == 1, "number of builders", "")?;
        for (program, version) in &run.builder.version {
            need(name::is_line(program, 128), "builder", program)?;
            need(name::is_line(version, 128), "version", version)?;
        }
        let metadata = &run.metadata;
        for word in [
            &metadata.invocation_id,
            &metadata.started_on,
            &metadata.finished_on,
        ] {
            need(name::is_word(word, 128), "metadata", word)?;
        }
        let set = &definition.internal_parameters;
        need(name::is_word(&set.sandbox, 64), "sandbox", &set.sandbox)?;
        need(set.cpus.len() <= 64, "number of processors", "")?;
        for cpu in &set.cpus {
            need(name::is_word(cpu, 128), "processor", cpu)?;
        }
        let all = &definition.resolved_dependencies;
        need(all.len() <= MAX_DEPENDENCIES, "number of inputs", "")?;
        let mut digests = BTreeMap::new();
        for Dependency { name, digest } in all {
            need(name::is_line(name, 512), "input", name)?;
            need(name::is_sha256(&digest.sha256), "digest", &digest.sha256)?;
            let twice = digests.insert(name, &digest.sha256);
            need(
                twice.is_none_or(|other| *other == digest.sha256),
                "input",
                name,
            )?;
        }
        Ok(())
    }
}

fn need(good: bool, what: &str, value: &str) -> Result<(), Error> {
    if good {
        return Ok(());
    }
    let shown: String = value.chars().take(80).collect();
    Err(refused(format!("its {what} {shown:?} is not allowed")))
}
