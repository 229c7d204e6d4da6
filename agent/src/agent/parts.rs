//! The parts of an update: which of them can go in here and now.
//!
//! A part for a module that is not loaded waits, with nothing in the kernel. The
//! others go in without it, all of them in one stop; it follows, in a stop of its
//! own, when its module comes, before that one's init (`awaited.rs`), or else with
//! the first poll after that.

use super::Agent;
use crate::{
    journal::Info,
    kernel::{LiveUpdate, Load, LoadReport},
    text,
};
use anyhow::Result;
use resplice_package::Package;

/// The code of an update none of whose modules is loaded; the core's own word.
pub(crate) const ABSENT: &str = "absent";

impl Agent {
    /// The kernel objects of an update that are not there to be patched.
    ///
    /// # Errors
    /// If the kernel can't be asked.
    pub fn waits_for(&self, info: &Info) -> Result<Vec<String>> {
        let mut absent = Vec::new();
        for object in &info.objects {
            if !self.kernel.has_object(object)? {
                absent.push(object.clone());
            }
        }
        Ok(absent)
    }

    /// Whether a kernel object of this update is there that is not patched yet.
    ///
    /// # Errors
    /// If the kernel can't be asked.
    pub fn has_more_to_patch(&self, info: &Info, live: Option<&LiveUpdate>) -> Result<bool> {
        for object in &info.objects {
            let patched = live.is_some_and(|live| live.has(object));
            if !patched && self.kernel.has_object(object)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Loads those parts whose kernel objects are there and that are not in
    /// effect yet, and sees to it that they go in together. If one is refused,
    /// those that were loaded with it go again.
    pub(super) fn load(&self, package: &Package) -> Result<Load> {
        let live = self.kernel.update(&package.manifest().id)?;
        let parts = package.parts()?;
        let mut wanted = Vec::new();
        for part in &parts {
            let patched = live.as_ref().is_some_and(|live| live.has(part.object));
            if !patched && self.kernel.has_object(part.object)? {
                wanted.push(part);
            }
        }
        if wanted.is_empty() {
            // So that somebody waits for its modules.
            self.kernel.ensure_core(package.core_module()?)?;
            let objects: Vec<&str> = package.manifest().objects().collect();
            return Ok(absent(&objects));
        }
        self.kernel.ensure_core(package.core_module()?)?;
        let mut loaded = Vec::new();
        for part in &wanted {
            let load = self.kernel.insmod(&part.name, part.bytes, &[]);
            if !matches!(load, Ok(Load::Done)) {
                self.unload_all(&loaded);
                return load;
            }
            loaded.push(part.name.clone());
        }
        let id = &package.manifest().id;
        let is_waiting = self
            .kernel
            .update(id)?
            .is_some_and(|live| live.parts.iter().any(|part| !part.is_applied()));
        if !is_waiting {
            return Ok(Load::Done);
        }
        // The core waits for parts that do not come.
        let load = self.kernel.enable(id);
        if !matches!(load, Ok(Load::Done)) {
            self.unload_all(&loaded);
        }
        load
    }

    /// Removes all modules of an update that are not in effect.
    pub(super) fn unload_idle(&self, live: &LiveUpdate) {
        let idle = live.parts.iter().filter(|part| !part.is_applied());
        let names: Vec<String> = idle.map(|part| part.name.clone()).collect();
        self.unload_all(&names);
    }

    /// Removes modules that are not in effect, the last one first. If one stays
    /// it does no harm.
    fn unload_all(&self, names: &[String]) {
        for name in names.iter().rev() {
            if let Err(error) = self.kernel.rmmod(name) {
                text::note(&format!("{error:#}"));
            }
        }
    }
}

/// What the core would say.
fn absent(objects: &[&str]) -> Load {
    let sentence = format!(
        "{ABSENT}: none of what it patches is loaded ({}): it will be applied when that is",
        objects.join(", ")
    );
    Load::Refused {
        report: LoadReport {
            code: Some(ABSENT.to_owned()),
            sentences: vec![sentence],
        },
        stderr: String::new(),
    }
}

/// A sentence on the parts that wait; none if none does.
pub(super) fn waiting(objects: &[String]) -> Option<String> {
    (!objects.is_empty()).then(|| {
        format!(
            "not in effect in {}, which is not loaded: that part follows when it comes",
            objects.join(", ")
        )
    })
}
