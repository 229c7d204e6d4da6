//! The Resplice server: takes patches, queues their builds, keeps logs and
//! packages, lets engineers release them and tells hosts what to run.
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | where things are kept, and limits in time |
//! | [`settings`] | what of that can be set, and where from |
//! | [`db`] | the SQL, by noun |
//! | [`backup`] | all of it in one file, and back |
//! | [`store`] | content-addressed files: patches, checks, packages |
//! | [`secret_file`] | reads what only its owner may read |
//! | [`collect`] | takes away files of the store that nothing refers to |
//! | [`logs`] | build logs: bytes appended at an offset |
//! | [`patch`] | reads a unified diff and refuses what is none |
//! | [`auth`] | who calls: tokens, sessions, and what the first start leaves |
//! | [`password`], [`session`] | hashes of passwords; the cookie of a session |
//! | [`oidc`] | signing in by way of an identity provider |
//! | [`rate`], [`requests`] | how often somebody may do something, and ask for anything |
//! | [`archive`] | which kernels the distribution has, looked at again and again |
//! | [`catalogue`] | the kernels that can be built for |
//! | [`imports`] | fetches kernels in the background |
//! | [`queue`], [`job_key`] | leases that run out; the key that signs them |
//! | [`feeds`] | who publishes feeds and advisories, and the key that signs them |
//! | [`publish`] | keeps the repository in line with what is released |
//! | [`repository`] | the TUF repository: what has been released, signed |
//! | [`transparency`] | the signed, append-only log over audit entries and releases |
//! | [`fleet`] | numbers about all hosts |
//! | [`polls`], [`batch`] | hosts that ask for their plans; look-ups that are one query for many |
//! | [`metrics`] | what it counts, for Prometheus |
//! | [`routes`] | one table of all operations, and their handlers, by noun |
//! | [`webhooks`] | tells vendors' servers what happens to updates |
//! | [`web`] | the embedded web interface |
//! | [`cli`] | the command line |
//!
//! # Invariants
//! - Every operation is a row of [`routes::operations`] that says who may call it
//!   and how it is audited; there is no other way into the router.
//! - A state change is written to the audit log before it happens, or in the same
//!   transaction.
//! - What a worker writes is accepted only for the attempt that holds the job.
//! - Bytes live in objects named by their digest; SQL holds the mutable pointers.
#![forbid(unsafe_code)]

pub mod app;
pub mod archive;
pub mod auth;
pub mod backup;
pub mod batch;
pub mod catalogue;
pub mod cli;
pub mod collect;
pub mod config;
pub mod db;
pub mod error;
pub mod feeds;
pub mod fleet;
pub mod imports;
pub mod job_key;
pub mod logs;
pub mod metrics;
pub mod oidc;
pub mod password;
pub mod patch;
pub mod polls;
pub mod publish;
pub mod queue;
pub mod rate;
mod reach;
pub mod repository;
pub mod requests;
pub mod routes;
pub mod secret_file;
pub mod serve;
pub mod session;
pub mod settings;
pub mod store;
pub mod transparency;
pub mod versions;
pub mod waves;
pub mod web;
pub mod webhooks;

pub use app::App;
pub use config::Config;
