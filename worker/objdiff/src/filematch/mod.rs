//! Run-pre matching against a kernel *file*: the shipped vmlinux, or a module.
//!
//! It works on the same [`Image`] that the kernel core gets, by the same
//! rules: one base address for each text section of a unit, every byte outside
//! relocations equal, every relocation yielding a symbol value that must agree
//! everywhere. Nothing is patched in a file yet, so sites carry their original
//! bytes. What doesn't match here can't match on a host, and shows at build
//! time.

mod file;
mod matcher;
mod report;
mod search;

pub use file::{FileError, KernelFile, ModuleFile, Target};
pub use report::{FunctionReport, MatchReport, SectionReport, Status, Summary, UnitReport};
pub use search::MAX_CANDIDATES;

use crate::image::Image;

/// Matches every text section of the image against the target.
pub fn match_file(image: &Image, target: &dyn Target) -> MatchReport {
    let mut matcher = matcher::Matcher::new(image, target);
    matcher.run();
    report::build(&matcher)
}

#[cfg(test)]
mod tests;
