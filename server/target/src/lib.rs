//! Kernel targets: a distribution's own kernel, with the source, configuration and toolchain it was built from.
//!
//! [`Target::import`] fetches Debian's packages into a cache, checks that they belong together and to the
//! installed compiler, and prepares a build tree in which one translation unit compiles to the very bytes that
//! Debian shipped. [`Target::load`] opens what an import left; [`list`] asks the archive what it holds.
//! [`Target::build_own`] makes a target with another configuration out of an imported one's source.
//!
//! # Cache layout
//! ```text
//! debs/PACKAGE_VERSION_ARCH.deb    as downloaded, checked against the archive's SHA-256
//! sources/6.1.176-1/               unpacked linux-source, shared by the flavours of one version
//! targets/6.1.0-50-cloud-amd64/
//!     root/         unpacked image, headers and kbuild packages, with module dependencies (depmod)
//!     build/        prepared O= tree, with Module.symvers
//!     vmlinux       taken out of the bzImage
//!     target.json   written last: where it exists, the import is whole
//! locks/            one lock file per package, source and target
//! ```
//!
//! # Paths inside a sandbox
//! kbuild records absolute paths and rebuilds whatever was made under other ones. The tree is therefore prepared
//! with the source at [`SANDBOX_SOURCE`] and the build tree at [`SANDBOX_BUILD`], and every build must see them
//! there: [`Target::unit_build`] and [`Target::module_build`] give the mounts and the `make` line.
//!
//! Measured on 2 cores (6.1.176-1 cloud): preparing takes 11 s. With an overlay of `build/` mounted at
//! [`SANDBOX_BUILD`] the first `make net/ipv6/seg6.o` takes 1.4 s and compiles that one unit: neither objtool nor
//! fixdep is rebuilt, and the upper layer stays below 1 MB. A second `make` with nothing to do takes 0.85 s.
//! A module built with `M=` needs the build tree read-only, thus no overlay: 1.1 s. Every section that is loaded
//! equals the one that comes out of Debian's headers package (1.5 s, which also needs an overlay over all of `/usr`,
//! since its parts name each other by absolute and relative paths below `/usr`).
#![forbid(unsafe_code)]

mod archive;
mod cache;
mod command;
mod deb;
mod error;
mod id;
mod image;
mod import;
mod own;
mod path;
mod prepare;
mod progress;
mod recipe;
mod target;
mod version;

pub use archive::{Available, list, resolve};
pub use cache::Cache;
pub use error::{Error, Mismatch};
pub use id::{Alias, Flavour, TargetId, TargetSpec};
pub use path::PathKind;
pub use progress::{Bars, Progress, Quiet};
pub use recipe::{
    Access, Mount, Recipe, SANDBOX_BUILD, SANDBOX_MODULE, SANDBOX_SOURCE, base_system,
};
pub use target::{Input, Role, Target};
