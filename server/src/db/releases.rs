//! Releases: the second person's word.

use super::{
    Db, Error, begin, commit, events, events::Happened, execute, now, promotions, row, updates,
};
use resplice_api::{Channel, UpdateId};
use sea_orm::FromQueryResult;

/// Why an update was not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is released now.
    Released,
    /// There is no such update.
    Missing,
    /// Whoever asks has uploaded it.
    SamePerson,
    /// It was released before.
    Already,
    /// It was rejected.
    Rejected,
    /// Builds are still queued or running.
    Unfinished,
    /// No build came out with a package.
    NothingBuilt,
}

#[derive(FromQueryResult)]
struct Standing {
    uploaded_by: String,
    released_at: Option<i64>,
    rejected_at: Option<i64>,
    open: i64,
    built: i64,
}

/// Releases an update into a channel: one statement with all its conditions, and
/// only when that changes nothing a look at which of them was not met. People are
/// told apart by their names, whatever tokens they have.
///
/// # Errors
/// The database's.
pub async fn release(
    db: &Db,
    id: UpdateId,
    channel: Channel,
    word: promotions::Word<'_>,
) -> Result<Outcome, Error> {
    let transaction = begin(db).await?;
    // Nobody has one of its builds run again between the look and the change.
    updates::lock(&transaction, id).await?;
    let changed = execute(
        &transaction,
        "release an update",
        "UPDATE updates SET released_at = $2, released_by = $3, release_comment = $4, channel = $5
         WHERE id = $1 AND released_at IS NULL AND rejected_at IS NULL AND uploaded_by <> $3
           AND NOT EXISTS (SELECT 1 FROM jobs
               WHERE update_id = $1 AND status IN ('queued', 'running'))
           AND EXISTS (SELECT 1 FROM jobs WHERE update_id = $1 AND status = 'built')",
        vec![
            id.to_string().into(),
            now().into(),
            word.person.into(),
            word.comment.into(),
            channel.as_str().into(),
        ],
    )
    .await?;
    if changed == 1 {
        promotions::enter(&transaction, id, channel, word).await?;
        events::note(&transaction, id, Happened::Released(channel)).await?;
        commit(transaction).await?;
        return Ok(Outcome::Released);
    }
    let standing: Option<Standing> = row(
        &transaction,
        "look up an update",
        "SELECT uploaded_by, released_at, rejected_at,
             (SELECT COUNT(*) FROM jobs
                 WHERE update_id = $1 AND status IN ('queued', 'running')) AS open,
             (SELECT COUNT(*) FROM jobs WHERE update_id = $1 AND status = 'built') AS built
         FROM updates WHERE id = $1",
        vec![id.to_string().into()],
    )
    .await?;
    Ok(match standing {
        None => Outcome::Missing,
        Some(s) if s.uploaded_by == word.person => Outcome::SamePerson,
        Some(s) if s.released_at.is_some() => Outcome::Already,
        Some(s) if s.rejected_at.is_some() => Outcome::Rejected,
        Some(s) if s.open > 0 => Outcome::Unfinished,
        Some(s) if s.built == 0 => Outcome::NothingBuilt,
        // The last build ended between the two statements.
        Some(_) => Outcome::Unfinished,
    })
}
