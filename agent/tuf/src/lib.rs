//! A client of The Update Framework, small and strict, after the specification's
//! version 1.0.33, section 5; and [`sign`], which writes what it reads.
//!
//! - [`client`]: the workflow, with the specification's step beside each check.
//! - [`metadata`]: the four roles' files; [`verify`]: signatures and thresholds;
//!   [`key`]: ed25519, ECDSA and RSA keys.
//! - [`delegation`]: the search through delegated roles.
//! - [`store`]: what the client remembers between two runs; [`kept`]: looking at it.
//! - [`fetch`]: where files come from; `http`: from a server.
//! - [`json`]: JSON without ambiguities, and the canonical form that is signed.
//!
//! # Decisions
//! - A threshold counts *keys*, not key ids, as TAP 12 asks: a key that is listed
//!   under several ids counts once. That an id be the digest of its key is thus
//!   not needed, and not asked for.
//! - Versions and lengths are integers below 2^63; a number that is no integer,
//!   or a member that appears twice in an object, refuses the file.
//! - `expires` is `YYYY-MM-DDTHH:MM:SSZ` and nothing else.
//! - Trusted files on disk are verified again each time; one that does not hold
//!   under the present root is as good as absent.
//!
//! # Not supported
//! - Succinct hash-bin delegations (TAP 15): the specification has none. A role
//!   that has them is refused.
//! - Key types beyond `ed25519`, `ecdsa` (P-256, P-384) and `rsa` (PSS and
//!   PKCS#1 v1.5, 2048 to 8192 bits): such keys never count.
//! - Target names that are absolute, or have empty, `.` or `..` parts.
#![forbid(unsafe_code)]

pub mod client;
pub mod delegation;
mod error;
pub mod fetch;
#[cfg(feature = "http")]
pub mod http;
pub mod json;
pub mod kept;
pub mod key;
pub mod metadata;
mod quote;
pub mod sign;
pub mod store;
pub mod target;
pub mod verify;

pub use client::{Client, Trusted};
pub use error::Error;
pub use fetch::{Fetch, FetchError};
pub use store::Store;
pub use target::Target;

/// Most bytes of a root file.
pub const MAX_ROOT_BYTES: u64 = 512 << 10;
/// Most bytes of a timestamp file.
pub const MAX_TIMESTAMP_BYTES: u64 = 64 << 10;
/// Most bytes of a snapshot file whose length the timestamp does not tell.
pub const MAX_SNAPSHOT_BYTES: u64 = 2 << 20;
/// Most bytes of a targets file whose length the snapshot does not tell.
pub const MAX_TARGETS_BYTES: u64 = 8 << 20;
/// Most root versions that one refresh goes through.
pub const MAX_ROOT_ROTATIONS: u64 = 256;
/// Most delegated roles that one search looks at.
pub const MAX_DELEGATIONS: usize = 32;
