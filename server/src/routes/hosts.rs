//! Hosts: enrolment, plans, reports.

use super::body::{check_key, check_steps, check_text, check_word, json, page_limit};
use crate::{
    App, auth,
    auth::Caller,
    db,
    db::{callers::Polling, host_list::Filter},
    error::Failure,
    fleet::SILENT_AFTER_S,
    publish, waves,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use resplice_api::{
    Channel, Enrol, Enrolled, HostId, HostReport, Hosts, NewReport, ReportEvent, Role, UpdateId,
};
use serde::Deserialize;

/// How far a host's clock may be ahead of the server's when it enrols; if it were
/// further, the host could not enrol again once its clock is right.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// Makes a host known. A host that comes again with the same key is the same
/// host: it gets a new token, and its old one is void.
pub(super) async fn enrol(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Enrolled>, Failure> {
    let enrol: Enrol = json(&body)?;
    check_word("host's name", &enrol.name)?;
    check_word("kernel release", &enrol.release)?;
    check_word("target", &enrol.target)?;
    check_proof(&enrol)?;
    let minted = auth::mint().map_err(Failure::internal("make a token"))?;
    let transaction = db::begin(&app.db).await?;
    if !db::tokens::spend(&transaction, &caller.token).await? {
        return Err(auth::spent());
    }
    let Some(host_id) = db::hosts::enrol(&transaction, &enrol).await? else {
        return Err(Failure::conflict(
            "replayed",
            "a host with this key has enrolled with the same or a later time; if that was this host, set its clock right and enrol again",
        ));
    };
    let token = db::tokens::NewRow {
        host: Some(host_id),
        ..minted.row(Role::Host, &enrol.name)
    };
    db::tokens::replace(&transaction, &token).await?;
    db::commit(transaction).await?;
    let workers = db::workers::list(&app.db).await?;
    let root = publish::root(&app).await?;
    tracing::info!(host = %host_id, name = enrol.name, target = enrol.target, "enrolled");
    Ok(Json(Enrolled {
        host_id,
        token: minted.token,
        worker_keys: workers
            .into_iter()
            .map(|worker| worker.public_key)
            .collect(),
        root,
        log_key: app.transparency.verifier().to_string(),
    }))
}

/// Query of `GET /hosts`.
#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u64>,
    after: Option<HostId>,
    q: Option<String>,
    target: Option<String>,
    channel: Option<Channel>,
    group: Option<String>,
    state: Option<Trait>,
    failed: Option<UpdateId>,
    open_to: Option<String>,
}

/// What people look for most often.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Trait {
    Silent,
    Failing,
}

pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Json<Hosts>, Failure> {
    let limit = page_limit(page.limit)?;
    let silent = page.state == Some(Trait::Silent);
    let filter = Filter {
        text: page.q,
        target: page.target,
        channel: page.channel,
        group: page.group,
        silent_since: silent.then(|| db::now() - i64::from(SILENT_AFTER_S) * 1_000_000),
        failing: page.state == Some(Trait::Failing),
        failed: page.failed,
        open_to: page.open_to,
    };
    let mut hosts = db::host_list::page(&app.db, &filter, limit + 1, page.after).await?;
    let more = hosts.len() as u64 > limit;
    hosts.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = hosts.last().filter(|_| more).map(|host| host.id);
    Ok(Json(Hosts { hosts, next }))
}

pub(super) async fn plan(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<HostId>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let polling = own(&caller, id)?;
    app.polls.seen(polling);
    let answer = app.polls.answer(&app.db, polling).await?;
    let unchanged = headers.get(header::IF_NONE_MATCH) == Some(&answer.etag);
    app.metrics.polled(!unchanged);
    let cache = HeaderValue::from_static("no-cache");
    let tag = [(header::ETAG, answer.etag), (header::CACHE_CONTROL, cache)];
    if unchanged {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((tag, json, answer.body).into_response())
}

pub(super) async fn report(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<HostId>,
    body: Bytes,
) -> Result<(StatusCode, Json<HostReport>), Failure> {
    let polling = own(&caller, id)?;
    let host = &polling.host;
    let report: NewReport = json(&body)?;
    check_text("detail", &report.detail)?;
    if let Some(code) = &report.code {
        check_word("code", code)?;
    }
    check_steps(&report.timeline)?;
    let update = db::updates::find_row(&app.db, report.update_id).await?;
    let known = update.map(db::updates::UpdateRow::read).transpose()?;
    // What was never released is none of a host's business.
    if known.is_none_or(|update| update.released.is_none()) {
        return Err(Failure::not_found("update", report.update_id));
    }
    app.polls.seen(polling);
    let stored = db::reports::add(&app.db, host, &report).await?;
    if matches!(report.event, ReportEvent::Failed | ReportEvent::Refused) {
        waves::watch(&app).await;
    }
    tracing::info!(host = host.name, update = %report.update_id, event = report.event.as_str(), "report");
    Ok((StatusCode::CREATED, Json(stored)))
}

/// Whoever enrols must have the key.
fn check_proof(enrol: &Enrol) -> Result<(), Failure> {
    let key = check_key(&enrol.public_key)?;
    let now = Timestamp::now();
    if enrol.at.duration_since(now) > MAX_AHEAD {
        return Err(Failure::invalid(format!(
            "the host's clock says {:.0}, the server's {now:.0}: set it right and enrol again",
            enrol.at
        )));
    }
    let mut signature = [0; 64];
    let proven = hex::decode_to_slice(&enrol.signature, &mut signature).is_ok()
        && key.verify(enrol.signed().as_bytes(), &signature).is_ok();
    if !proven {
        return Err(Failure::forbidden(
            "the enrolment is not signed by the host's key; if its agent is older than the server, bring it up to date",
        ));
    }
    Ok(())
}

/// The host, if it is the one that calls.
fn own(caller: &Caller, id: HostId) -> Result<&Polling, Failure> {
    let host = caller.host.as_ref().filter(|own| own.host.id == id);
    host.ok_or_else(|| Failure::forbidden("this token belongs to another host"))
}
