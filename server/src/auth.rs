//! Who calls. A token is `rsp-PUBLIC-SECRET`; the public part finds its row, and
//! the sha256 of the whole is compared in constant time. A few tokens are made at
//! the first start and left in files that only their owner can read; with the
//! admin's, others are made through the API.
//!
//! A *name* is a person: two tokens of one name can't release what one of them
//! uploaded.

use crate::{
    db::{self, Db, tokens},
    error::Failure,
    store::sha256_hex,
};
use anyhow::Context;
use axum::http::{HeaderMap, header};
use resplice_api::{HostId, Role, Token};
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
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
    pub host: Option<HostId>,
}

/// Where the roles' tokens lie.
#[derive(Debug, Clone)]
pub struct TokenFiles(pub Vec<(Role, PathBuf)>);

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

/// Finds out who calls.
///
/// # Errors
/// 401 without a token or with one that is not known.
pub async fn authenticate(db: &Db, headers: &HeaderMap) -> Result<Caller, Failure> {
    let refused = || {
        Failure::unauthenticated(
            "the request needs a header `Authorization: Bearer TOKEN` with a token of this server",
        )
    };
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|text| Token::new(text).ok())
        .ok_or_else(refused)?;
    let id = token.secret().split('-').nth(1).unwrap_or_default();
    let Some(row) = tokens::find(db, id).await? else {
        return Err(refused());
    };
    let given = sha256_hex(token.secret().as_bytes());
    if !bool::from(given.as_bytes().ct_eq(row.sha256.as_bytes())) {
        return Err(refused());
    }
    if row.revoked_at.is_some() {
        return Err(Failure::unauthenticated("the token was revoked"));
    }
    if row.expires_at.is_some_and(|end| end <= db::now()) {
        return Err(Failure::unauthenticated("the token has expired"));
    }
    // When a host was seen is noted with the host.
    if row.host_id.is_none() {
        tokens::used(db, &row).await?;
    }
    let operation = "read a token";
    let host = row.host_id.as_deref();
    Ok(Caller {
        roles: vec![db::parse(operation, &row.role)?],
        host: host.map(|id| db::parse(operation, id)).transpose()?,
        token: row.id,
        name: row.name,
    })
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
            write_secret(&path, minted.token.secret())?;
            tokens::replace(db, &minted.row(role, role.as_str())).await?;
            tracing::info!(%role, file = %path.display(), "made a token");
        }
        files.push((role, path));
    }
    Ok(TokenFiles(files))
}

/// Writes a secret to a file of mode 0600, in place of what was there.
///
/// # Errors
/// If it can't be written.
pub fn write_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    let error = || format!("can't write the token file {}", path.display());
    let partial = path.with_extension("new");
    let _ = std::fs::remove_file(&partial);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .with_context(error)?;
    writeln!(file, "{secret}").with_context(error)?;
    file.sync_all().with_context(error)?;
    std::fs::rename(&partial, path).with_context(error)
}
