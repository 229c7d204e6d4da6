//! Trying an update before it is signed: against the shipped files, then in
//! the stock kernel.

mod check;
mod file;
mod guest;
mod idle;

pub use check::{Check, CheckError};
pub use file::{FileMatch, against_file, match_report};
pub use guest::{GuestReport, Trial, TrialPart, in_guest};
