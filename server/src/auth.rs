//! Who calls. A token is `rsp-PUBLIC-SECRET`; the public part finds its row, and
//! the sha256 of the whole is compared in constant time. A few tokens are made at
//! the first start and left in files that only their owner can read; with the
//! admin's, others are made through the API.
//!
//! A *name* is a person: two tokens of one name can't release what one of them
//! uploaded.

use crate::{
    App,
    db::{
        self, Db,
        callers::{Known, Polling},
        sessions, tokens, users,
    },
    error::Failure,
    password::{self, Passwords},
    rate::{Buckets, Rate},
    secret_file, session,
    store::sha256_hex,
};
use axum::http::{HeaderMap, Method, header};
use resplice_api::{Password, Role, Token};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use subtle::ConstantTimeEq;

/// Roles that get a token at the first start.
const FILE_ROLES: [Role; 5] = [
    Role::Admin,
    Role::Team,
    Role::Engineer,
    Role::Worker,
    Role::Enrol,
];

/// Roles that a person can have.
pub(crate) const PERSONS: [Role; 4] = [Role::Team, Role::Engineer, Role::Vendor, Role::Admin];

/// Whoever makes a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Public part of the token: the caller's identity.
    pub token: String,
    /// What the caller may do; at least one.
    pub roles: Vec<Role>,
    /// The person, or machine: the name in releases and in the audit log.
    pub name: String,
    /// The host, if it is one.
    pub host: Option<Polling>,
    /// Public part of the session, if a person has signed in.
    pub session: Option<String>,
    /// Whether the person has to change the password first.
    pub must_change_password: bool,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub IpAddr);

/// How often people may try to sign in.
#[derive(Debug)]
pub struct SignIns {
    /// By account, whether it is there or not.
    pub by_account: Buckets<String>,
    /// By network.
    pub by_address: Buckets<IpAddr>,
}

impl Default for SignIns {
    fn default() -> Self {
        let rate = |burst, seconds| Rate {
            burst,
            every: Duration::from_secs(seconds),
        };
        Self {
            by_account: Buckets::new(rate(10, 30)),
            by_address: Buckets::new(rate(60, 5)),
        }
    }
}

/// Where the roles' tokens lie.
#[derive(Debug, Clone)]
pub struct TokenFiles {
    /// The file of each role.
    pub files: Vec<(Role, PathBuf)>,
    /// The first admin's password, if it was made just now, and its file.
    pub admin_password: Option<(Password, PathBuf)>,
}

/// Name of the account that the first start makes.
pub const FIRST_ADMIN: &str = "admin";

/// A token that was just made.
pub(crate) struct Minted {
    pub(crate) token: Token,
    pub(crate) id: String,
    pub(crate) sha256: String,
}

impl Minted {
    /// Its row, to be filled up.
    pub(crate) fn row<'a>(&'a self, role: Role, name: &'a str) -> tokens::NewRow<'a> {
        tokens::NewRow {
            id: &self.id,
            sha256: &self.sha256,
            role,
            name,
            host: None,
            created_by: None,
            expires_at: None,
            uses: None,
        }
    }
}

/// Makes a token.
pub(crate) fn mint() -> anyhow::Result<Minted> {
    let mut random = [0; 40];
    getrandom::fill(&mut random)
        .map_err(|error| anyhow::anyhow!("the system's random generator failed: {error}"))?;
    let id = hex::encode(&random[..8]);
    let text = format!("rsp-{id}-{}", hex::encode(&random[8..]));
    Ok(Minted {
        sha256: sha256_hex(text.as_bytes()),
        token: Token::new(&text)?,
        id,
    })
}

/// Finds out who calls, by token or by session.
///
/// # Errors
/// 401 without either or with one that is not known; 403 for a change with a
/// session that another site may have sent.
pub async fn authenticate(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, Failure> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value
            .to_str()
            .ok()
            .and_then(|value| value.strip_prefix("Bearer "));
        return by_token(app, token.unwrap_or_default()).await;
    }
    match session::from_cookie(headers) {
        Some(secret) => by_session(&app.db, secret, method, headers).await,
        None => Err(refused()),
    }
}

fn refused() -> Failure {
    Failure::unauthenticated(
        "the request needs a header `Authorization: Bearer TOKEN` with a token of this server, or a session",
    )
}

