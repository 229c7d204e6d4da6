//! Matching an update against the running kernel without applying it.

use super::{Agent, explain, info, key, parts::waiting};
use crate::{
    journal::{By, Entry, State},
    kernel::{LiveUpdate, Load},
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
        let live = self.kernel.update(&info.id)?;
        if let Some(live) = &live {
            // Left over from a check or an undo that was cut short.
            self.unload_idle(live);
        }
        result.detail = waiting(&self.waits_for(&info)?);
        let is_applied = live.as_ref().is_some_and(LiveUpdate::is_applied);
        if is_applied && !self.has_more_to_patch(&info, live.as_ref())? {
            result.code = Some("applied".to_owned());
            let here = "it is in effect already".to_owned();
            let lines: Vec<String> = [Some(here), result.detail].into_iter().flatten().collect();
            result.detail = Some(lines.join("\n"));
            return Ok(result);
        }
        let core_loaded_here = self.kernel.ensure_core(package.core_module()?)?;
        let load = self.check_parts(package, live.as_ref());
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

    /// Matches each part whose kernel object is there, one after the other: what
    /// is only matched depends on no other part.
    fn check_parts(&self, package: &Package, live: Option<&LiveUpdate>) -> Result<Load> {
        for part in package.parts()? {
            let patched = live.is_some_and(|live| live.has(part.object));
            if patched || !self.kernel.has_object(part.object)? {
                continue;
            }
            let load = self.kernel.insmod(&part.name, part.bytes, &["check=1"])?;
            if load != Load::Done {
                return Ok(load);
            }
            self.kernel.rmmod(&part.name)?;
        }
        Ok(Load::Done)
    }
}
