//! The audit log. Rows are added before what they tell of happens, and completed
//! with its outcome; nothing removes one.

use super::{Error, execute, now};
use sea_orm::ConnectionTrait;

/// Who does what to what.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Name of the token, or `server`.
    pub actor: &'a str,
    /// Its role, or `server`.
    pub role: &'a str,
    /// For example `update.release`.
    pub action: &'a str,
    /// The path of the request, or the object's id.
    pub object: &'a str,
}

/// Adds a row without an outcome and returns its id.
///
/// # Errors
/// The database's: whoever asked must then not go on.
pub async fn begin<C: ConnectionTrait>(db: &C, entry: &Entry<'_>) -> Result<String, Error> {
    let id = uuid::Uuid::now_v7().to_string();
    execute(
        db,
        "write the audit log",
        "INSERT INTO audit (id, at, actor, role, action, object) VALUES ($1, $2, $3, $4, $5, $6)",
        vec![
            id.clone().into(),
            now().into(),
            entry.actor.into(),
            entry.role.into(),
            entry.action.into(),
            entry.object.into(),
        ],
    )
    .await?;
    Ok(id)
}

/// Completes a row: the HTTP status, and the object that came out of it, if any.
///
/// # Errors
/// The database's.
pub async fn complete<C: ConnectionTrait>(
    db: &C,
    id: &str,
    status: u16,
    result: Option<&str>,
) -> Result<(), Error> {
    execute(
        db,
        "complete the audit log",
        "UPDATE audit SET status = $2, result = $3, completed_at = $4
         WHERE id = $1 AND completed_at IS NULL",
        vec![
            id.into(),
            i64::from(status).into(),
            result.into(),
            now().into(),
        ],
    )
    .await
    .map(drop)
}

/// Adds a row for something that happens in the same transaction.
///
/// # Errors
/// The database's.
pub async fn within<C: ConnectionTrait>(db: &C, entry: &Entry<'_>) -> Result<(), Error> {
    let id = begin(db, entry).await?;
    complete(db, &id, 200, None).await
}
