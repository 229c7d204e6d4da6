//! What a worker says of a build: everything that went in, by digest.

use crate::{
    Error,
    build::{Build, blocking},
    pipeline::{Options, Request},
    sandbox::Tool,
};
use jiff::Timestamp;
use resplice_package::{
    Package, Provenance, SecretKey,
    provenance::{CHECK, Dependency, MODULE_SOURCES, Metadata, Set, Told},
};

/// A build that has begun.
#[derive(Debug, Clone)]
pub struct Run {
    invocation: String,
    began: Timestamp,
    sandbox: &'static str,
    tools: Vec<Tool>,
}

impl Run {
    /// Looks at the toolchain, before anything is built with it. `invocation` is
    /// what the build is called: `JOB/ATTEMPT`, or `local`.
    ///
    /// # Errors
    /// If a part of the toolchain is missing.
    pub async fn begin(build: &Build<'_>, invocation: String) -> Result<Self, Error> {
        let compiler = build.target.compiler();
        Ok(Self {
            invocation,
            began: Timestamp::now(),
            sandbox: build.sandbox.name(),
            tools: build.sandbox.toolchain(compiler).await?,
        })
    }

    /// What compiled, as dependencies.
    #[must_use]
    pub fn tools(&self) -> Vec<Dependency> {
        let tools = self.tools.iter();
        tools
            .map(|(name, sha256)| Dependency::new(name.clone(), sha256.clone()))
            .collect()
    }

    /// The provenance of a package that this run has built, signed by the same key.
    ///
    /// # Errors
    /// If the package is not this key's.
    pub async fn provenance(
        &self,
        package: Vec<u8>,
        request: &Request,
        options: &Options,
        key: &SecretKey,
    ) -> Result<Vec<u8>, Error> {
        let operation = "sign the provenance";
        let mut more = vec![Dependency::new(MODULE_SOURCES, options.kmod.digest())];
        more.extend(
            request
                .check
                .as_ref()
                .map(|check| Dependency::new(CHECK, check.sha256())),
        );
        more.extend(self.tools());
        let told = Told {
            set: Set {
                sandbox: self.sandbox.to_owned(),
                cpus: options.cpus.clone(),
                modules_signed: options.module_key.is_some(),
            },
            more,
            metadata: Metadata {
                invocation_id: self.invocation.clone(),
                started_on: self.began.to_string(),
                finished_on: Timestamp::now().to_string(),
            },
        };
        let public = key.public();
        let package = blocking(operation, move || {
            Package::open(&package, &[public]).map_err(|error| Error::internal(operation, error))
        })
        .await?;
        Provenance::write(&package, told, key).map_err(|error| Error::internal(operation, error))
    }
}
