//! Sessions of people: digests of their secrets, and until when they last.

use super::{Db, Error, audit, begin, commit, execute, now, row};
use sea_orm::{ConnectionTrait, FromQueryResult};
use std::time::Duration;

/// Longest that a session lasts.
pub const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Longest that it lasts without a request.
pub const IDLE: Duration = Duration::from_secs(2 * 3600);
/// Most sessions of one person; the oldest makes place for a new one.
pub const MAX_SESSIONS: u32 = 20;
/// Uses closer together than this do not write when a session was last used.
const USED_RESOLUTION_MICROS: i64 = 60_000_000;

/// A session that lasts, with its account as it is now.
#[derive(Debug, Clone, FromQueryResult)]
pub struct SessionRow {
    /// Its public part.
    pub id: String,
    /// sha256 of the whole in hex.
    pub sha256: String,
    /// The account's name.
    pub user_name: String,
    /// The account's roles, as JSON.
    pub roles: String,
    /// Not 0 if the password has to be changed.
    pub must_change: i64,
    last_used_at: i64,
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Begins a session: one row of it, one of the audit log, and no more than
/// [`MAX_SESSIONS`] in all.
///
/// # Errors
/// The database's.
pub async fn begin_session(db: &Db, id: &str, sha256: &str, user: &str) -> Result<(), Error> {
    let operation = "begin a session";
    let moment = now();
    let transaction = begin(db).await?;
    for (sql, values) in [
        (
            "DELETE FROM sessions WHERE expires_at <= $1",
            vec![moment.into()],
        ),
        (
            "DELETE FROM sessions WHERE user_name = $1 AND id NOT IN (SELECT id FROM sessions
                 WHERE user_name = $1 ORDER BY created_at DESC, id LIMIT $2)",
            vec![user.into(), i64::from(MAX_SESSIONS - 1).into()],
        ),
        (
            "INSERT INTO sessions (id, sha256, user_name, created_at, last_used_at, expires_at)
             VALUES ($1, $2, $3, $4, $4, $5)",
            vec![
                id.into(),
                sha256.into(),
                user.into(),
                moment.into(),
                moment.saturating_add(micros(LIFETIME)).into(),
            ],
        ),
        (
            "UPDATE users SET last_sign_in_at = $2 WHERE name = $1",
            vec![user.into(), moment.into()],
        ),
    ] {
        execute(&transaction, operation, sql, values).await?;
    }
    let entry = audit::Entry {
        actor: user,
        role: "account",
        action: "session.begin",
        object: id,
    };
    audit::within(&transaction, &entry).await?;
    commit(transaction).await
}

/// Finds a session that lasts and whose account is open.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, id: &str) -> Result<Option<SessionRow>, Error> {
    let moment = now();
    row(
        db,
        "look up a session",
        "SELECT id, sha256, user_name, roles, must_change, last_used_at
         FROM sessions JOIN users ON name = user_name
         WHERE id = $1 AND expires_at > $2 AND last_used_at > $3 AND disabled_at IS NULL",
        vec![
            id.into(),
            moment.into(),
            moment.saturating_sub(micros(IDLE)).into(),
        ],
    )
    .await
}

/// Notes that a session was used, at most once a minute.
///
/// # Errors
/// The database's.
pub async fn used<C: ConnectionTrait>(db: &C, session: &SessionRow) -> Result<(), Error> {
    let moment = now();
    if moment.saturating_sub(session.last_used_at) < USED_RESOLUTION_MICROS {
        return Ok(());
    }
    let sql = "UPDATE sessions SET last_used_at = $2 WHERE id = $1";
    let values = vec![session.id.as_str().into(), moment.into()];
    execute(db, "note a session's use", sql, values)
        .await
        .map(drop)
}

/// Ends a session.
///
/// # Errors
/// The database's.
pub async fn end<C: ConnectionTrait>(db: &C, id: &str) -> Result<(), Error> {
    let sql = "DELETE FROM sessions WHERE id = $1";
    execute(db, "end a session", sql, vec![id.into()])
        .await
        .map(drop)
}

/// Ends the sessions of an account, but the one that is kept.
///
/// # Errors
/// The database's.
pub async fn end_all<C: ConnectionTrait>(
    db: &C,
    user: &str,
    keep: Option<&str>,
) -> Result<(), Error> {
    let sql = "DELETE FROM sessions WHERE user_name = $1 AND id <> $2";
    let values = vec![user.into(), keep.unwrap_or_default().into()];
    execute(db, "end the sessions of an account", sql, values)
        .await
        .map(drop)
}
