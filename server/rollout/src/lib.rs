//! How an update reaches a fleet: what the holders of the targets keys sign about
//! it, and what follows from that for a host. Server and agent share this code,
//! so that both come to the same answer; all of it is pure.
//!
//! - [`Terms`]: what is signed beside a package: channel, schedule, and whether it was revoked.
//! - [`Wave`], [`Place`]: the schedule, and where a host stands in it.
//! - [`Standing`]: the schedule as the server keeps to it: halted, or later.
//! - [`verdict`]: when a rollout stops by itself.
#![forbid(unsafe_code)]

mod gate;
mod terms;
mod turn;
mod wave;

pub use gate::verdict;
pub use terms::{Revoked, Terms, TermsError};
pub use turn::{Standing, Turn};
pub use wave::{PLACES, Place, Step, Wave};
