//! What a build found out, for reviewers and machines.

use crate::{
    Error,
    verify::{FileMatch, GuestReport},
};
use resplice_objdiff::{listing::Listing, plan::Plan, semantic::SemanticReport};
use serde::Serialize;

/// What a build found out, as far as it came.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The target's id.
    pub target: String,
    /// sha256 over the target's inputs, in hex.
    pub target_digest: String,
    /// The update's id in the kernel.
    pub id: String,
    /// sha256 of the patch, in hex.
    pub patch_sha256: String,
    /// The files that the patch touches.
    pub files: Vec<String>,
    /// The translation units that were compiled.
    pub units: Vec<String>,
    /// What differencing found, by kernel object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Plan>,
    /// What that means, from debug information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantic: Option<SemanticReport>,
    /// The replaced functions' instructions: for reviewers, and no part of the package.
    #[serde(skip)]
    pub listing: Option<Listing>,
    /// If code of the patch's author is missing: a patch to fill in, on top of
    /// the one that was uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skeleton: Option<String>,
    /// The reference objects against the shipped files, by kernel object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_matches: Vec<FileMatch>,
    /// What the stock kernel made of it, by CPU model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<GuestReport>,
}

impl Report {
    /// As JSON.
    ///
    /// # Errors
    /// If it has no JSON form.
    pub fn json(&self) -> Result<serde_json::Value, Error> {
        serde_json::to_value(self).map_err(|error| Error::internal("write the report", error))
    }

    /// As JSON for the package: only what the same inputs always give, which
    /// leaves out the addresses and times of a run.
    ///
    /// # Errors
    /// If it has no JSON form.
    pub fn reproducible(&self) -> Result<Vec<u8>, Error> {
        let guests = self.guests.iter().map(|guest| GuestReport {
            cpu: guest.cpu.clone(),
            modules_loaded: guest.modules_loaded,
            idle_modules: guest.idle_modules.clone(),
            applied: guest.applied,
            undone: guest.undone,
            log_clean: guest.log_clean,
            checks: guest.checks.clone(),
            ..GuestReport::default()
        });
        let report = Self {
            guests: guests.collect(),
            ..self.clone()
        };
        serde_json::to_vec_pretty(&report)
            .map_err(|error| Error::internal("write the report", error))
    }
}
