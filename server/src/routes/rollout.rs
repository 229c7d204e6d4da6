//! How updates reach hosts: channels, waves, groups.

use super::{
    body::{check_count, check_line, check_text, json, json_or_default},
    updates::load,
};
use crate::{
    App,
    auth::Caller,
    db::{
        groups, hosts,
        promotions::{self, Outcome},
        revocations, rollouts, wave_plans,
    },
    error::Failure,
    publish,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use resplice_api::{
    Because, Gate, Groups, Host, HostId, NewPromotion, NewRevocation, Rollout, RolloutState,
    SetChannel, SetGroups, Update, UpdateId, WavePlan, WavePlans, limits,
};

/// Longest that a rollout may take, and a host be silent: a quarter of a year.
const MAX_SECONDS: u32 = 90 * 24 * 3600;
/// Longest jitter: a day.
const MAX_JITTER_S: u32 = 24 * 3600;
/// Most steps of a plan: all of them are signed with each package.
const MAX_STEPS: usize = 16;

pub(super) async fn promote(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<UpdateId>,
    body: Bytes,
) -> Result<Json<Update>, Failure> {
    let new: NewPromotion = json(&body)?;
    check_text("comment", &new.comment)?;
    let plan = plan(&app, new.plan.as_deref()).await?;
    let word = promotions::Word {
        person: &caller.name,
        comment: &new.comment,
        plan: plan.as_ref().map(|(plan, seed)| (plan, seed.as_str())),
    };
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
        Outcome::Revoked => Err(revoked()),
        Outcome::Already(reached) => Err(Failure::conflict(
            "already-there",
            format!("the update has got to {reached} already, and none goes back"),
        )),
    }
}

fn revoked() -> Failure {
    Failure::conflict(
        "revoked",
        "the update was revoked; upload its patch again to make another one",
    )
}

