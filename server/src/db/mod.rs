//! The database, and the SQL by noun.
//!
//! It is SQL that SQLite and PostgreSQL both understand (`$1` placeholders,
//! `RETURNING`, `ON CONFLICT`, `CAST(1 AS BIGINT)` for a number of our own); where
//! they differ, the `Dialect` says it. Times are microseconds since 1970, ids their
//! hyphenated text, lists and steps JSON text. Text has no NUL: PostgreSQL can't
//! keep one.
//!
//! On SQLite a transaction that reads before it writes fails as busy as soon as
//! there is a second writer: a transaction here begins IMMEDIATE, and whatever
//! can be one statement is one. On PostgreSQL it is READ COMMITTED, the default: a
//! statement sees what was committed before it began, and a row that a decision
//! depends on is locked first.

pub mod advisories;
pub mod archive;
pub mod attempt_log;
pub mod audit;
pub mod callers;
mod catalog;
pub mod deliveries;
mod dialect;
pub mod events;
pub mod fleet;
pub mod groups;
pub mod host_list;
pub mod host_updates;
pub mod hosts;
pub mod idempotency;
pub mod identities;
pub mod imports;
pub mod jobs;
pub mod leases;
pub mod listen;
pub mod log;
pub mod log_tiles;
pub mod metrics;
mod migration;
pub mod offers;
mod open;
pub mod orders;
mod place;
pub mod plans;
pub mod promotions;
pub mod rejections;
pub mod releases;
pub mod reports;
pub mod results;
pub mod retired;
pub mod revocations;
pub mod rollouts;
pub mod sessions;
pub mod supersedes;
pub mod tokens;
pub mod updates;
pub mod users;
pub mod wave_plans;
pub mod webhooks;
pub mod workers;

pub(crate) use catalog::{
    Column, Kind, columns, count, filled, migrations, referenced, references, tables,
};
pub use open::{open, open_as_it_is};
pub use place::{Place, PlaceError};

use jiff::Timestamp;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    FromQueryResult, IsolationLevel, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait, Value,
};

/// The database.
pub type Db = DatabaseConnection;

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
#[error("can't {operation}: {cause}")]
pub struct Error {
    /// What was being done.
    pub operation: &'static str,
    /// What the database said.
    pub cause: DbErr,
}

/// Begins a transaction; on SQLite it holds the write lock from its start.
pub(crate) async fn begin(db: &Db) -> Result<DatabaseTransaction, Error> {
    db.begin_with_options(TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    })
    .await
    .map_err(failed("begin a transaction"))
}

/// A transaction that sees the database as it is now, whatever happens meanwhile.
pub(crate) async fn snapshot(db: &Db) -> Result<DatabaseTransaction, Error> {
    let postgres = db.get_database_backend() == DbBackend::Postgres;
    db.begin_with_options(TransactionOptions {
        isolation_level: postgres.then_some(IsolationLevel::RepeatableRead),
        access_mode: postgres.then_some(AccessMode::ReadOnly),
        sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
    })
    .await
    .map_err(failed("begin to read the database"))
}

/// Commits a transaction.
pub(crate) async fn commit(transaction: DatabaseTransaction) -> Result<(), Error> {
    transaction
        .commit()
        .await
        .map_err(failed("commit a transaction"))
}

pub(crate) fn failed(operation: &'static str) -> impl FnOnce(DbErr) -> Error {
    move |cause| Error { operation, cause }
}

/// Runs a statement and returns how many rows it changed.
pub(crate) async fn execute<C: ConnectionTrait>(
    db: &C,
    operation: &'static str,
    sql: &str,
    values: Vec<Value>,
) -> Result<u64, Error> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let result = db.execute_raw(statement).await;
    Ok(result.map_err(failed(operation))?.rows_affected())
}

/// Runs a query and returns its rows.
pub(crate) async fn rows<T: FromQueryResult, C: ConnectionTrait>(
    db: &C,
    operation: &'static str,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<T>, Error> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let rows = db
        .query_all_raw(statement)
        .await
        .map_err(failed(operation))?;
    rows.iter()
        .map(|row| T::from_query_result(row, "").map_err(failed(operation)))
        .collect()
}

/// Runs a query and returns its first row, if there is one.
pub(crate) async fn row<T: FromQueryResult, C: ConnectionTrait>(
    db: &C,
    operation: &'static str,
    sql: &str,
    values: Vec<Value>,
) -> Result<Option<T>, Error> {
    Ok(rows(db, operation, sql, values).await?.into_iter().next())
}

/// `$2, $3, $4`: so many placeholders, from a first one on.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    let all: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    all.join(", ")
}

/// For `LOWER(…) LIKE … ESCAPE '\'`: what contains a text, whatever its case.
pub(crate) fn containing(text: &str) -> String {
    containing_exactly(&text.to_lowercase())
}

/// For `LIKE … ESCAPE '\'`: what contains a text.
pub(crate) fn containing_exactly(text: &str) -> String {
    format!("%{}", beginning(text))
}

/// For `LIKE … ESCAPE '\'`: what begins with a text.
pub(crate) fn beginning(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Now, as the database keeps it.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// A time of the database.
pub(crate) fn time(operation: &'static str, micros: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros).map_err(|error| unreadable(operation, error))
}

/// A value of the database that is not what this program writes.
pub(crate) fn unreadable(operation: &'static str, error: impl std::fmt::Display) -> Error {
    failed(operation)(DbErr::Type(error.to_string()))
}

/// An id or a status of the database.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    operation: &'static str,
    text: &str,
) -> Result<T, Error> {
    text.parse().map_err(|error| unreadable(operation, error))
}

/// JSON of the database.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    operation: &'static str,
    text: &str,
) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| unreadable(operation, error))
}

/// JSON for the database.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| unreadable("write JSON", error))
}

/// A number of the database that is never negative.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
