//! How an update reaches a fleet: what the holders of the targets keys sign about
//! it, and what follows from that for a host. Server and agent share this code,
//! so that both come to the same answer; all of it is pure.
#![forbid(unsafe_code)]

mod terms;

pub use terms::{Terms, TermsError};
