//! Tokens: their digests, never they themselves.

use super::{Error, execute, now, parse, row, rows, time};
use jiff::Timestamp;
use resplice_api::{HostId, Role, TokenInfo};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// Uses closer together than this do not write when a token was last used.
const USED_RESOLUTION_MICROS: i64 = 60_000_000;

pub(super) const COLUMNS: &str =
    "id, role, name, host_id, sha256, created_by, created_at, expires_at,
    last_used_at, revoked_at, uses_left";

/// A known token.
#[derive(Debug, Clone, Default, FromQueryResult)]
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
    /// When it ends.
    pub expires_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// How many more hosts may enrol with it.
    pub uses_left: Option<i64>,
    created_by: Option<String>,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl TokenRow {
    /// What may be shown of it.
    ///
    /// # Errors
    /// If the row is not what this program writes.
    pub fn read(self) -> Result<TokenInfo, Error> {
        let operation = "read a token";
        let when = |micros: Option<i64>| micros.map(|m| time(operation, m)).transpose();
        Ok(TokenInfo {
            role: parse(operation, &self.role)?,
            created_at: time(operation, self.created_at)?,
            expires_at: when(self.expires_at)?,
            last_used_at: when(self.last_used_at)?,
            revoked_at: when(self.revoked_at)?,
            uses_left: self.uses_left.map(|n| u32::try_from(n).unwrap_or(0)),
            id: self.id,
            name: self.name,
            created_by: self.created_by,
        })
    }
}

/// Finds a token by its public part.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, id: &str) -> Result<Option<TokenRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE id = $1");
    row(db, "look up a token", &sql, vec![id.into()]).await
}

/// Whether a role other than host has a token of this name, revoked or not.
///
/// # Errors
/// The database's.
pub async fn exists<C: ConnectionTrait>(db: &C, role: Role, name: &str) -> Result<bool, Error> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE role = $1 AND name = $2 LIMIT 1");
    let values = vec![role.as_str().into(), name.into()];
    let found: Option<TokenRow> = row(db, "look up a token", &sql, values).await?;
    Ok(found.is_some())
}

/// A page of the tokens by id, without those of hosts.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    limit: u64,
    after: &str,
) -> Result<Vec<TokenInfo>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens WHERE host_id IS NULL AND id > $1 ORDER BY id LIMIT $2"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = vec![after.into(), limit.into()];
    let found: Vec<TokenRow> = rows(db, "list the tokens", &sql, values).await?;
    found.into_iter().map(TokenRow::read).collect()
}

/// A token to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewRow<'a> {
    /// Its public part.
    pub id: &'a str,
    /// sha256 of the whole in hex.
    pub sha256: &'a str,
    /// What its holder may do.
    pub role: Role,
    /// Its name.
    pub name: &'a str,
    /// The host that it belongs to.
    pub host: Option<HostId>,
    /// Name of who makes it.
    pub created_by: Option<&'a str>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// How many hosts may enrol with it.
    pub uses: Option<u32>,
}

/// Stores a token beside those that are there.
///
/// # Errors
/// The database's.
pub async fn add<C: ConnectionTrait>(db: &C, new: &NewRow<'_>) -> Result<(), Error> {
    execute(
        db,
        "store a token",
        "INSERT INTO tokens (id, role, name, host_id, sha256, created_at, created_by, expires_at,
             uses_left)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        vec![
            new.id.into(),
            new.role.as_str().into(),
            new.name.into(),
            new.host.map(|id| id.to_string()).into(),
            new.sha256.into(),
            now().into(),
            new.created_by.into(),
            new.expires_at.map(Timestamp::as_microsecond).into(),
            new.uses.map(i64::from).into(),
        ],
    )
    .await
    .map(drop)
}

/// Takes one use from a token; false if it has none left.
///
/// # Errors
/// The database's.
pub async fn spend<C: ConnectionTrait>(db: &C, id: &str) -> Result<bool, Error> {
    let sql = "UPDATE tokens SET uses_left = uses_left - 1
        WHERE id = $1 AND (uses_left IS NULL OR uses_left > 0)";
    Ok(execute(db, "use a token", sql, vec![id.into()]).await? == 1)
}

/// Makes a token the only one of its host, or that the server itself made for
/// its role.
///
/// # Errors
/// The database's.
pub async fn replace<C: ConnectionTrait>(db: &C, new: &NewRow<'_>) -> Result<(), Error> {
    match new.host {
        Some(host) => {
            let sql = "DELETE FROM tokens WHERE host_id = $1";
            execute(db, "replace a token", sql, vec![host.to_string().into()]).await?;
        }
        None => {
            let sql = "DELETE FROM tokens
                WHERE role = $1 AND name = $2 AND host_id IS NULL AND created_by IS NULL";
            let values = vec![new.role.as_str().into(), new.name.into()];
            execute(db, "replace a token", sql, values).await?;
        }
    }
    add(db, new).await
}

/// Revokes a token; false if there is none that still holds. Those of hosts go
/// with their hosts.
///
/// # Errors
/// The database's.
pub async fn revoke<C: ConnectionTrait>(db: &C, id: &str) -> Result<bool, Error> {
    let changed = execute(
        db,
        "revoke a token",
        "UPDATE tokens SET revoked_at = $2
         WHERE id = $1 AND revoked_at IS NULL AND host_id IS NULL",
        vec![id.into(), now().into()],
    )
    .await?;
    Ok(changed == 1)
}

/// Notes that a token was used, at most once a minute.
///
/// # Errors
/// The database's.
pub async fn used<C: ConnectionTrait>(db: &C, token: &TokenRow) -> Result<(), Error> {
    let moment = now();
    let known = token.last_used_at.unwrap_or_default();
    if moment.saturating_sub(known) < USED_RESOLUTION_MICROS {
        return Ok(());
    }
    let sql = "UPDATE tokens SET last_used_at = $2 WHERE id = $1";
    let values = vec![token.id.as_str().into(), moment.into()];
    execute(db, "note a token's use", sql, values)
        .await
        .map(drop)
}
