//! The database, and the SQL by noun.
//!
//! All of it is SQL that SQLite and PostgreSQL both understand (`$1`
//! placeholders, `RETURNING`, `ON CONFLICT`). Times are microseconds since 1970,
//! ids their hyphenated text, lists and steps JSON text.
//!
//! On SQLite a transaction that reads before it writes fails as busy as soon as
//! there is a second writer: a transaction here begins IMMEDIATE, and whatever
//! can be one statement is one.

pub mod audit;
pub mod hosts;
pub mod jobs;
mod migration;
pub mod plans;
pub mod releases;
pub mod reports;
pub mod supersedes;
pub mod tokens;
pub mod updates;
pub mod workers;

use anyhow::Context;
use jiff::Timestamp;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    FromQueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use sea_orm_migration::MigratorTrait;
use std::{path::Path, time::Duration};

/// The database.
pub type Db = DatabaseConnection;

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
#[error("can't {operation}: {source}")]
pub struct Error {
    /// What was being done.
    pub operation: &'static str,
    /// What the database said.
    pub source: DbErr,
}

/// Opens the database file, creates it if it is not there, and brings its schema
/// up to date.
///
/// # Errors
/// If it can't be opened or migrated.
pub async fn open(path: &Path) -> anyhow::Result<Db> {
    let mut options = ConnectOptions::new("sqlite://resplice");
    let file = path.to_owned();
    options
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(20))
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .filename(&file)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                // A job that was answered as finished stays so after a power cut.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(15))
        });
    let db = Database::connect(options)
        .await
        .with_context(|| format!("can't open the database {}", path.display()))?;
    migration::Migrator::up(&db, None)
        .await
        .with_context(|| format!("can't bring the database {} up to date", path.display()))?;
    Ok(db)
}

/// Begins a transaction that holds the write lock from its start.
pub(crate) async fn begin(db: &Db) -> Result<DatabaseTransaction, Error> {
    db.begin_with_options(TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    })
    .await
    .map_err(failed("begin a transaction"))
}

/// Commits a transaction.
pub(crate) async fn commit(transaction: DatabaseTransaction) -> Result<(), Error> {
    transaction
        .commit()
        .await
        .map_err(failed("commit a transaction"))
}

pub(crate) fn failed(operation: &'static str) -> impl FnOnce(DbErr) -> Error {
    move |source| Error { operation, source }
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
