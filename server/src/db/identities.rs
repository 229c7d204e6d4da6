//! Who an identity provider's people are here.

use super::{
    Db, Error, audit, begin, commit, execute, now, placeholders, row, rows, sessions, time,
    to_json, users,
};
use resplice_api::{LinkedIdentity, Role, User};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// How long somebody may take at the provider, in microseconds.
const PATIENCE_MICROS: i64 = 600 * 1_000_000;

/// Somebody as the provider names them, for good.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// The person there.
    pub subject: &'a str,
}

/// Notes that a browser was sent to the provider, by digests of its state and of
/// what only that browser holds.
///
/// # Errors
/// The database's.
pub async fn begin_sign_in<C: ConnectionTrait>(
    db: &C,
    state: &str,
    browser: &str,
    user: Option<&str>,
) -> Result<(), Error> {
    let operation = "begin a sign-in";
    let sql = "DELETE FROM oidc_sign_ins WHERE expires_at <= $1";
    execute(db, operation, sql, vec![now().into()]).await?;
    let sql = "INSERT INTO oidc_sign_ins (state, browser, user_name, expires_at)
               VALUES ($1, $2, $3, $4)";
    let end = now().saturating_add(PATIENCE_MICROS);
    let values = vec![state.into(), browser.into(), user.into(), end.into()];
    execute(db, operation, sql, values).await.map(drop)
}

/// Whose account it is for, if the sign-in was begun by somebody signed in.
#[derive(Debug, Clone, FromQueryResult)]
pub struct Begun {
    /// The account's name.
    pub user_name: Option<String>,
}

/// Ends what this browser began with this state; none if it did not, took too
/// long, or ended it before.
///
/// # Errors
/// The database's.
pub async fn end_sign_in<C: ConnectionTrait>(
    db: &C,
    state: &str,
    browser: &str,
) -> Result<Option<Begun>, Error> {
    let sql = "DELETE FROM oidc_sign_ins WHERE state = $1 AND browser = $2 AND expires_at > $3
               RETURNING user_name";
    let values = vec![state.into(), browser.into(), now().into()];
    row(db, "end a sign-in", sql, values).await
}

/// The account of an identity.
///
/// # Errors
/// The database's.
pub async fn account<C: ConnectionTrait>(
    db: &C,
    identity: Identity<'_>,
) -> Result<Option<String>, Error> {
    #[derive(FromQueryResult)]
    struct Found {
        user_name: String,
    }
    let sql = "SELECT user_name FROM identities WHERE issuer = $1 AND subject = $2";
    let values = vec![identity.issuer.into(), identity.subject.into()];
    let found: Option<Found> = row(db, "look up an identity", sql, values).await?;
    Ok(found.map(|found| found.user_name))
}

/// Lets an identity be an account's; false if it is another one's.
///
/// # Errors
/// The database's.
pub async fn link(db: &Db, identity: Identity<'_>, name: &str) -> Result<bool, Error> {
    let transaction = begin(db).await?;
    let made = insert(&transaction, identity, name).await?;
    if made {
        note(&transaction, name, "identity.link", identity.issuer).await?;
    }
    commit(transaction).await?;
    Ok(made || account(db, identity).await?.as_deref() == Some(name))
}

/// Accounts with the identities that sign in to them.
///
/// # Errors
/// The database's.
pub async fn with_identities<C: ConnectionTrait>(
    db: &C,
    mut users: Vec<User>,
) -> Result<Vec<User>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        issuer: String,
        subject: String,
        user_name: String,
        created_at: i64,
    }
    if users.is_empty() {
        return Ok(users);
    }
    let operation = "list identities";
    let sql = format!(
        "SELECT issuer, subject, user_name, created_at FROM identities
         WHERE user_name IN ({}) ORDER BY created_at, issuer, subject",
        placeholders(1, users.len())
    );
    let values = users.iter().map(|user| user.name.as_str().into()).collect();
    let found: Vec<Row> = rows(db, operation, &sql, values).await?;
    for row in found {
        if let Some(user) = users.iter_mut().find(|user| user.name == row.user_name) {
            user.identities.push(LinkedIdentity {
                issuer: row.issuer,
                subject: row.subject,
                linked_at: time(operation, row.created_at)?,
            });
        }
    }
    Ok(users)
}

