//! Requests that named a key, and what was answered to them.

use super::{Db, Error, execute, now, row};
use sea_orm::FromQueryResult;

/// How long a key is remembered, in microseconds.
const LIFETIME_MICROS: i64 = 24 * 3600 * 1_000_000;
/// Most keys of one caller within that time.
const MAX_KEYS: i64 = 10_000;

/// A caller's key.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Whoever calls.
    pub owner: &'a str,
    /// What they call it.
    pub name: &'a str,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What its body is.
    pub content_type: Option<String>,
    /// What was made.
    pub location: Option<String>,
    /// Its body; none if it held a secret.
    pub body: Option<Vec<u8>>,
}

/// How a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It is new: go on.
    New,
    /// It was named with another request.
    Other,
    /// Its request began and has not ended, or its server died.
    Unfinished,
    /// This was answered.
    Answered(Answer),
    /// The caller has too many.
    TooMany,
}

/// Begins a request with a key; `request` is its digest.
///
/// # Errors
/// The database's.
pub async fn begin(db: &Db, key: Key<'_>, request: &str) -> Result<Known, Error> {
    let operation = "look up an idempotency key";
    let oldest = now().saturating_sub(LIFETIME_MICROS);
    let sql = "DELETE FROM idempotency WHERE created_at < $1";
    execute(db, operation, sql, vec![oldest.into()]).await?;
    let sql = "INSERT INTO idempotency (owner, name, request, created_at)
               SELECT $1, $2, $3, CAST($4 AS BIGINT)
               WHERE (SELECT COUNT(*) FROM idempotency WHERE owner = $1) < $5
               ON CONFLICT (owner, name) DO NOTHING";
    let values = vec![
        key.owner.into(),
        key.name.into(),
        request.into(),
        now().into(),
        MAX_KEYS.into(),
    ];
    if execute(db, operation, sql, values).await? == 1 {
        return Ok(Known::New);
    }
    let sql = "SELECT request, status, content_type, location, body FROM idempotency
               WHERE owner = $1 AND name = $2";
    let values = vec![key.owner.into(), key.name.into()];
    let found: Option<Row> = row(db, operation, sql, values).await?;
    Ok(match found {
        None => Known::TooMany,
        Some(found) if found.request != request => Known::Other,
        Some(found) => found.answer().map_or(Known::Unfinished, Known::Answered),
    })
}

/// Keeps what was answered.
///
/// # Errors
/// The database's.
pub async fn end(db: &Db, key: Key<'_>, answer: &Answer) -> Result<(), Error> {
    let sql = "UPDATE idempotency SET status = $3, content_type = $4, location = $5, body = $6
               WHERE owner = $1 AND name = $2";
    let values = vec![
        key.owner.into(),
        key.name.into(),
        i64::from(answer.status).into(),
        answer.content_type.clone().into(),
        answer.location.clone().into(),
        answer.body.clone().into(),
    ];
    execute(db, "keep an answer", sql, values).await.map(drop)
}

/// Forgets a key whose request has changed nothing.
///
/// # Errors
/// The database's.
pub async fn forget(db: &Db, key: Key<'_>) -> Result<(), Error> {
    let sql = "DELETE FROM idempotency WHERE owner = $1 AND name = $2 AND status IS NULL";
    let values = vec![key.owner.into(), key.name.into()];
    execute(db, "forget an idempotency key", sql, values)
        .await
        .map(drop)
}

#[derive(FromQueryResult)]
struct Row {
    request: String,
    status: Option<i64>,
    content_type: Option<String>,
    location: Option<String>,
    body: Option<Vec<u8>>,
}

impl Row {
    fn answer(self) -> Option<Answer> {
        Some(Answer {
            status: u16::try_from(self.status?).ok()?,
            content_type: self.content_type,
            location: self.location,
            body: self.body,
        })
    }
}
