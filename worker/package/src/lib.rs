//! The Resplice update package, `ID.rspl`: what travels from a worker, through
//! the server, to a host.
//!
//! A package is a canonical ustar archive with the members
//!
//! | member | what it is |
//! |---|---|
//! | `manifest.json` | [`Manifest`]: what the update is, for which kernel, and every other member's digest |
//! | `modules/<id>.ko`, `modules/<id>_pN.ko` | the update's parts, one for each kernel object that it changes |
//! | `modules/resplice.ko` | the core that matches and applies it |
//! | `report.json` | what the build found out |
//! | `signature.json` | ed25519 over `"resplice-package-v1\0"` and the manifest's bytes |
//!
//! and whatever else the manifest lists. There is exactly one encoding of a
//! package: [`Package::open`] encodes what it read again and refuses bytes that
//! differ, so nothing can be changed, appended or hidden, not even padding.
//!
//! ```
//! # fn main() -> Result<(), resplice_package::Error> {
//! # let manifest = resplice_package::example::manifest();
//! # let members = resplice_package::example::members();
//! use resplice_package::{Package, SecretKey};
//! let key = SecretKey::generate()?;
//! let bytes = Package::write(manifest, members, &key)?;
//! let package = Package::open(&bytes, &[key.public()])?;
//! assert_eq!(package.manifest().parts[0].object, "vmlinux");
//! # Ok(())
//! # }
//! ```
//!
//! Beside a package lies its [`Provenance`]: what it was built from, and how.
//!
//! Checks are made in this order: size, archive structure, canonical encoding,
//! signature by a trusted key, and only then anything that the manifest says.
//! No secrets are compared here: the only secret is the signing key, and all
//! work on it is done by `ed25519-dalek` in constant time.
#![forbid(unsafe_code)]

mod archive;
mod dsse;
mod error;
#[doc(hidden)]
pub mod example;
mod key;
mod manifest;
mod name;
mod package;
pub mod provenance;
mod report;
mod signature;

pub use archive::{MAX_MEMBERS, MAX_PACKAGE_BYTES};
pub use error::Error;
pub use key::{PublicKey, SecretKey};
pub use manifest::{
    FORMAT, Function, Input, MAX_MANIFEST_BYTES, MAX_PARTS, Manifest, Member, Part, Target,
};
pub use package::{CORE_MODULE, Package, PartModule, REPORT, part_member, part_name, sha256_hex};
pub use provenance::{MAX_PROVENANCE_BYTES, Provenance};
pub use report::LoadReport;
