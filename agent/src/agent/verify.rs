//! What is checked before anything is loaded.

use super::{Agent, Outcome, info};
use crate::journal::{By, Entry, State};
use anyhow::Result;
use resplice_package::Package;
use resplice_tuf::Target;

/// Why a package is not loaded: a code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `package`, `digest`, `target`, `release`, `update`, …
    pub code: &'static str,
    /// For people.
    pub sentence: String,
}

/// What the server's repository says about a package.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The update.
    pub update: &'a str,
    /// Length and digests of the package.
    pub target: &'a Target,
}

impl Agent {
    /// Whether a package is authentic and for this host, without a trace.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn verify(&self, bytes: &[u8], expected: Option<Expected<'_>>) -> Result<Package, Refusal> {
        let refused = |code, sentence| Err(Refusal { code, sentence });
        if let Some(expected) = expected
            && let Err(error) = expected.target.check(bytes)
        {
            return refused("digest", error.to_string());
        }
        let package = match Package::open(bytes, &self.enrolment.worker_keys) {
            Ok(package) => package,
            Err(error) => return refused("package", error.to_string()),
        };
        let manifest = package.manifest();
        if let Some(expected) = expected.filter(|e| e.update != manifest.update_id) {
            let sentence = format!(
                "the package is of the update {}, the server's plan says {}",
                manifest.update_id, expected.update
            );
            return refused("update", sentence);
        }
        if manifest.target.id != self.enrolment.target {
            let sentence = format!(
                "the package is for the target {}, this host is {}",
                manifest.target.id, self.enrolment.target
            );
            return refused("target", sentence);
        }
        if manifest.target.release != self.host.release {
            let sentence = format!(
                "the package is for the kernel {}, this host runs {}",
                manifest.target.release, self.host.release
            );
            return refused("release", sentence);
        }
        Ok(package)
    }

    /// Notes that an update is refused before it is fetched.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn refuse(
        &mut self,
        update: &str,
        code: &str,
        sentence: String,
        by: By,
    ) -> Result<Outcome> {
        let mut entry = Entry::new(update, State::Refused, by);
        entry.code = Some(code.to_owned());
        entry.detail = Some(sentence);
        self.finish(entry, None)
    }

    /// Verifies a package and puts the result into the journal.
    ///
    /// # Errors
    /// If the journal can't be written; a refusal is an [`Outcome`].
    pub fn verify_noted(
        &mut self,
        update: &str,
        bytes: &[u8],
        expected: Option<Expected<'_>>,
        by: By,
    ) -> Result<Result<Package, Outcome>> {
        match self.verify(bytes, expected) {
            Ok(package) => {
                let mut entry = Entry::new(update, State::Verified, by);
                entry.info = Some(info(&package));
                entry.package = Some(package.digest().to_owned());
                self.journal.append(entry)?;
                Ok(Ok(package))
            }
            Err(refusal) => {
                let mut entry = Entry::new(update, State::Refused, by);
                entry.package = Some(resplice_package::sha256_hex(bytes));
                entry.code = Some(refusal.code.to_owned());
                entry.detail = Some(refusal.sentence);
                Ok(Err(self.finish(entry, None)?))
            }
        }
    }
}
