//! Accounts, which admins look after.

use super::body::{check_person, json, page_limit};
use crate::{
    App,
    auth::{Caller, PERSONS},
    db,
    error::Failure,
    password,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use resplice_api::{BASE_PATH, ChangeUser, NewUser, OneTimePassword, Role, User, Users};
use serde::Deserialize;

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Failure> {
    let mut new: NewUser = json(&body)?;
    check_person("account's name", &new.name)?;
    check_roles(&mut new.roles)?;
    let password = password::one_time().map_err(Failure::internal("make a password"))?;
    let hash = app.passwords.hash(&password).await?;
    let by = Some(caller.name.as_str());
    if !db::users::create(&app.db, &new.name, &new.roles, &hash, by).await? {
        return Err(Failure::conflict(
            "user-exists",
            format!(
                "there is an account {}, and names are not given twice",
                new.name
            ),
        ));
    }
    tracing::info!(name = new.name, by = caller.name, "made an account");
    let location = format!("{BASE_PATH}/users/{}", new.name);
    let user = load(&app, &new.name).await?;
    let headers = [
        (header::LOCATION, location.as_str()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let answer = OneTimePassword { user, password };
    Ok((StatusCode::CREATED, headers, Json(answer)).into_response())
}

/// Roles that a person can have, each once.
fn check_roles(roles: &mut Vec<Role>) -> Result<(), Failure> {
    if roles.is_empty() {
        return Err(Failure::invalid("name at least one role"));
    }
    if let Some(role) = roles.iter().find(|role| !PERSONS.contains(role)) {
        return Err(Failure::invalid(format!(
            "{role} is no role of a person; make a token for it"
        )));
    }
    let wanted = std::mem::take(roles);
    roles.extend(PERSONS.into_iter().filter(|role| wanted.contains(role)));
    Ok(())
}

/// Query of `GET /users`.
#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u64>,
    #[serde(default)]
    after: String,
}

pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Json<Users>, Failure> {
    let limit = page_limit(page.limit)?;
    let mut users = db::users::list(&app.db, limit + 1, &page.after).await?;
    let more = users.len() as u64 > limit;
    users.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let users = db::identities::with_identities(&app.db, users).await?;
    let last = users.last().filter(|_| more);
    let next = last.map(|user| user.name.clone());
    Ok(Json(Users { users, next }))
}

pub(super) async fn find(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<User>, Failure> {
    Ok(Json(load(&app, &name).await?))
}

pub(super) async fn change(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<User>, Failure> {
    let mut change: ChangeUser = json(&body)?;
    if let Some(roles) = &mut change.roles {
        check_roles(roles)?;
    }
    load(&app, &name).await?;
    let no_admin = |roles: &Vec<Role>| !roles.contains(&Role::Admin);
    let locks_out = change.disabled == Some(true) || change.roles.as_ref().is_some_and(no_admin);
    if name == caller.name && locks_out {
        return Err(Failure::conflict(
            "own-account",
            "an admin can't lock himself out; another admin can",
        ));
    }
    let transaction = db::begin(&app.db).await?;
    if locks_out && db::users::is_last_admin(&transaction, &name).await? {
        return Err(Failure::conflict(
            "last-admin",
            "the last admin stays one; make another account an admin first",
        ));
    }
    if let Some(roles) = &change.roles {
        db::users::set_roles(&transaction, &name, roles).await?;
    }
    if let Some(disabled) = change.disabled {
        db::users::set_disabled(&transaction, &name, disabled).await?;
    }
    db::commit(transaction).await?;
    tracing::info!(name, by = caller.name, ?change, "changed an account");
    Ok(Json(load(&app, &name).await?))
}

pub(super) async fn reset_password(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    load(&app, &name).await?;
    let password = password::one_time().map_err(Failure::internal("make a password"))?;
    let hash = app.passwords.hash(&password).await?;
    db::users::set_password(&app.db, &name, None, &hash, true, None).await?;
    tracing::info!(
        name,
        by = caller.name,
        "gave an account a one-time password"
    );
    let user = load(&app, &name).await?;
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((headers, Json(OneTimePassword { user, password })).into_response())
}

pub(super) async fn unlink(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<User>, Failure> {
    let user = load(&app, &name).await?;
    if user.identities.is_empty() {
        let detail = format!("nobody signs in to {name} by way of an identity provider");
        return Err(Failure::conflict("not-linked", detail));
    }
    db::identities::unlink(&app.db, &name).await?;
    tracing::info!(name, by = caller.name, "unlinked an account's identities");
    Ok(Json(load(&app, &name).await?))
}

async fn load(app: &App, name: &str) -> Result<User, Failure> {
    let found = db::users::find(&app.db, name).await?;
    let found = found.map(db::users::UserRow::read).transpose()?;
    let found = db::identities::with_identities(&app.db, found.into_iter().collect()).await?;
    let found = found.into_iter().next();
    found.ok_or_else(|| Failure::not_found("account", name))
}
