//! Targets that nothing new is built for.

use super::{Error, execute, now, rows, time};
use resplice_api::Retirement;
use sea_orm::{ConnectionTrait, FromQueryResult};
use std::collections::BTreeMap;

#[derive(FromQueryResult)]
struct RetiredRow {
    target: String,
    retired_by: String,
    retired_at: i64,
    reason: String,
}

/// All of them, by target.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C) -> Result<BTreeMap<String, Retirement>, Error> {
    let operation = "list the retired targets";
    let sql = "SELECT target, retired_by, retired_at, reason FROM retired_targets";
    let found: Vec<RetiredRow> = rows(db, operation, sql, Vec::new()).await?;
    found
        .into_iter()
        .map(|row| {
            let retirement = Retirement {
                by: row.retired_by,
                at: time(operation, row.retired_at)?,
                reason: row.reason,
            };
            Ok((row.target, retirement))
        })
        .collect()
}

/// Retires a target; one that is retired already stays as it is.
///
/// # Errors
/// The database's.
pub async fn retire<C: ConnectionTrait>(
    db: &C,
    target: &str,
    person: &str,
    reason: &str,
) -> Result<(), Error> {
    let values = vec![target.into(), person.into(), now().into(), reason.into()];
    let sql = "INSERT INTO retired_targets (target, retired_by, retired_at, reason)
        VALUES ($1, $2, $3, $4) ON CONFLICT (target) DO NOTHING";
    execute(db, "retire a target", sql, values).await.map(drop)
}

/// Lets a target be built for again; whether it had been retired.
///
/// # Errors
/// The database's.
pub async fn restore<C: ConnectionTrait>(db: &C, target: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM retired_targets WHERE target = $1";
    let gone = execute(db, "restore a target", sql, vec![target.into()]).await?;
    Ok(gone > 0)
}
