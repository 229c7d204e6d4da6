//! Tokens: their digests, never they themselves.

use super::{Error, execute, now, row};
use resplice_api::{HostId, Role};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// A known token.
#[derive(Debug, Clone, FromQueryResult)]
pub struct TokenRow {
    /// Its public part.
    pub id: String,
    /// The role's word.
    pub role: String,
    /// Its name.
    pub name: String,
    /// The host that it belongs to.
    pub host_id: Option<String>,
    /// sha256 of the whole token in hex.
    pub sha256: String,
}

/// Finds a token by its public part.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, id: &str) -> Result<Option<TokenRow>, Error> {
    row(
        db,
        "look up a token",
        "SELECT id, role, name, host_id, sha256 FROM tokens WHERE id = $1",
        vec![id.into()],
    )
    .await
}

/// Whether a role other than host has a token.
///
/// # Errors
/// The database's.
pub async fn exists<C: ConnectionTrait>(db: &C, role: Role, name: &str) -> Result<bool, Error> {
    let found: Option<TokenRow> = row(
        db,
        "look up a token",
        "SELECT id, role, name, host_id, sha256 FROM tokens WHERE role = $1 AND name = $2",
        vec![role.as_str().into(), name.into()],
    )
    .await?;
    Ok(found.is_some())
}

/// Makes a token the only one with its role and name, or of its host.
///
/// # Errors
/// The database's.
pub async fn replace<C: ConnectionTrait>(
    db: &C,
    id: &str,
    sha256: &str,
    role: Role,
    name: &str,
    host: Option<HostId>,
) -> Result<(), Error> {
    let host = host.map(|id| id.to_string());
    match &host {
        Some(host) => {
            let sql = "DELETE FROM tokens WHERE host_id = $1";
            execute(db, "replace a token", sql, vec![host.clone().into()]).await?;
        }
        None => {
            let sql = "DELETE FROM tokens WHERE role = $1 AND name = $2 AND host_id IS NULL";
            let values = vec![role.as_str().into(), name.into()];
            execute(db, "replace a token", sql, values).await?;
        }
    }
    execute(
        db,
        "store a token",
        "INSERT INTO tokens (id, role, name, host_id, sha256, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        vec![
            id.into(),
            role.as_str().into(),
            name.into(),
            host.into(),
            sha256.into(),
            now().into(),
        ],
    )
    .await
    .map(drop)
}
