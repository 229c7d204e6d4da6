//! All tests of the service once more, with its database on PostgreSQL and its store
//! in a bucket of an S3 server.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "service/main.rs"]
mod service;
// A file is for one server.
#[path = "service/several.rs"]
mod several;

// The paths in there begin at the crate's root.
use service::{chaos, rollout, s3, support};
