//! Where SQLite and PostgreSQL differ.
//!
//! SQLite has one writer at a time: a transaction here has the write lock from
//! its start, so it sees what no other one is changing. PostgreSQL has many, and
//! a row that a decision depends on has to be locked.

use sea_orm::DbBackend;

/// What one of the databases calls it.
pub(crate) trait Dialect: Sync {
    /// Behind a SELECT: its rows stay as they are until the end of the transaction,
    /// and rows that somebody else has locked are left out. What one claim is about
    /// to take, another one steps over instead of waiting for it.
    fn locked_and_free(&self) -> &'static str;

    /// Behind a SELECT: the same, and what somebody else has locked is waited for.
    fn locked(&self) -> &'static str;

    /// A statement that lets one transaction at a time go on: what it counts stays
    /// so. None if there is one at a time anyway.
    fn one_claim_at_a_time(&self) -> Option<&'static str>;

    /// A query for microseconds since 1970 by the clock that all servers on the
    /// database have in common. None if there is one server, and its own clock.
    fn clock(&self) -> Option<&'static str>;

    /// A statement that tells all servers on the database of the job $1. None if
    /// there is one server.
    fn notify(&self) -> Option<&'static str>;
}

struct Sqlite;
struct Postgres;

impl Dialect for Sqlite {
    fn clock(&self) -> Option<&'static str> {
        None
    }

    fn locked_and_free(&self) -> &'static str {
        ""
    }

    fn locked(&self) -> &'static str {
        ""
    }

    fn one_claim_at_a_time(&self) -> Option<&'static str> {
        None
    }

    fn notify(&self) -> Option<&'static str> {
        None
    }
}

impl Dialect for Postgres {
    fn clock(&self) -> Option<&'static str> {
        Some("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now")
    }

    fn locked_and_free(&self) -> &'static str {
        " FOR UPDATE SKIP LOCKED"
    }

    fn locked(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn one_claim_at_a_time(&self) -> Option<&'static str> {
        // "claims", as a number.
        Some("SELECT pg_advisory_xact_lock(109321137909107)")
    }

    fn notify(&self) -> Option<&'static str> {
        // As `listen::JOBS` is called.
        Some("SELECT pg_notify('resplice_jobs', $1)")
    }
}

/// The dialect of a database.
pub(crate) fn of(backend: DbBackend) -> &'static dyn Dialect {
    match backend {
        DbBackend::Postgres => &Postgres,
        _ => &Sqlite,
    }
}
