//! A transparency log: an append-only list whose holder can't change, reorder or
//! cut it without being found out by whoever has seen a checkpoint of it.
//!
//! | module | what it is | from |
//! |---|---|---|
//! | [`tree`] | leaf and node hashes, roots, inclusion and consistency proofs | RFC 6962, section 2.1; RFC 9162, section 2.1 |
//! | [`tile`] | hashes 256 at a time, entries in bundles, and their paths | C2SP tlog-tiles |
//! | [`note`] | checkpoints, signed notes, ed25519 keys | C2SP tlog-checkpoint, signed-note |
//!
//! Everything here is a function of bytes: nothing is read, written or fetched.
#![forbid(unsafe_code)]

pub mod note;
pub mod tile;
pub mod tree;

pub use note::{Checkpoint, Signer, Verifier};
pub use tree::Hash;

/// Why something about a log is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A checkpoint or key is not written as it must be.
    #[error("the {what} is malformed: {reason}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No good signature by the expected key.
    #[error("the checkpoint has no good signature by the key {0}")]
    Signature(String),
    /// A proof does not lead from what it begins with to the root.
    #[error("the {0} proof does not lead to the checkpoint's root")]
    Proof(&'static str),
    /// A hash that is needed is not there.
    #[error("the hash {index} of level {level} is missing")]
    Missing {
        /// Level of its tile.
        level: u32,
        /// Its index there.
        index: u64,
    },
}