/// One engineer can do this, the uploader too: it stops something.
pub(super) async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<UpdateId>,
    body: Bytes,
) -> Result<Json<Update>, Failure> {
    let new: NewRevocation = json(&body)?;
    check_line("reason", &new.reason)?;
    match revocations::revoke(&app.db, id, &new, &caller.name).await? {
        revocations::Outcome::Revoked => {
            tracing::warn!(update = %id, undo = new.undo, by = caller.name, "revoked");
            publish::now(&app).await;
            Ok(Json(load(&app, id).await?))
        }
        revocations::Outcome::Missing => Err(Failure::not_found("update", id)),
        revocations::Outcome::NotReleased => Err(Failure::conflict(
            "not-released",
            "the update is not released, so no host has it",
        )),
        revocations::Outcome::Already => Err(revoked()),
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

/// The wave plan of this name, and a seed for it.
pub(super) async fn plan(
    app: &App,
    name: Option<&str>,
) -> Result<Option<(WavePlan, String)>, Failure> {
    let Some(name) = name else {
        return Ok(None);
    };
    check_name("wave plan", name)?;
    let Some(plan) = wave_plans::find(&app.db, name).await? else {
        let detail =
            format!("there is no wave plan {name}; make it with `resplice-server wave set`");
        return Err(Failure::invalid(detail));
    };
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|error| {
        Failure::internal("make a seed")(std::io::Error::other(error.to_string()))
    })?;
    Ok(Some((plan, hex::encode(seed))))
}

pub(super) async fn find(
    State(app): State<App>,
    Path(id): Path<UpdateId>,
) -> Result<Json<Rollout>, Failure> {
    let rollout = rollouts::find(&app.db, id).await?;
    Ok(Json(rollout.ok_or_else(|| {
        Failure::not_found("rollout in waves of the update", id)
    })?))
}

pub(super) async fn halt(
    State(app): State<App>,
    Path(id): Path<UpdateId>,
    body: Bytes,
) -> Result<Json<Rollout>, Failure> {
    let because: Because = json_or_default(&body)?;
    check_text("reason", &because.reason)?;
    let stopped = rollouts::stop(&app.db, id, RolloutState::Halted, &because.reason).await?;
    changed(&app, id, stopped, "not-running", "the rollout does not run").await
}

pub(super) async fn resume(
    State(app): State<App>,
    Path(id): Path<UpdateId>,
    body: Bytes,
) -> Result<Json<Rollout>, Failure> {
    let because: Because = json_or_default(&body)?;
    check_text("reason", &because.reason)?;
    if load(&app, id).await?.revoked.is_some() {
        return Err(revoked());
    }
    let resumed = rollouts::resume(&app.db, id).await?;
    changed(&app, id, resumed, "running", "the rollout runs").await
}

async fn changed(
    app: &App,
    id: UpdateId,
    changed: bool,
    code: &str,
    detail: &str,
) -> Result<Json<Rollout>, Failure> {
    let Some(rollout) = rollouts::find(&app.db, id).await? else {
        return Err(Failure::not_found("rollout in waves of the update", id));
    };
    if !changed {
        return Err(Failure::conflict(code, detail));
    }
    tracing::info!(update = %id, state = rollout.state.as_str(), "rollout");
    Ok(Json(rollout))
}

pub(super) async fn put_plan(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<WavePlan>, Failure> {
    let plan: WavePlan = json(&body)?;
    check_plan(&plan)?;
    wave_plans::put(&app.db, &plan, &caller.name).await?;
    Ok(Json(plan))
}

pub(super) async fn plans(State(app): State<App>) -> Result<Json<WavePlans>, Failure> {
    let plans = wave_plans::list(&app.db).await?;
    Ok(Json(WavePlans { plans }))
}

pub(super) async fn set_groups(
    State(app): State<App>,
    Path(id): Path<HostId>,
    body: Bytes,
) -> Result<Json<Groups>, Failure> {
    let new: SetGroups = json(&body)?;
    check_count("groups", new.groups.len(), limits::MAX_LIST)?;
    for group in &new.groups {
        check_name("group", group)?;
    }
    if hosts::find(&app.db, id).await?.is_none() {
        return Err(Failure::not_found("host", id));
    }
    groups::set(&app.db, id, &new.groups).await?;
    list_groups(State(app)).await
}

pub(super) async fn list_groups(State(app): State<App>) -> Result<Json<Groups>, Failure> {
    let groups = groups::list(&app.db).await?;
    Ok(Json(Groups { groups }))
}

pub(super) async fn freeze(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Groups>, Failure> {
    let because: Because = json_or_default(&body)?;
    check_name("group", &name)?;
    check_text("reason", &because.reason)?;
    groups::freeze(&app.db, &name, &because.reason, &caller.name).await?;
    list_groups(State(app)).await
}

pub(super) async fn thaw(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Groups>, Failure> {
    check_name("group", &name)?;
    if !groups::thaw(&app.db, &name).await? {
        let detail = format!("the group {name} is not frozen");
        return Err(Failure::conflict("not-frozen", detail));
    }
    list_groups(State(app)).await
}

fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "the name of a {what} has 1 to 64 letters, digits, '.', '_' and '-'"
    )))
}

fn check_plan(plan: &WavePlan) -> Result<(), Failure> {
    check_name("wave plan", &plan.name)?;
    check_count("steps", plan.steps.len(), MAX_STEPS)?;
    let grows = |steps: &[resplice_api::WaveStep]| match steps {
        [one, next] => one.after_s < next.after_s && one.share < next.share,
        _ => true,
    };
    let whole = plan.steps.last().is_some_and(|last| last.share == 1000);
    let some = plan.steps.first().is_some_and(|first| first.share > 0);
    if !(whole && some && plan.steps.windows(2).all(grows)) {
        return Err(Failure::invalid(
            "the steps of a wave plan must grow in time and share, from more than 0 to 1000 ‰",
        ));
    }
    let last = plan.steps.last().map_or(0, |step| step.after_s);
    if last > MAX_SECONDS || plan.jitter_s > MAX_JITTER_S {
        return Err(Failure::invalid(
            "a wave plan takes at most 90 days, and its jitter at most one",
        ));
    }
    check_gate(&plan.gate)
}

fn check_gate(gate: &Gate) -> Result<(), Failure> {
    let limits = [&gate.failed, &gate.crashed, &gate.lost];
    let sound = |limit: &resplice_api::Limit| limit.hosts > 0 && limit.share <= 1000;
    let limits = limits.into_iter().flatten().all(sound);
    if limits && (60..=MAX_SECONDS).contains(&gate.silent_after_s) {
        return Ok(());
    }
    Err(Failure::invalid(
        "a gate's limits are of 1 or more hosts and up to 1000 ‰, and hosts are silent after 60 s or more",
    ))
}
