//! Workers and the keys they sign with.

use super::{Error, execute, now, row, rows, time};
use resplice_api::Worker;
use sea_orm::{ConnectionTrait, FromQueryResult};

#[derive(FromQueryResult)]
struct WorkerRow {
    name: String,
    public_key: String,
    registered_at: i64,
}

impl WorkerRow {
    fn read(self) -> Result<Worker, Error> {
        Ok(Worker {
            registered_at: time("read a worker", self.registered_at)?,
            name: self.name,
            public_key: self.public_key,
        })
    }
}

/// Registers a worker, unless its name or its key is taken, and returns whoever
/// has the name then.
///
/// # Errors
/// The database's.
pub async fn register<C: ConnectionTrait>(
    db: &C,
    name: &str,
    public_key: &str,
) -> Result<Option<Worker>, Error> {
    execute(
        db,
        "register a worker",
        "INSERT INTO workers (name, public_key, registered_at) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
        vec![name.into(), public_key.into(), now().into()],
    )
    .await?;
    find(db, name).await
}

/// Finds a worker by its name.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, name: &str) -> Result<Option<Worker>, Error> {
    let found: Option<WorkerRow> = row(
        db,
        "look up a worker",
        "SELECT name, public_key, registered_at FROM workers WHERE name = $1",
        vec![name.into()],
    )
    .await?;
    found.map(WorkerRow::read).transpose()
}

/// All workers, by name.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C) -> Result<Vec<Worker>, Error> {
    let found: Vec<WorkerRow> = rows(
        db,
        "list the workers",
        "SELECT name, public_key, registered_at FROM workers ORDER BY name",
        vec![],
    )
    .await?;
    found.into_iter().map(WorkerRow::read).collect()
}
