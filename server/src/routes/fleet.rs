//! The fleet as people look at it: numbers about all hosts, one host in full, and
//! what became of an update over time.

use crate::{
    App,
    db::{self, fleet::Happened},
    error::Failure,
};
use axum::{
    Json,
    extract::{Path, State},
};
use jiff::Timestamp;
use resplice_api::{Fleet, Host, HostDetail, HostId, Progress, ProgressPoint, UpdateId};
use std::collections::BTreeMap;

/// Into how many intervals an update's time is cut.
const INTERVALS: i64 = 120;
const SECOND: i64 = 1_000_000;

pub(super) async fn show(State(app): State<App>) -> Result<Json<Fleet>, Failure> {
    let fleet = app.fleet.now(&app).await?;
    Ok(Json(Fleet::clone(&fleet)))
}

pub(super) async fn host(
    State(app): State<App>,
    Path(id): Path<HostId>,
) -> Result<Json<HostDetail>, Failure> {
    let polling = db::callers::host(&app.db, id).await?;
    let polling = polling.ok_or_else(|| Failure::not_found("host", id))?;
    let plan = app.polls.look(&app.db, &polling).await?;
    let host = db::host_list::with_state(&app.db, vec![Host::clone(&polling.host)])
        .await?
        .remove(0);
    Ok(Json(HostDetail {
        plan,
        updates: db::host_updates::of_host(&app.db, id).await?,
        reports: db::reports::of_host(&app.db, id).await?,
        host,
    }))
}

pub(super) async fn progress(
    State(app): State<App>,
    Path(id): Path<UpdateId>,
) -> Result<Json<Progress>, Failure> {
    let update = db::updates::find_row(&app.db, id).await?;
    let update = update.map(db::updates::UpdateRow::read).transpose()?;
    let channel = update.and_then(|update| update.channel);
    let channel = channel.ok_or_else(|| Failure::not_found("released update", id))?;
    let (hosts, began) = db::fleet::audience(&app.db, id, channel).await?;
    let now = db::now();
    let from = began.unwrap_or(now);
    let width = ((now - from) / INTERVALS).max(SECOND);
    // An interval's number, and how many hosts came to each of the three in it.
    let mut changes: BTreeMap<i64, [u64; 3]> = BTreeMap::new();
    let all = [Happened::Offered, Happened::Applied, Happened::Failed];
    for (place, what) in all.into_iter().enumerate() {
        for (bin, count) in db::fleet::over_time(&app.db, id, what, from, width).await? {
            changes.entry(bin).or_default()[place] += count;
        }
    }
    let time = |micros: i64| {
        Timestamp::from_microsecond(micros.min(now)).map_err(Failure::internal("tell a time"))
    };
    let mut sums = [0; 3];
    let mut points = Vec::new();
    for (bin, counts) in changes {
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
        let [offered, applied, failed] = sums;
        points.push(ProgressPoint {
            at: time(from + (bin + 1) * width)?,
            offered,
            applied,
            failed,
        });
    }
    Ok(Json(Progress {
        from: time(from)?,
        to: time(now)?,
        hosts,
        rollout: db::rollouts::find(&app.db, id).await?,
        points,
    }))
}
