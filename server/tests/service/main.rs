//! The real router on a loopback port, with a data directory of its own, and the
//! real client.
//!
//! Compiled twice: as `service` with SQLite and the store in a directory, as
//! `postgres` with PostgreSQL and the store in a bucket.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod accounts;
mod backup;
mod bad_input;
pub(crate) mod chaos;
mod collect;
mod contract;
mod crash;
mod feeds;
mod fencing;
mod fleet;
mod health;
mod idempotency;
mod imports;
mod lifecycle;
mod listing;
mod log;
mod oidc;
mod packages;
mod polls;
mod provenance;
mod provider;
mod queue;
mod reach;
mod releases;
mod repository;
mod requests;
mod restart;
mod revoke;
pub(crate) mod rollout;
pub(crate) mod s3;
mod scale;
mod settings;
mod supersede;
pub(crate) mod support;
mod tokens;
mod transparency;
mod webhooks;
