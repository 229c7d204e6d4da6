//! The kernels that can be built for.

use crate::error::Failure;
use resplice_api::Target;
use resplice_target::Cache;
use std::sync::Arc;

/// Something that knows kernel targets. Its call may block.
pub trait Catalogue: Send + Sync {
    /// All targets that can be built for, by id.
    ///
    /// # Errors
    /// Whatever keeps it from telling.
    fn list(&self) -> Result<Vec<Target>, Box<dyn std::error::Error + Send + Sync>>;
}

/// The targets that were imported into a cache directory.
#[derive(Debug, Clone)]
pub struct Imported(pub Cache);

impl Catalogue for Imported {
    fn list(&self) -> Result<Vec<Target>, Box<dyn std::error::Error + Send + Sync>> {
        let mut targets: Vec<Target> = resplice_target::Target::imported(&self.0)?
            .iter()
            .map(describe)
            .collect();
        targets.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(targets)
    }
}

/// A target on the wire.
#[must_use]
pub fn describe(target: &resplice_target::Target) -> Target {
    Target {
        id: target.id().to_string(),
        release: target.release().to_owned(),
        package_version: target.package_version().to_owned(),
        flavour: target.flavour().to_string(),
        arch: target.arch().to_owned(),
        digest: target.digest(),
    }
}

/// Asks a catalogue from asynchronous code.
pub(crate) async fn list(catalogue: &Arc<dyn Catalogue>) -> Result<Vec<Target>, Failure> {
    let catalogue = Arc::clone(catalogue);
    tokio::task::spawn_blocking(move || catalogue.list())
        .await
        .map_err(Failure::internal("list the targets"))?
        .map_err(Failure::internal("list the targets"))
}
