//! Boots stock kernels in QEMU (TCG), restores them from snapshots, and runs
//! commands inside: for the worker's verification, the tests and the demo.
//!
//! ```no_run
//! # fn main() -> Result<(), resplice_vm::Error> {
//! use resplice_vm::{GuestFile, Machine, SnapshotCache};
//! use std::{path::Path, time::Duration};
//!
//! let machine = Machine::new("/boot/vmlinuz").modules_dir("/lib/modules/6.1.0").cpu("EPYC");
//! let vm = machine.restore(&SnapshotCache::new(Path::new("/var/cache/resplice")))?;
//! vm.push(&[GuestFile::new("/job/check", 0o755, "#!/bin/sh\nuname -r\n")])?;
//! let output = vm.run("/job/check", Duration::from_secs(10))?;
//! assert!(output.success() && vm.kernel_problems().is_empty());
//! # Ok(()) }
//! ```
//!
//! A guest is busybox, kmod and what the caller adds, all in an initramfs.
//! Commands go over a serial line ([`channel`](self) in the source describes
//! the frames), bulk bytes over a small disk. QEMU dies with its [`Vm`], and
//! with this process however that ends.
#![forbid(unsafe_code)]

mod channel;
mod console;
mod cpio;
mod disk;
mod error;
mod files;
mod firmware;
mod initramfs;
mod machine;
mod modules;
mod monitor;
mod prepared;
mod problems;
mod qemu;
mod scratch;
mod snapshot;
mod tools;
mod vm;

pub use error::{Error, Result};
pub use files::GuestFile;
pub use firmware::Firmware;
pub use machine::{GUEST_SERVER_ADDRESS, Machine};
pub use modules::module_bytes;
pub use problems::kernel_problems;
pub use snapshot::{Snapshot, SnapshotCache};
pub use vm::{Output, Vm, quote};
