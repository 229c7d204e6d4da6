//! What is told about released updates: an Atom feed for each channel, and an
//! advisory for each update in the forms of OSV and CSAF 2.0, the latter with
//! OpenPGP signatures. Bytes out, no I/O; the same updates give the same bytes.
//!
//! An advisory is about one update, as a distribution's are about one upload: it
//! names the vulnerabilities that the update closes, and the kernels that it does
//! so for.
#![forbid(unsafe_code)]

pub mod atom;
pub mod csaf;
mod kernel;
pub mod openpgp;
pub mod osv;
mod publisher;
mod update;

pub use publisher::Publisher;
pub use update::{Change, Entered, Package, Revoked, Successor, Update};

/// A JSON document as a file: with a line end.
fn file(document: &serde_json::Value) -> Vec<u8> {
    // A JSON value always has a text.
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
