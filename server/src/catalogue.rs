//! The kernels that can be built for.

use crate::{App, db, error::Failure};
use resplice_api::Target;
use resplice_target::{Available, Cache, Progress, TargetId};
use std::{path::PathBuf, sync::Arc};

/// Whatever keeps a catalogue from what it is asked for.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Something that knows kernel targets. Its calls may block.
pub trait Catalogue: Send + Sync {
    /// All targets that can be built for, by id.
    ///
    /// # Errors
    /// Whatever keeps it from telling.
    fn list(&self) -> Result<Vec<Target>, Error>;

    /// Where a target's source lies, if it does on this machine.
    fn source(&self, _target: &TargetId) -> Option<PathBuf> {
        None
    }

    /// The kernels that the distribution has, oldest first.
    ///
    /// # Errors
    /// Whatever keeps it from telling.
    fn available(&self) -> Result<Vec<Available>, Error>;

    /// Fetches and prepares one, which may take minutes.
    ///
    /// # Errors
    /// Whatever keeps it from doing so, in words for a person.
    fn import(&self, target: &TargetId, progress: &dyn Progress) -> Result<(), Error>;
}

/// The targets that were imported into a cache directory.
#[derive(Debug, Clone)]
pub struct Imported(pub Cache);

impl Catalogue for Imported {
    fn list(&self) -> Result<Vec<Target>, Error> {
        let mut targets: Vec<Target> = resplice_target::Target::imported(&self.0)?
            .iter()
            .map(describe)
            .collect();
        targets.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(targets)
    }

    fn source(&self, target: &TargetId) -> Option<PathBuf> {
        match resplice_target::Target::load(&self.0, target) {
            Ok(target) => Some(target.source_dir()).filter(|source| source.is_dir()),
            Err(resplice_target::Error::NotImported { .. }) => None,
            Err(error) => {
                tracing::warn!(%target, %error, "can't look into a target's source");
                None
            }
        }
    }

    fn available(&self) -> Result<Vec<Available>, Error> {
        Ok(resplice_target::list()?)
    }

    fn import(&self, target: &TargetId, progress: &dyn Progress) -> Result<(), Error> {
        std::fs::create_dir_all(self.0.root())?;
        resplice_target::Target::import(&self.0, target, progress)?;
        Ok(())
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
        retired: None,
    }
}

/// Asks the service's catalogue, and says which targets are retired.
pub(crate) async fn list(app: &App) -> Result<Vec<Target>, Failure> {
    let mut targets = ask(app, "list the targets", |catalogue| catalogue.list()).await?;
    let retired = db::retired::list(&app.db).await?;
    for target in &mut targets {
        target.retired = retired.get(&target.id).cloned();
    }
    Ok(targets)
}

/// Asks the catalogue something from asynchronous code.
pub(crate) async fn ask<T: Send + 'static>(
    app: &App,
    operation: &'static str,
    question: impl FnOnce(&dyn Catalogue) -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    let catalogue = Arc::clone(&app.catalogue);
    tokio::task::spawn_blocking(move || question(&*catalogue))
        .await
        .map_err(Failure::internal(operation))?
        .map_err(Failure::internal(operation))
}
