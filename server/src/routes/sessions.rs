//! Signing in and out, and the own password.

use super::body::{check_person, json};
use crate::{
    App,
    auth::{self, Caller},
    db,
    error::Failure,
    password, rate, session,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use resplice_api::{BASE_PATH, ChangePassword, Role, SignIn, Whoami};
use std::net::IpAddr;

pub(super) async fn sign_in(
    State(app): State<App>,
    Extension(auth::Address(address)): Extension<auth::Address>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    session::check_origin(&method, &headers)?;
    let sign_in: SignIn = json(&body)?;
    let name = &sign_in.name;
    check_person("account's name", name)?;
    take_attempt(&app, name, address)?;
    let user = db::users::find(&app.db, name).await?;
    let user = match user {
        Some(user) => Some((user.password.clone(), user.read()?)),
        None => None,
    };
    let user = user.filter(|(_, user)| user.disabled_at.is_none());
    let hash = user.as_ref().map(|(hash, _)| hash.as_str());
    let is_right = app.passwords.verify(&sign_in.password, hash).await?;
    let Some((_, user)) = user.filter(|_| is_right) else {
        return Err(refuse(&app, name, address).await?);
    };
    app.sign_ins.by_account.give_back(name.clone());
    let minted = auth::mint().map_err(Failure::internal("begin a session"))?;
    db::sessions::begin_session(&app.db, &minted.id, &minted.sha256, name).await?;
    tracing::info!(name, %address, "signed in");
    let whoami = Whoami {
        role: user.roles.first().copied().unwrap_or(Role::Vendor),
        roles: user.roles,
        name: user.name,
        must_change_password: user.must_change_password,
    };
    let answer = [
        (
            header::LOCATION,
            format!("{BASE_PATH}/sessions/current").parse(),
        ),
        (header::CACHE_CONTROL, "no-store".parse()),
        (
            header::SET_COOKIE,
            Ok(session::set_cookie(&headers, minted.token.secret())?),
        ),
    ];
    let mut response = (StatusCode::CREATED, Json(whoami)).into_response();
    for (name, value) in answer {
        let value = value.map_err(Failure::internal("begin a session"))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// One more attempt of this account, and from this address.
fn take_attempt(app: &App, name: &str, address: IpAddr) -> Result<(), Failure> {
    let by_address = app.sign_ins.by_address.take(rate::network(address));
    by_address
        .and_then(|()| app.sign_ins.by_account.take(name.to_owned()))
        .map_err(|pause| {
            tracing::warn!(name, %address, "too many attempts to sign in");
            Failure::too_many(pause, "too many attempts to sign in; wait, then try again")
        })
}

/// The answer is the same, and as slow, whether the account is there or not.
async fn refuse(app: &App, name: &str, address: IpAddr) -> Result<Failure, Failure> {
    tracing::warn!(name, %address, "wrong name or password");
    let entry = db::audit::Entry {
        actor: name,
        role: "account",
        action: "session.refuse",
        object: &address.to_string(),
    };
    db::audit::within(&app.db, &entry).await?;
    Ok(Failure::unauthenticated(
        "the name or the password is wrong",
    ))
}

pub(super) async fn sign_out(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Some(id) = caller.session else {
        return Err(no_session(
            "a token has no session to end; an admin can revoke it",
        ));
    };
    db::sessions::end(&app.db, &id).await?;
    let cookie = [(header::SET_COOKIE, session::set_cookie(&headers, "")?)];
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}

fn no_session(detail: &str) -> Failure {
    Failure::conflict("no-session", detail)
}

pub(super) async fn change_password(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(auth::Address(address)): Extension<auth::Address>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    let change: ChangePassword = json(&body)?;
    let Some(session) = caller.session else {
        return Err(no_session(
            "a token has no password; sign in with the account's",
        ));
    };
    let name = &caller.name;
    password::check(name, &change.new)?;
    if change.new == change.old {
        return Err(Failure::invalid("the new password must be another one"));
    }
    take_attempt(&app, name, address)?;
    let user = db::users::find(&app.db, name).await?;
    let user = user.ok_or_else(|| Failure::not_found("account", name))?;
    if !app
        .passwords
        .verify(&change.old, Some(&user.password))
        .await?
    {
        return Err(Failure::invalid("the old password is wrong"));
    }
    app.sign_ins.by_account.give_back(name.clone());
    let hash = app.passwords.hash(&change.new).await?;
    let old = Some(user.password.as_str());
    if !db::users::set_password(&app.db, name, old, &hash, false, Some(&session)).await? {
        return Err(Failure::conflict(
            "password-changed",
            "the password was changed meanwhile",
        ));
    }
    if name == auth::FIRST_ADMIN {
        auth::forget_first_password(&app.config.tokens());
    }
    tracing::info!(name, "changed the password");
    Ok(StatusCode::NO_CONTENT)
}
