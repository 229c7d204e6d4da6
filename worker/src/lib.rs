//! From a source patch to a signed update package, on the build side.
//!
//! ```text
//! patch -> ref -> pre -> post -> diff -> core, module -> match -> verify -> sign
//! ```
//!
//! [`pipeline`] drives the stages; commands run in a [`sandbox`] that sees
//! neither network nor keys; everything is written to a [`log`] and recorded
//! as [`step`]s. [`lease`] does all that for a server's jobs.
#![forbid(unsafe_code)]

pub mod build;
pub mod compile;
mod error;
pub mod kmod;
pub mod lease;
pub mod log;
pub mod matching;
pub mod meaning;
pub mod module;
pub mod module_key;
pub mod package;
pub mod patch;
pub mod pipeline;
pub mod provenance;
pub mod rebuild;
pub mod report;
pub mod sandbox;
pub mod skeleton;
pub mod step;
pub mod verify;
pub mod workspace;

pub use error::Error;
