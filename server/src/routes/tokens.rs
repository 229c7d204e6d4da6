//! Tokens that an admin makes and revokes.

use super::body::{check_person, json, page_limit};
use crate::{App, auth, auth::Caller, db, error::Failure};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use resplice_api::{BASE_PATH, NewToken, NewTokenAnswer, Role, Tokens};
use serde::Deserialize;

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Failure> {
    let new: NewToken = json(&body)?;
    check_person("token's name", &new.name)?;
    if new.role == Role::Host {
        return Err(Failure::invalid(
            "a host gets its token by enrolling; make a token with the role enrol",
        ));
    }
    if new.expires_at.is_some_and(|end| end <= Timestamp::now()) {
        return Err(Failure::invalid("the token would have expired already"));
    }
    if new.uses.is_some() && new.role != Role::Enrol {
        return Err(Failure::invalid(
            "only a token with the role enrol is good for so many uses",
        ));
    }
    if new.uses == Some(0) {
        return Err(Failure::invalid("a token has at least one use"));
    }
    if let Some(user) = db::users::find(&app.db, &new.name).await?
        && user.read()?.disabled_at.is_some()
    {
        return Err(Failure::conflict(
            "user-disabled",
            format!("the account {} is closed; open it first", new.name),
        ));
    }
    let minted = auth::mint().map_err(Failure::internal("make a token"))?;
    let row = db::tokens::NewRow {
        created_by: Some(&caller.name),
        expires_at: new.expires_at,
        uses: new.uses,
        ..minted.row(new.role, &new.name)
    };
    db::tokens::add(&app.db, &row).await?;
    let stored = db::tokens::find(&app.db, &minted.id).await?;
    let stored = stored.ok_or_else(|| Failure::not_found("token", &minted.id))?;
    tracing::info!(token = minted.id, role = %new.role, name = new.name, by = caller.name, "made a token");
    let location = format!("{BASE_PATH}/tokens/{}", minted.id);
    let answer = NewTokenAnswer {
        info: stored.read()?,
        token: minted.token,
    };
    let headers = [
        (header::LOCATION, location.as_str()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((StatusCode::CREATED, headers, Json(answer)).into_response())
}

/// Query of `GET /tokens`.
#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u64>,
    #[serde(default)]
    after: String,
}

pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Json<Tokens>, Failure> {
    let limit = page_limit(page.limit)?;
    let mut tokens = db::tokens::list(&app.db, limit + 1, &page.after).await?;
    let more = tokens.len() as u64 > limit;
    tokens.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = tokens.last().filter(|_| more);
    let next = last.map(|token| token.id.clone());
    Ok(Json(Tokens { tokens, next }))
}

pub(super) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    if !db::tokens::revoke(&app.db, &id).await? {
        return Err(Failure::not_found("token in force with the id", id));
    }
    Ok(StatusCode::NO_CONTENT)
}
