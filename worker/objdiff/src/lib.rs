//! Object-code differencing and match images for live kernel updates.
//!
//! Bytes in, typed results out: nothing here starts a process, opens a socket
//! or knows of jobs. [`elf`] reads relocatable x86-64 objects, [`sites`] reads
//! the kernel's tables inside them, [`image`] writes what the kernel core
//! matches against running text, and [`filematch`] does that same matching
//! against a kernel *file* at build time. [`diff`] compares a unit before and
//! after a change and gives a [`plan`]; [`delta`] writes what changed as an
//! object file for an update module; [`semantic`] tells from debug information
//! what the change means, and [`listing`] shows its instructions.

#![forbid(unsafe_code)]

mod atoms;
mod compare;
mod correlate;
pub mod declare;
pub mod delta;
pub mod diff;
pub mod elf;
pub mod error;
pub mod filematch;
pub mod hook;
#[cfg(test)]
mod hostile;
mod identity;
pub mod image;
pub mod linked;
pub mod listing;
mod names;
pub mod plan;
pub mod semantic;
pub mod sites;
pub mod skeleton;
pub mod symvers;
#[cfg(test)]
mod testing;
