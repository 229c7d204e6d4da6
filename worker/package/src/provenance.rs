//! Where a package comes from: an in-toto Statement (version 1) with a SLSA
//! provenance predicate (version 1), in a DSSE envelope that the worker signs.
//! It lies beside the package, not in it: it tells of one build, and the same
//! inputs give the same package.

mod statement;

pub use statement::{
    Asked, BuildDefinition, Dependency, Metadata, Predicate, RunDetails, Set, Sha256,
};

use crate::{Error, Package, PublicKey, SecretKey, dsse};
use statement::{BUILD_TYPE, BUILDER, Builder, PREDICATE_TYPE, STATEMENT_TYPE, Statement, Subject};
use std::collections::BTreeMap;

/// Largest envelope in bytes.
pub const MAX_PROVENANCE_BYTES: usize = 1 << 20;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The name of a patch among what went in.
pub const PATCH: &str = "patch";
/// The name of an update's check among what went in.
pub const CHECK: &str = "check";
/// The name of the sources of core and update modules among what went in.
pub const MODULE_SOURCES: &str = "module-sources";

/// What a worker says of a build. The package's own manifest says the rest.
#[derive(Debug, Clone)]
pub struct Told {
    /// What the worker was set to.
    pub set: Set,
    /// What went in and is not in the manifest: check, module sources, toolchain.
    pub more: Vec<Dependency>,
    /// When, and for which job.
    pub metadata: Metadata,
}

/// A provenance whose signature has been verified: there is no other way to get one.
#[derive(Debug, Clone)]
pub struct Provenance {
    statement: Statement,
    signer: PublicKey,
}

impl Provenance {
    /// Says where a package comes from, signed by the key that signed the package.
    ///
    /// # Errors
    /// Whatever [`Provenance::open`] would refuse.
    pub fn write(package: &Package, told: Told, key: &SecretKey) -> Result<Vec<u8>, Error> {
        let manifest = package.manifest();
        let version = manifest.built_by.split_once(' ').map_or_else(
            || (manifest.built_by.clone(), String::new()),
            |(program, version)| (program.to_owned(), version.to_owned()),
        );
        let from_manifest = manifest
            .inputs
            .iter()
            .map(|input| Dependency::new(input.name.clone(), input.sha256.clone()));
        let statement = Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: [Subject {
                name: file_name(package),
                digest: Sha256 {
                    sha256: package.digest().to_owned(),
                },
            }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.to_owned(),
                    external_parameters: asked(package),
                    internal_parameters: told.set,
                    resolved_dependencies: from_manifest.chain(told.more).collect(),
                },
                run_details: RunDetails {
                    builder: Builder {
                        id: format!("{BUILDER}{}", key.public()),
                        version: BTreeMap::from([version]),
                    },
                    metadata: told.metadata,
                },
            },
        };
        let payload = serde_json::to_vec(&statement).map_err(|error| refused(error.to_string()))?;
        let bytes = dsse::seal(PAYLOAD_TYPE, &payload, key)?;
        // What the reader would refuse must not leave the writer.
        Self::open(&bytes, &[key.public()])?.vouches_for(package)?;
        Ok(bytes)
    }

    /// Opens a provenance that one of the `trusted` keys has signed.
    ///
    /// # Errors
    /// [`Error::Provenance`], [`Error::TooLarge`].
    pub fn open(bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, Error> {
        if bytes.len() > MAX_PROVENANCE_BYTES {
            return Err(Error::TooLarge {
                what: "the provenance".to_owned(),
                bytes: bytes.len() as u64,
                limit: MAX_PROVENANCE_BYTES as u64,
            });
        }
        let (payload, signer) = dsse::open(PAYLOAD_TYPE, bytes, trusted)?;
        let statement: Statement =
            serde_json::from_slice(&payload).map_err(|error| refused(error.to_string()))?;
        statement.check(signer)?;
        Ok(Self { statement, signer })
    }

    /// Makes sure that it is this package's: same bytes, same signer, and nothing
    /// that contradicts the manifest.
    ///
    /// # Errors
    /// [`Error::Provenance`] with what differs.
    pub fn vouches_for(&self, package: &Package) -> Result<(), Error> {
        let [subject] = &self.statement.subject;
        if subject.digest.sha256 != package.digest() || subject.name != file_name(package) {
            return Err(refused(format!(
                "it is about {} with the sha256 {}, not about {} with {}",
                subject.name,
                subject.digest.sha256,
                file_name(package),
                package.digest()
            )));
        }
        if self.signer != package.signer() {
            return Err(refused(format!(
                "the key {} has signed it, and another one the package",
                self.signer
            )));
        }
        let definition = self.definition();
        if definition.external_parameters != asked(package) {
            return Err(refused(
                "its parameters are not those of the package's manifest".to_owned(),
            ));
        }
        for input in &package.manifest().inputs {
            let there = definition.resolved_dependencies.iter().any(|dependency| {
                dependency.name == input.name && dependency.digest.sha256 == input.sha256
            });
            if !there {
                return Err(refused(format!(
                    "it does not list {}, which the package's manifest does",
                    input.name
                )));
            }
        }
        Ok(())
    }

    /// sha256 of the package that it is about, in hex.
    #[must_use]
    pub fn package_sha256(&self) -> &str {
        &self.statement.subject[0].digest.sha256
    }

    /// What the build is a function of.
    #[must_use]
    pub fn definition(&self) -> &BuildDefinition {
        &self.statement.predicate.build_definition
    }

    /// The run: when, and for which job.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.statement.predicate.run_details.metadata
    }

    /// The program that built it, and its version.
    #[must_use]
    pub fn built_by(&self) -> String {
        let version = &self.statement.predicate.run_details.builder.version;
        let word = |(program, version): (&String, &String)| format!("{program} {version}");
        version.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    /// The key that signed it.
    #[must_use]
    pub fn signer(&self) -> PublicKey {
        self.signer
    }

    /// The statement itself.
    ///
    /// # Errors
    /// None in practice.
    pub fn json(&self) -> Result<serde_json::Value, Error> {
        serde_json::to_value(&self.statement).map_err(|error| refused(error.to_string()))
    }

    /// The digest of what went in under this name.
    #[must_use]
    pub fn digest_of(&self, name: &str) -> Option<&str> {
        let dependencies = &self.definition().resolved_dependencies;
        let found = dependencies.iter().find(|found| found.name == name)?;
        Some(&found.digest.sha256)
    }
}

/// What the manifest says was asked for.
fn asked(package: &Package) -> Asked {
    let manifest = package.manifest();
    Asked {
        update_id: manifest.update_id.clone(),
        name: manifest.name.clone(),
        cves: manifest.cves.clone(),
        target: manifest.target.id.clone(),
        target_digest: manifest.target.digest.clone(),
        supersedes: manifest.supersedes.clone(),
    }
}

fn file_name(package: &Package) -> String {
    format!("{}.rspl", package.manifest().id)
}

fn refused(reason: String) -> Error {
    Error::Provenance { reason }
}