/// The public part of a token or of a session's secret.
fn public_part(secret: &str) -> &str {
    secret.split('-').nth(1).unwrap_or_default()
}

fn is_secret(given: &str, sha256: &str) -> bool {
    let given = sha256_hex(given.as_bytes());
    bool::from(given.as_bytes().ct_eq(sha256.as_bytes()))
}

async fn by_session(
    db: &Db,
    secret: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, Failure> {
    let ended = || Failure::unauthenticated("the session has ended; sign in again");
    let row = sessions::find(db, public_part(secret)).await?;
    let row = row
        .filter(|row| is_secret(secret, &row.sha256))
        .ok_or_else(ended)?;
    session::check_origin(method, headers)?;
    sessions::used(db, &row).await?;
    Ok(Caller {
        roles: db::json("read an account", &row.roles)?,
        token: row.id.clone(),
        name: row.user_name,
        host: None,
        session: Some(row.id),
        must_change_password: row.must_change != 0,
    })
}

async fn by_token(app: &App, secret: &str) -> Result<Caller, Failure> {
    let known = app.polls.token(public_part(secret)).await?;
    let Known {
        token: row, host, ..
    } = known
        .filter(|known| is_secret(secret, &known.token.sha256))
        .ok_or_else(refused)?;
    if row.revoked_at.is_some() {
        return Err(Failure::unauthenticated("the token was revoked"));
    }
    if row.expires_at.is_some_and(|end| end <= db::now()) {
        return Err(Failure::unauthenticated("the token has expired"));
    }
    if row.uses_left == Some(0) {
        return Err(spent());
    }
    // When a host was seen is noted with the host.
    if row.host_id.is_none() {
        tokens::used(&app.db, &row).await?;
    }
    let operation = "read a token";
    Ok(Caller {
        roles: vec![db::parse(operation, &row.role)?],
        host,
        token: row.id.clone(),
        name: row.name.clone(),
        session: None,
        must_change_password: false,
    })
}

pub(crate) fn spent() -> Failure {
    Failure::unauthenticated("as many hosts have enrolled with the token as may; get another one")
}

fn first_password(directory: &Path) -> PathBuf {
    directory.join(format!("{FIRST_ADMIN}.password"))
}

/// Makes the first admin, if there is no account, with a password that has to be
/// changed at the first sign-in and lies in a file until then.
///
/// # Errors
/// If the file or row can't be written.
pub(crate) async fn ensure_admin(
    db: &Db,
    passwords: &Passwords,
    directory: &Path,
) -> anyhow::Result<Option<(Password, PathBuf)>> {
    if !users::list(db, 1, "").await?.is_empty() {
        return Ok(None);
    }
    let file = first_password(directory);
    let password = password::one_time()?;
    let hash = passwords.hash(&password).await?;
    // Another server of the same database may have been first.
    if !users::create(db, FIRST_ADMIN, &[Role::Admin], &hash, None).await? {
        return Ok(None);
    }
    secret_file::write(&file, password.secret())?;
    tracing::info!(file = %file.display(), "made the account {FIRST_ADMIN}");
    Ok(Some((password, file)))
}

/// Removes the file of the first admin's password, which is good for nothing now.
pub(crate) fn forget_first_password(directory: &Path) {
    let file = first_password(directory);
    if let Err(error) = std::fs::remove_file(&file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "can't remove the first password");
    }
}

/// Makes the roles' tokens that are not there. A token whose file was removed is
/// replaced, and with that revoked; one that was revoked stays so.
///
/// # Errors
/// If a file or row can't be written.
pub(crate) async fn ensure_tokens(db: &Db, directory: &Path) -> anyhow::Result<TokenFiles> {
    crate::app::create_private_directory(directory)?;
    let mut files = Vec::new();
    for role in FILE_ROLES {
        let path = directory.join(format!("{role}.token"));
        if !(path.exists() && tokens::exists(db, role, role.as_str()).await?) {
            let minted = mint()?;
            secret_file::write(&path, minted.token.secret())?;
            tokens::replace(db, &minted.row(role, role.as_str())).await?;
            tracing::info!(%role, file = %path.display(), "made a token");
        }
        files.push((role, path));
    }
    Ok(TokenFiles {
        files,
        admin_password: None,
    })
}
