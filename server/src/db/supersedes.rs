//! Which updates take the place of which others.

use super::{Error, execute, parse, rows};
use resplice_api::UpdateId;
use sea_orm::{ConnectionTrait, FromQueryResult};

#[derive(FromQueryResult)]
struct IdRow {
    id: String,
}

async fn ids<C: ConnectionTrait>(db: &C, sql: &str, id: UpdateId) -> Result<Vec<UpdateId>, Error> {
    let operation = "look up superseded updates";
    let found: Vec<IdRow> = rows(db, operation, sql, vec![id.to_string().into()]).await?;
    found
        .into_iter()
        .map(|row| parse(operation, &row.id))
        .collect()
}

/// The updates whose place this one takes, oldest first.
///
/// # Errors
/// The database's.
pub async fn older<C: ConnectionTrait>(db: &C, id: UpdateId) -> Result<Vec<UpdateId>, Error> {
    let sql = "SELECT older_id AS id FROM supersedes WHERE update_id = $1 ORDER BY older_id";
    ids(db, sql, id).await
}

/// The updates that take this one's place, released or not, oldest first.
///
/// # Errors
/// The database's.
pub async fn newer<C: ConnectionTrait>(db: &C, id: UpdateId) -> Result<Vec<UpdateId>, Error> {
    let sql = "SELECT update_id AS id FROM supersedes WHERE older_id = $1 ORDER BY update_id";
    ids(db, sql, id).await
}

/// Notes that an update takes the place of others, and of those that these
/// superseded: hosts may have missed the ones between.
///
/// # Errors
/// The database's.
pub async fn add<C: ConnectionTrait>(
    db: &C,
    id: UpdateId,
    named: &[UpdateId],
) -> Result<(), Error> {
    let mut all = named.to_vec();
    for older_id in named {
        all.extend(older(db, *older_id).await?);
    }
    all.sort();
    all.dedup();
    for older_id in all {
        execute(
            db,
            "note a superseded update",
            "INSERT INTO supersedes (update_id, older_id) VALUES ($1, $2)",
            vec![id.to_string().into(), older_id.to_string().into()],
        )
        .await?;
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct KernelRow {
    kernel_id: String,
}

/// Ids in the kernel of a target's packages whose place an update's takes, sorted.
///
/// # Errors
/// The database's.
pub async fn in_kernel<C: ConnectionTrait>(
    db: &C,
    id: UpdateId,
    target: &str,
) -> Result<Vec<String>, Error> {
    let found: Vec<KernelRow> = rows(
        db,
        "look up superseded packages",
        "SELECT DISTINCT j.kernel_id FROM supersedes s JOIN jobs j ON j.update_id = s.older_id
         WHERE s.update_id = $1 AND j.target = $2 AND j.status = 'built'
           AND j.kernel_id IS NOT NULL
         ORDER BY j.kernel_id",
        vec![id.to_string().into(), target.into()],
    )
    .await?;
    Ok(found.into_iter().map(|row| row.kernel_id).collect())
}
