//! How updates got from channel to channel.

use super::{
    Db, Error, begin, commit, events, events::Happened, execute, now, parse, rollouts, row, rows,
    time,
};
use resplice_api::{Channel, Promotion, UpdateId, WavePlan};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// Why an update was not promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the channel now.
    Promoted,
    /// There is no such update.
    Missing,
    /// Whoever asks has uploaded it.
    SamePerson,
    /// It is not released.
    NotReleased,
    /// It was revoked.
    Revoked,
    /// It has got there or further already.
    Already(Channel),
}

/// Who releases or promotes, and what they say.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// The person's name.
    pub person: &'a str,
    /// Why.
    pub comment: &'a str,
    /// The plan for its waves, if it has one, and the seed.
    pub plan: Option<(&'a WavePlan, &'a str)>,
}

#[derive(FromQueryResult)]
struct Standing {
    uploaded_by: String,
    channel: Option<String>,
    revoked_at: Option<i64>,
}

/// Sends a released update on to a channel.
///
/// # Errors
/// The database's.
pub async fn promote(
    db: &Db,
    id: UpdateId,
    channel: Channel,
    word: Word<'_>,
) -> Result<Outcome, Error> {
    let operation = "promote an update";
    let transaction = begin(db).await?;
    let standing: Option<Standing> = row(
        &transaction,
        operation,
        "SELECT uploaded_by, channel, revoked_at FROM updates WHERE id = $1",
        vec![id.to_string().into()],
    )
    .await?;
    let Some(standing) = standing else {
        return Ok(Outcome::Missing);
    };
    if standing.uploaded_by == word.person {
        return Ok(Outcome::SamePerson);
    }
    let Some(reached) = standing.channel else {
        return Ok(Outcome::NotReleased);
    };
    if standing.revoked_at.is_some() {
        return Ok(Outcome::Revoked);
    }
    let from: Channel = parse(operation, &reached)?;
    // Somebody may have promoted it since it was looked at.
    let values = vec![
        id.to_string().into(),
        channel.as_str().into(),
        reached.into(),
    ];
    let sql =
        "UPDATE updates SET channel = $2 WHERE id = $1 AND channel = $3 AND revoked_at IS NULL";
    if from >= channel || execute(&transaction, operation, sql, values).await? != 1 {
        return Ok(Outcome::Already(from.max(channel)));
    }
    enter(&transaction, id, channel, word).await?;
    events::note(&transaction, id, Happened::Promoted(channel)).await?;
    commit(transaction).await?;
    Ok(Outcome::Promoted)
}

/// Notes that an update entered a channel, and starts its rollout there.
pub(super) async fn enter<C: ConnectionTrait>(
    db: &C,
    id: UpdateId,
    channel: Channel,
    word: Word<'_>,
) -> Result<(), Error> {
    execute(
        db,
        "note a promotion",
        "INSERT INTO promotions (id, update_id, channel, promoted_by, promoted_at, comment)
         VALUES ($1, $2, $3, $4, $5, $6)",
        vec![
            uuid::Uuid::now_v7().to_string().into(),
            id.to_string().into(),
            channel.as_str().into(),
            word.person.into(),
            now().into(),
            word.comment.into(),
        ],
    )
    .await?;
    rollouts::start(db, id, channel, word.plan).await
}

#[derive(FromQueryResult)]
struct PromotionRow {
    channel: String,
    promoted_by: String,
    promoted_at: i64,
    comment: String,
}

/// An update's promotions, oldest first.
///
/// # Errors
/// The database's.
pub async fn of_update<C: ConnectionTrait>(db: &C, id: UpdateId) -> Result<Vec<Promotion>, Error> {
    let operation = "list the promotions";
    let found: Vec<PromotionRow> = rows(
        db,
        operation,
        "SELECT channel, promoted_by, promoted_at, comment FROM promotions
         WHERE update_id = $1 ORDER BY promoted_at, id",
        vec![id.to_string().into()],
    )
    .await?;
    let promotion = |row: PromotionRow| {
        Ok(Promotion {
            channel: parse(operation, &row.channel)?,
            by: row.promoted_by,
            at: time(operation, row.promoted_at)?,
            comment: row.comment,
        })
    };
    found.into_iter().map(promotion).collect()
}
