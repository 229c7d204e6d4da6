//! How updates reach hosts: channels.

use super::{
    body::{check_text, json},
    updates::{load, word},
};
use crate::{
    App,
    auth::Caller,
    db::{
        hosts,
        promotions::{self, Outcome},
    },
    error::Failure,
    publish,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use resplice_api::{Host, HostId, NewPromotion, SetChannel, Update, UpdateId};

pub(super) async fn promote(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<UpdateId>,
    body: Bytes,
) -> Result<Json<Update>, Failure> {
    let new: NewPromotion = json(&body)?;
    check_text("comment", &new.comment)?;
    let word = word(&caller, &new.comment);
    match promotions::promote(&app.db, id, new.channel, word).await? {
        Outcome::Promoted => {
            tracing::info!(update = %id, channel = %new.channel, by = caller.name, "promoted");
            publish::now(&app).await;
            Ok(Json(load(&app, id).await?))
        }
        Outcome::Missing => Err(Failure::not_found("update", id)),
        Outcome::SamePerson => Err(Failure::forbidden(
            "whoever uploaded an update can't promote it: a second person must",
        )),
        Outcome::NotReleased => Err(Failure::conflict(
            "not-released",
            "the update is not released; release it into the channel",
        )),
        Outcome::Already(reached) => Err(Failure::conflict(
            "already-there",
            format!("the update has got to {reached} already, and none goes back"),
        )),
    }
}

pub(super) async fn set_channel(
    State(app): State<App>,
    Path(id): Path<HostId>,
    body: Bytes,
) -> Result<Json<Host>, Failure> {
    let new: SetChannel = json(&body)?;
    hosts::set_channel(&app.db, id, new.channel).await?;
    let host = hosts::find(&app.db, id).await?;
    Ok(Json(host.ok_or_else(|| Failure::not_found("host", id))?))
}