/// Takes an account's identities from it, those that are about to be linked as well,
/// and ends its sessions.
///
/// # Errors
/// The database's.
pub async fn unlink(db: &Db, name: &str) -> Result<(), Error> {
    let transaction = begin(db).await?;
    for sql in [
        "DELETE FROM identities WHERE user_name = $1",
        "DELETE FROM oidc_sign_ins WHERE user_name = $1",
    ] {
        execute(&transaction, "unlink identities", sql, vec![name.into()]).await?;
    }
    sessions::end_all(&transaction, name, None).await?;
    commit(transaction).await
}

/// Makes an account for an identity, with a password that nobody knows; false if
/// an account or a token has the name already.
///
/// # Errors
/// The database's.
pub async fn create_account(
    db: &Db,
    identity: Identity<'_>,
    name: &str,
    roles: &[Role],
    password: &str,
) -> Result<bool, Error> {
    let transaction = begin(db).await?;
    let made = execute(
        &transaction,
        "make an account",
        "INSERT INTO users (name, roles, password, must_change, created_at)
         SELECT $1, $2, $3, CAST(0 AS BIGINT), CAST($4 AS BIGINT)
         WHERE NOT EXISTS (SELECT 1 FROM tokens WHERE name = $1)
         ON CONFLICT (name) DO NOTHING",
        vec![
            name.into(),
            to_json(&roles)?.into(),
            password.into(),
            now().into(),
        ],
    )
    .await?;
    // A second browser of the same person may have been quicker.
    if made == 0 || !insert(&transaction, identity, name).await? {
        return Ok(false);
    }
    note(&transaction, name, "user.create", identity.issuer).await?;
    commit(transaction).await?;
    Ok(true)
}

/// Gives an account the roles that the provider names, if it has others. The last open
/// account of an admin stays one: who else could make another?
///
/// # Errors
/// The database's.
pub async fn set_roles(db: &Db, name: &str, roles: &[Role]) -> Result<(), Error> {
    let transaction = begin(db).await?;
    let mut roles = roles.to_vec();
    if !roles.contains(&Role::Admin) && users::is_last_admin(&transaction, name).await? {
        tracing::warn!(
            name,
            "the last admin stays one, whatever the identity provider says"
        );
        roles.push(Role::Admin);
    }
    let changed = execute(
        &transaction,
        "change an account",
        "UPDATE users SET roles = $2 WHERE name = $1 AND roles <> $2",
        vec![name.into(), to_json(&roles)?.into()],
    )
    .await?;
    if changed > 0 {
        note(&transaction, name, "user.change", &to_json(&roles)?).await?;
    }
    commit(transaction).await
}

async fn insert<C: ConnectionTrait>(
    db: &C,
    identity: Identity<'_>,
    name: &str,
) -> Result<bool, Error> {
    let sql = "INSERT INTO identities (issuer, subject, user_name, created_at)
               VALUES ($1, $2, $3, $4) ON CONFLICT (issuer, subject) DO NOTHING";
    let values = vec![
        identity.issuer.into(),
        identity.subject.into(),
        name.into(),
        now().into(),
    ];
    Ok(execute(db, "link an identity", sql, values).await? == 1)
}

async fn note<C: ConnectionTrait>(
    db: &C,
    name: &str,
    action: &'static str,
    object: &str,
) -> Result<(), Error> {
    let entry = audit::Entry {
        actor: name,
        role: "account",
        action,
        object,
    };
    audit::within(db, &entry).await.map(drop)
}
