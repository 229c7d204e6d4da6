//! Updates that an engineer will not release.

use super::{Db, Error, begin, commit, execute, now, row};
use resplice_api::UpdateId;
use sea_orm::FromQueryResult;

/// What became of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is rejected now, for good.
    Rejected,
    /// There is no such update.
    Missing,
    /// It is released: it can only be revoked.
    Released,
    /// It was rejected before.
    Already,
}

#[derive(FromQueryResult)]
struct Standing {
    released_at: Option<i64>,
}

/// Rejects an update that is not released, whether its builds have ended or not.
///
/// # Errors
/// The database's.
pub async fn reject(db: &Db, id: UpdateId, reason: &str, person: &str) -> Result<Outcome, Error> {
    let operation = "reject an update";
    let transaction = begin(db).await?;
    let changed = execute(
        &transaction,
        operation,
        "UPDATE updates SET rejected_at = $2, rejected_by = $3, reject_reason = $4
         WHERE id = $1 AND released_at IS NULL AND rejected_at IS NULL",
        vec![
            id.to_string().into(),
            now().into(),
            person.into(),
            reason.into(),
        ],
    )
    .await?;
    if changed == 1 {
        commit(transaction).await?;
        return Ok(Outcome::Rejected);
    }
    let sql = "SELECT released_at FROM updates WHERE id = $1";
    let values = vec![id.to_string().into()];
    let standing: Option<Standing> = row(&transaction, operation, sql, values).await?;
    Ok(match standing {
        None => Outcome::Missing,
        Some(standing) if standing.released_at.is_some() => Outcome::Released,
        Some(_) => Outcome::Already,
    })
}
