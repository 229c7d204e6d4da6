//! A source patch: what it touches, and whether that can be updated live.

mod apply;
mod both;
mod error;
mod lines;
mod parse;
mod shadow;
mod touched;

pub use apply::{apply, post_text};
pub use both::{END, NEW, OLD, both, both_versions};
pub use error::PatchError;
pub use lines::{LineChange, line_changes, with_line_directives};
pub use parse::{Patch, without_effect};
pub use touched::{touched, touched_functions};

/// Largest patch in bytes.
pub const MAX_PATCH_BYTES: usize = resplice_api::limits::MAX_PATCH_BYTES;
/// Most files that a patch may touch.
pub const MAX_FILES: usize = 256;
/// Longest path in bytes.
const MAX_PATH_BYTES: usize = 256;
