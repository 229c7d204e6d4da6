//! Accounts of people. A name is never given to somebody else, so rows stay.

use super::{Db, Error, begin, commit, dialect, execute, json, now, row, rows, time, to_json};
use resplice_api::{Role, User};
use sea_orm::{ConnectionTrait, FromQueryResult};

const COLUMNS: &str =
    "name, roles, password, must_change, created_by, created_at, disabled_at, last_sign_in_at";

/// An account's row.
#[derive(Debug, Clone, FromQueryResult)]
pub struct UserRow {
    name: String,
    roles: String,
    /// The password's argon2 hash, in PHC form.
    pub password: String,
    must_change: i64,
    created_by: Option<String>,
    created_at: i64,
    disabled_at: Option<i64>,
    last_sign_in_at: Option<i64>,
}

impl UserRow {
    /// What may be shown of it.
    ///
    /// # Errors
    /// If the row is not what this program writes.
    pub fn read(self) -> Result<User, Error> {
        let operation = "read an account";
        let when = |micros: Option<i64>| micros.map(|m| time(operation, m)).transpose();
        Ok(User {
            roles: json(operation, &self.roles)?,
            created_at: time(operation, self.created_at)?,
            disabled_at: when(self.disabled_at)?,
            last_sign_in_at: when(self.last_sign_in_at)?,
            must_change_password: self.must_change != 0,
            name: self.name,
            created_by: self.created_by,
            identities: Vec::new(),
        })
    }
}

/// Finds an account.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, name: &str) -> Result<Option<UserRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE name = $1");
    row(db, "look up an account", &sql, vec![name.into()]).await
}

/// A page of the accounts, by name.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C, limit: u64, after: &str) -> Result<Vec<User>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE name > $1 ORDER BY name LIMIT $2");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found: Vec<UserRow> = rows(
        db,
        "list the accounts",
        &sql,
        vec![after.into(), limit.into()],
    )
    .await?;
    found.into_iter().map(UserRow::read).collect()
}

/// Makes an account with a password that has to be changed; false if the name is
/// taken.
///
/// # Errors
/// The database's.
pub async fn create<C: ConnectionTrait>(
    db: &C,
    name: &str,
    roles: &[Role],
    password: &str,
    created_by: Option<&str>,
) -> Result<bool, Error> {
    let made = execute(
        db,
        "make an account",
        "INSERT INTO users (name, roles, password, must_change, created_by, created_at)
         VALUES ($1, $2, $3, 1, $4, $5) ON CONFLICT (name) DO NOTHING",
        vec![
            name.into(),
            to_json(&roles)?.into(),
            password.into(),
            created_by.into(),
            now().into(),
        ],
    )
    .await?;
    Ok(made == 1)
}

/// Whether this is the only open account of an admin. It stays so until the end of the
/// transaction: whoever else asks has to wait.
///
/// # Errors
/// The database's.
pub async fn is_last_admin<C: ConnectionTrait>(db: &C, name: &str) -> Result<bool, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        name: String,
    }
    let sql = format!(
        "SELECT name FROM users WHERE disabled_at IS NULL AND roles LIKE '%\"admin\"%'
         ORDER BY name{}",
        dialect::of(db.get_database_backend()).locked()
    );
    let admins: Vec<Row> = rows(db, "look for other admins", &sql, Vec::new()).await?;
    Ok(admins.len() == 1 && admins[0].name == name)
}

/// Changes what the person may do.
///
/// # Errors
/// The database's.
pub async fn set_roles<C: ConnectionTrait>(
    db: &C,
    name: &str,
    roles: &[Role],
) -> Result<(), Error> {
    let sql = "UPDATE users SET roles = $2 WHERE name = $1";
    let values = vec![name.into(), to_json(&roles)?.into()];
    execute(db, "change an account", sql, values)
        .await
        .map(drop)
}

/// Closes an account, or opens it again. Closing ends its sessions and revokes
/// the tokens that an admin made in its name.
///
/// # Errors
/// The database's.
pub async fn set_disabled<C: ConnectionTrait>(
    db: &C,
    name: &str,
    disabled: bool,
) -> Result<(), Error> {
    let operation = "change an account";
    if !disabled {
        let sql = "UPDATE users SET disabled_at = NULL WHERE name = $1";
        return execute(db, operation, sql, vec![name.into()])
            .await
            .map(drop);
    }
    let moment = now();
    for sql in [
        "UPDATE users SET disabled_at = $2 WHERE name = $1 AND disabled_at IS NULL",
        "UPDATE tokens SET revoked_at = $2
         WHERE name = $1 AND created_by IS NOT NULL AND host_id IS NULL AND revoked_at IS NULL",
    ] {
        execute(db, operation, sql, vec![name.into(), moment.into()]).await?;
    }
    super::sessions::end_all(db, name, None).await
}

/// Gives an account another password, in place of `old` if that is named, and
/// ends its sessions but the one that is kept; false if it has another by now.
///
/// # Errors
/// The database's.
pub async fn set_password(
    db: &Db,
    name: &str,
    old: Option<&str>,
    new: &str,
    must_change: bool,
    keep: Option<&str>,
) -> Result<bool, Error> {
    let transaction = begin(db).await?;
    let changed = execute(
        &transaction,
        "change a password",
        "UPDATE users SET password = $2, must_change = $3
         WHERE name = $1 AND ($4 = '' OR password = $4)",
        vec![
            name.into(),
            new.into(),
            i64::from(must_change).into(),
            old.unwrap_or_default().into(),
        ],
    )
    .await?;
    super::sessions::end_all(&transaction, name, keep).await?;
    commit(transaction).await?;
    Ok(changed == 1)
}
