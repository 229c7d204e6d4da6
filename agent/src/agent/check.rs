//! Matching an update against the running kernel without applying it.

use super::{Agent, explain, info, key};
use crate::{
    journal::{By, Entry, State},
    kernel::Load,
};
use anyhow::Result;
use resplice_package::Package;
use serde::Serialize;

/// What [`Agent::check`] found.
#[derive(Debug, Clone, Serialize)]
pub struct CheckResult {
    /// The update on the server.
    pub update: String,
    /// Id in the kernel.
    pub id: Option<String>,
    /// One line for people.
    pub name: Option<String>,
    /// Whether it would be applied.
    pub applies: bool,
    /// A named code for what is in the way.
    pub code: Option<String>,
    /// Sentences for people.
    pub detail: Option<String>,
    /// How many functions would be replaced.
    pub functions: usize,
}

impl Agent {
    /// Matches a verified package against the running kernel, changing nothing.
    ///
    /// # Errors
    /// If the kernel can't be asked.
    pub fn check(&self, package: &Package) -> Result<CheckResult> {
        let info = info(package);
        let mut result = CheckResult {
            update: key(package).to_owned(),
            id: Some(info.id.clone()),
            name: Some(info.name.clone()),
            applies: true,
            code: None,
            detail: None,
            functions: info.functions,
        };
        if let Some(live) = self.kernel.update(&info.id)? {
            if live.is_applied() {
                result.code = Some("applied".to_owned());
                result.detail = Some("it is in effect already".to_owned());
                return Ok(result);
            }
            // Left over from a check or an undo that was cut short.
            self.kernel.rmmod(&info.id)?;
        }
        let core_loaded_here = self.kernel.ensure_core(package.core_module()?)?;
        let load = self
            .kernel
            .insmod(&info.id, package.update_module()?, &["check=1"]);
        if matches!(load, Ok(Load::Done)) {
            self.kernel.rmmod(&info.id)?;
        }
        if core_loaded_here {
            self.kernel.rmmod("resplice")?;
        }
        if let Load::Refused { report, stderr } = load? {
            let mut entry = Entry::new(&result.update, State::Failed, By::Operator);
            explain(&mut entry, &report, &stderr);
            result.applies = false;
            result.code = entry.code;
            result.detail = entry.detail;
        }
        Ok(result)
    }
}
