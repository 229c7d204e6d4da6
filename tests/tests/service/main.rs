//! The server, workers and the agent as processes that talk to each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bundle;
mod engine;
mod fleet;
mod handover;
mod outcomes;
mod packages;
mod power;
mod reproducible;
mod waves;

/// The fix of the fleet's tests: two functions of net/ipv6/seg6.c.
const SEG6: &str = "deploy/demo/seg6-srh-length.patch";
/// A patch that is quickly built.
const LOADAVG: &str = "tests/patches/fs-loadavg.patch";
/// Seconds of a lease where nobody is to lose it.
const LEASE: u64 = 30;
