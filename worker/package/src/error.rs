//! Why a package or a key was refused.

use std::{io, path::PathBuf};

/// A package or a key file that was refused, with the object and the reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More bytes than a package, a manifest or a signature may have.
    #[error("{what} has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Not a package archive: cut off, or structurally wrong.
    #[error("the package's archive is damaged at byte {offset}: {reason}; download it again")]
    Archive {
        /// Byte offset in the package.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The bytes are not the one encoding of what they contain.
    #[error(
        "the package is not in canonical form (first difference at byte {offset}): it was altered after it was built"
    )]
    NotCanonical {
        /// Byte offset of the first difference.
        offset: usize,
    },
    /// A member's name that is not allowed.
    #[error("the package has a member with the forbidden name {name:?}")]
    BadName {
        /// The name, as text.
        name: String,
    },
    /// A member that must be there is not.
    #[error("the package has no member {name}")]
    MissingMember {
        /// The member's name.
        name: String,
    },
    /// A member that the manifest does not list.
    #[error("the package has a member that its manifest does not list: {name}")]
    ExtraMember {
        /// The member's name.
        name: String,
    },
    /// A module that is neither the core nor one of the update's parts.
    #[error("the package has a module that is no part of its update: {name}")]
    ForeignModule {
        /// The member's name.
        name: String,
    },
    /// A member whose bytes do not have the digest or size in the manifest.
    #[error("the package's member {name} has the sha256 {found}, its manifest says {expected}")]
    Digest {
        /// The member's name.
        name: String,
        /// What the manifest says.
        expected: String,
        /// What the bytes have.
        found: String,
    },
    /// The package was signed by a key that is not trusted.
    #[error("the package is signed by the key {key}, which is not trusted here")]
    UnknownKey {
        /// The key, in hex.
        key: String,
    },
    /// The signature is not the key's signature over the manifest.
    #[error(
        "the signature over the package's manifest is wrong: it was altered after it was signed"
    )]
    BadSignature,
    /// The signature member can't be read.
    #[error("the package's signature.json can't be read: {reason}")]
    SignatureFormat {
        /// What is wrong.
        reason: String,
    },
    /// A format that this program does not know.
    #[error("the package has format {found}, this program reads format {expected}: update it")]
    Format {
        /// The package's format number.
        found: u64,
        /// The format number that is understood.
        expected: u32,
    },
    /// A manifest that can't be read or contradicts itself.
    #[error("the package's manifest is not valid: {reason}")]
    Manifest {
        /// What is wrong.
        reason: String,
    },
    /// A provenance that can't be read, or is not this package's.
    #[error("the provenance is refused: {reason}")]
    Provenance {
        /// What is wrong.
        reason: String,
    },
    /// A key that can't be used.
    #[error("{what} is not a usable ed25519 key: {reason}")]
    Key {
        /// Which key.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A key file that others can read or write.
    #[error(
        "the key file {path} has mode {mode:04o}: others can read it; run `chmod 600` on it, or make a new key if it was shared"
    )]
    KeyMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file that can't be read or written.
    #[error("can't {operation} the key file {path}: {cause}")]
    KeyFile {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// The system's random generator failed.
    #[error("the system's random generator gave no bytes: {reason}")]
    Random {
        /// The system's answer.
        reason: String,
    },
}
