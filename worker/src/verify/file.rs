//! Matching the reference objects against the files that the distribution shipped.

use crate::{
    Error,
    compile::{KernelObject, Reference},
};
use resplice_objdiff::{
    elf::Object,
    filematch::{FunctionReport, KernelFile, MatchReport, ModuleFile, Status, Summary, match_file},
    image::ImageBuilder,
};
use resplice_target::Target;
use resplice_vm::module_bytes;
use serde::Serialize;
use std::{fs, path::Path};

/// Most functions that a report lists.
const MAX_LISTED: usize = 200;

/// What came of matching reference objects against a shipped file.
#[derive(Debug, Clone, Serialize)]
pub struct FileMatch {
    /// `vmlinux` or the module's name.
    pub object: String,
    /// Sums.
    pub summary: Summary,
    /// Functions that were not found at exactly one place, overridden weak and
    /// init ones aside; at most 200.
    pub exceptions: Vec<Exception>,
}

/// A function that was not found at exactly one place.
#[derive(Debug, Clone, Serialize)]
pub struct Exception {
    /// Its unit.
    pub unit: String,
    /// What is known of it.
    #[serde(flatten)]
    pub function: FunctionReport,
}

impl FileMatch {
    /// Whether what is there differs from what was compiled. Functions that
    /// look alike are left for the running kernel to tell apart.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.summary.mismatch + self.summary.alone > 0
    }

    /// The sums in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let sum = &self.summary;
        format!(
            "{} of {} functions are exactly as in {}'s file ({} overridden, {} ambiguous, {} different)",
            sum.exact,
            sum.functions,
            self.object,
            sum.overridden_weak,
            sum.ambiguous,
            sum.mismatch + sum.alone,
        )
    }

    /// The first function that differs, in words.
    #[must_use]
    pub fn first_difference(&self) -> Option<String> {
        self.exceptions
            .iter()
            .find_map(|exception| match &exception.function.status {
                Status::Mismatch { offset, expected, found } => Some(format!(
                    "{} of {} is not what was compiled: at {}+{offset:#x}, {expected} was expected and {found} found",
                    exception.function.name, exception.unit, exception.function.section
                )),
                _ => None,
            })
    }
}

/// Matches the reference objects of one kernel object against its file.
///
/// # Errors
/// If the file or an object can't be read; not for a mismatch.
pub fn against_file<'a>(
    target: &Target,
    object: &KernelObject,
    references: impl IntoIterator<Item = &'a Reference>,
) -> Result<FileMatch, Error> {
    Ok(FileMatch::from(match_report(target, object, references)?))
}

/// As [`against_file`], with every function.
///
/// # Errors
/// If the file or an object can't be read; not for a mismatch.
pub fn match_report<'a>(
    target: &Target,
    object: &KernelObject,
    references: impl IntoIterator<Item = &'a Reference>,
) -> Result<MatchReport, Error> {
    let mut builder = ImageBuilder::new(object.name());
    for reference in references {
        let failed = |error: &dyn std::fmt::Display| {
            Error::internal(
                format!("read the reference object of {}", reference.unit),
                error,
            )
        };
        let parsed = Object::parse(&reference.object).map_err(|error| failed(&error))?;
        builder
            .add_unit(&reference.unit, &parsed)
            .map_err(|error| failed(&error))?;
    }
    let broken = |error: &dyn std::fmt::Display| {
        let operation = format!("read the file of the kernel object {}", object.name());
        Error::internal(operation, error)
    };
    Ok(match object {
        KernelObject::Vmlinux => {
            let path = target.vmlinux();
            let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
            let file = KernelFile::parse(&bytes).map_err(|error| broken(&error))?;
            match_file(builder.image(), &file)
        }
        KernelObject::Module(name) => {
            let dir = target.modules_dir();
            let bytes = module_bytes(&dir, &module_path(&dir, name)?);
            let bytes = bytes.map_err(|error| broken(&error))?;
            let file = ModuleFile::parse(&bytes).map_err(|error| broken(&error))?;
            match_file(builder.image(), &file)
        }
    })
}

/// Finds a module's file by the name that the kernel gives it: its path below the
/// directory of modules.
fn module_path(modules: &Path, name: &str) -> Result<String, Error> {
    let index = modules.join("modules.dep");
    let text = fs::read_to_string(&index).map_err(Error::file("read", &index))?;
    let stem = |path: &str| {
        let file = path.rsplit('/').next()?;
        let plain = file.strip_suffix(".xz").unwrap_or(file);
        Some(plain.strip_suffix(".ko")?.replace('-', "_"))
    };
    let found: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(path, _)| path)
        .filter(|path| stem(path).as_deref() == Some(name))
        .collect();
    match found.as_slice() {
        [path] => Ok((*path).to_owned()),
        [] => Err(Error::Refused(format!(
            "no-module: the distribution ships no module {name}"
        ))),
        _ => Err(Error::Refused(format!(
            "several-modules: the distribution ships several modules {name}: {}",
            found.join(", ")
        ))),
    }
}

impl From<MatchReport> for FileMatch {
    fn from(report: MatchReport) -> Self {
        let exceptions = report.units.into_iter().flat_map(|unit| {
            let name = unit.name;
            unit.functions.into_iter().map(move |function| Exception {
                unit: name.clone(),
                function,
            })
        });
        Self {
            object: report.object,
            summary: report.summary,
            exceptions: exceptions
                .filter(|exception| {
                    !matches!(
                        exception.function.status,
                        Status::Exact { .. } | Status::OverriddenWeak { .. } | Status::Init
                    )
                })
                .take(MAX_LISTED)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_module_is_found_by_the_kernel_s_name_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let index = "kernel/net/my-mod.ko: kernel/a.ko\nkernel/a.ko:\nkernel/b/a.ko:\n\
                     kernel/d-e.ko.xz: kernel/a.ko\n";
        fs::write(dir.path().join("modules.dep"), index).unwrap();
        let found = |name| module_path(dir.path(), name).unwrap();
        assert_eq!(found("my_mod"), "kernel/net/my-mod.ko");
        assert_eq!(found("d_e"), "kernel/d-e.ko.xz");
        assert!(matches!(
            module_path(dir.path(), "a"),
            Err(Error::Refused(_))
        ));
        assert!(matches!(
            module_path(dir.path(), "c"),
            Err(Error::Refused(_))
        ));
    }
}
