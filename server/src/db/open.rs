//! Opening the database.

use super::{Db, Place, migration::Migrator};
use anyhow::Context;
use sea_orm::{
    ConnectOptions, Database, DbErr, SqlxPostgresConnector,
    sqlx::{
        ConnectOptions as _, Connection, PgConnection,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};
use sea_orm_migration::MigratorTrait;
use std::{path::Path, time::Duration};

/// Most connections of a server to its database.
const MAX_CONNECTIONS: u32 = 8;
/// How long a request waits for one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(20);
/// PostgreSQL's advisory lock of whoever changes the schema: "resplice".
const SCHEMA_LOCK: i64 = i64::from_be_bytes(*b"resplice");

/// Opens the database and brings its schema up to date. A file is created if it is
/// not there; a database of PostgreSQL must be there.
///
/// # Errors
/// If it can't be opened or migrated.
pub async fn open(place: &Place) -> anyhow::Result<Db> {
    let outdated = || format!("can't bring the database {place} up to date");
    match place {
        Place::Sqlite(path) => {
            let db = sqlite(path, true).await.with_context(|| unopened(place))?;
            Migrator::up(&db, None).await.with_context(outdated)?;
            Ok(db)
        }
        Place::Postgres(options) => {
            let mut lock = lock_schema(&logged_less(options))
                .await
                .with_context(|| unopened(place))?;
            let db = postgres(options);
            Migrator::up(&db, None).await.with_context(outdated)?;
            unlock_schema(&mut lock).await.with_context(outdated)?;
            Ok(db)
        }
    }
}

/// Opens a database that is there, and that this version of the program has brought
/// up to date: a server may be at work on it.
///
/// # Errors
/// If it can't be opened, or is of another version.
pub async fn open_as_it_is(place: &Place) -> anyhow::Result<Db> {
    let db = match place {
        Place::Sqlite(path) => sqlite(path, false).await.with_context(|| unopened(place))?,
        Place::Postgres(options) => postgres(options),
    };
    let pending = Migrator::get_pending_migrations_read_only(&db)
        .await
        .with_context(|| unopened(place))?;
    anyhow::ensure!(
        pending.is_empty(),
        "the database {place} is of an older version: use the program of that version, or start \
         the server of this one on it first"
    );
    Ok(db)
}

fn unopened(place: &Place) -> String {
    format!("can't open the database {place}")
}

fn logged_less(options: &PgConnectOptions) -> PgConnectOptions {
    options
        .clone()
        .application_name("resplice-server")
        .disable_statement_logging()
}

fn postgres(options: &PgConnectOptions) -> Db {
    let pool = PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(logged_less(options));
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
}

async fn sqlite(path: &Path, create: bool) -> Result<Db, DbErr> {
    let mut options = ConnectOptions::new("sqlite://resplice");
    let file = path.to_owned();
    options
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        // What there is to break is the file, and each use finds that.
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .filename(&file)
                .create_if_missing(create)
                .journal_mode(SqliteJournalMode::Wal)
                // A job that was answered as finished stays so after a power cut.
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(15))
        });
    Database::connect(options).await
}

/// Keeps other servers that start at the same time from changing the schema, as
/// long as the connection lives.
async fn lock_schema(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    let mut connection = PgConnection::connect_with(options).await?;
    let version =
        sea_orm::sqlx::query_scalar::<_, i32>("SELECT current_setting('server_version_num')::int");
    let version = version.fetch_one(&mut connection).await?;
    anyhow::ensure!(
        version >= 150_000,
        "it takes PostgreSQL 15 or newer, this one is {}",
        version / 10_000
    );
    let lock = sea_orm::sqlx::query("SELECT pg_advisory_lock($1)").bind(SCHEMA_LOCK);
    lock.execute(&mut connection).await?;
    Ok(connection)
}

async fn unlock_schema(connection: &mut PgConnection) -> anyhow::Result<()> {
    let unlock = sea_orm::sqlx::query("SELECT pg_advisory_unlock($1)").bind(SCHEMA_LOCK);
    unlock.execute(connection).await?;
    Ok(())
}
