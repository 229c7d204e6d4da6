//! Updates that were taken back.

use super::{Db, Error, begin, commit, events, events::Happened, execute, now, rollouts, row};
use resplice_api::{NewRevocation, RolloutState, UpdateId};
use sea_orm::FromQueryResult;

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is revoked now.
    Revoked,
    /// There is no such update.
    Missing,
    /// It is not released, so no host has it.
    NotReleased,
    /// It was revoked before, as far as this one goes or further.
    Already,
}

#[derive(FromQueryResult)]
struct Standing {
    released_at: Option<i64>,
}

/// Takes a released update back. What hosts were only to stop applying, they can
/// later be told to undo; a revocation itself is never taken back.
///
/// # Errors
/// The database's.
pub async fn revoke(
    db: &Db,
    id: UpdateId,
    new: &NewRevocation,
    person: &str,
) -> Result<Outcome, Error> {
    let operation = "revoke an update";
    let transaction = begin(db).await?;
    let changed = execute(
        &transaction,
        operation,
        "UPDATE updates SET revoked_at = $2, revoked_by = $3, revoke_reason = $4, revoke_undo = $5
         WHERE id = $1 AND released_at IS NOT NULL
           AND (revoked_at IS NULL OR (revoke_undo = 0 AND $5 = 1))",
        vec![
            id.to_string().into(),
            now().into(),
            person.into(),
            new.reason.as_str().into(),
            i64::from(new.undo).into(),
        ],
    )
    .await?;
    if changed == 1 {
        let reason = format!("revoked: {}", new.reason);
        events::note(&transaction, id, Happened::Revoked(new)).await?;
        rollouts::stop(&transaction, id, RolloutState::Halted, &reason).await?;
        commit(transaction).await?;
        return Ok(Outcome::Revoked);
    }
    let sql = "SELECT released_at FROM updates WHERE id = $1";
    let values = vec![id.to_string().into()];
    let standing: Option<Standing> = row(&transaction, operation, sql, values).await?;
    Ok(match standing {
        None => Outcome::Missing,
        Some(standing) if standing.released_at.is_none() => Outcome::NotReleased,
        Some(_) => Outcome::Already,
    })
}
