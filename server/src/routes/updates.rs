//! Updates: upload, look, release.

use super::body::{
    check_count, check_line, check_text, check_word, json, json_or_default, page_limit,
};
use super::rollout;
use crate::{
    App,
    auth::Caller,
    catalogue, db,
    db::{
        promotions, rejections,
        releases::{self, Outcome},
    },
    error::Failure,
    patch, publish, reach,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use resplice_api::{
    BASE_PATH, Channel, Check, NewReach, NewRejection, NewRelease, NewUpdate, Reach, TargetReach,
    TouchedFile, Update, UpdateId, Updates, limits,
};
use serde::Deserialize;

pub(super) async fn upload(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Failure> {
    let mut new: NewUpdate = json(&body)?;
    check_fields(&new)?;
    new.targets.sort();
    new.targets.dedup();
    check_targets(&app, &new.targets).await?;
    new.supersedes.sort();
    new.supersedes.dedup();
    check_superseded(&app, &new.supersedes).await?;
    let files = patch::check(&new.patch)
        .map_err(|error| Failure::bad_patch(&error))?
        .files;
    let check = match &new.check {
        Some(check) => {
            check_check(check)?;
            let encoded = serde_json::to_vec(check).map_err(Failure::internal("keep a check"))?;
            Some(app.put("keep a check", encoded).await?)
        }
        None => None,
    };
    let patch = app.put("keep a patch", new.patch.clone()).await?;
    let upload = db::updates::Upload {
        patch_sha256: &patch,
        check_sha256: check.as_deref(),
        files: &files,
        uploaded_by: &caller.name,
        token: &caller.token,
    };
    let id = db::updates::create(&app.db, &new, &upload).await?;
    tracing::info!(update = %id, name = new.name, targets = new.targets.len(), "uploaded");
    let location = format!("{BASE_PATH}/updates/{id}");
    let update = load(&app, id).await?;
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(update),
    )
        .into_response())
}

fn check_fields(new: &NewUpdate) -> Result<(), Failure> {
    check_line("name", &new.name)?;
    check_text("notes", &new.notes)?;
    check_count("CVE ids", new.cves.len(), limits::MAX_LIST)?;
    if let Some(cve) = new.cves.iter().find(|cve| !is_cve(cve)) {
        return Err(Failure::invalid(format!(
            "{cve:?} is no CVE id such as CVE-2026-72400"
        )));
    }
    check_patch_size(&new.patch)?;
    if new.targets.is_empty() {
        return Err(Failure::invalid("name at least one target to build for"));
    }
    check_count("targets", new.targets.len(), limits::MAX_LIST)?;
    new.targets
        .iter()
        .try_for_each(|target| check_word("target", target))
}

fn is_cve(text: &str) -> bool {
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    text.strip_prefix("CVE-")
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(year, number)| {
            year.len() == 4 && (4..=12).contains(&number.len()) && digits(year) && digits(number)
        })
}

async fn check_targets(app: &App, wanted: &[String]) -> Result<(), Failure> {
    let known = catalogue::list(app).await?;
    for id in wanted {
        let Some(target) = known.iter().find(|target| target.id == *id) else {
            return Err(Failure::invalid(format!(
                "the target {id} is not known here; import it on the administration's page, or on the \
                 server with `resplice-server target import {id}`"
            )));
        };
        if let Some(retirement) = &target.retired {
            return Err(Failure::invalid(format!(
                "the target {id} was retired by {}: {}",
                retirement.by,
                match retirement.reason.as_str() {
                    "" => "no reason was given",
                    reason => reason,
                }
            )));
        }
    }
    Ok(())
}

/// What is superseded is named in the package by the packages that it has, so
/// these must be there.
async fn check_superseded(app: &App, ids: &[UpdateId]) -> Result<(), Failure> {
    check_count("superseded updates", ids.len(), limits::MAX_LIST)?;
    for id in ids {
        let Some(update) = db::updates::find(&app.db, *id).await? else {
            return Err(Failure::invalid(format!(
                "the update {id}, which is to be superseded, is not known here"
            )));
        };
        if update.jobs.iter().any(|job| !job.status.is_final()) {
            return Err(Failure::conflict(
                "unfinished",
                format!("builds of the update {id} have not ended; supersede it when they have"),
            ));
        }
    }
    Ok(())
}

fn check_check(check: &Check) -> Result<(), Failure> {
    check_count(
        "files of the check",
        check.files.len(),
        limits::MAX_CHECK_FILES,
    )?;
    let mut bytes = check.script.as_ref().map_or(0, String::len);
    for file in &check.files {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let good = (1..=100).contains(&file.name.len())
            && !file.name.starts_with(['.', '-'])
            && file.name.bytes().all(plain);
        if !good {
            let name = &file.name;
            return Err(Failure::invalid(format!(
                "{name:?} can't be the name of a check's file"
            )));
        }
        if file.mode > 0o777 {
            return Err(Failure::invalid(format!(
                "the mode of {} must be at most 0777",
                file.name
            )));
        }
        let decoded = BASE64_STANDARD.decode(&file.base64).map_err(|error| {
            Failure::invalid(format!(
                "the check's file {} is no base64: {error}",
                file.name
            ))
        })?;
        bytes += decoded.len();
    }
    let twice = |name: &str| check.files.iter().filter(|file| file.name == name).count() > 1;
    if let Some(file) = check.files.iter().find(|file| twice(&file.name)) {
        return Err(Failure::invalid(format!(
            "the check has two files named {}",
            file.name
        )));
    }
    if check.script.is_none() && !check.files.iter().any(|file| file.name == "check") {
        return Err(Failure::invalid(
            "a check needs a script, or a file named `check`",
        ));
    }
    if bytes > limits::MAX_CHECK_BYTES {
        let limit = limits::MAX_CHECK_BYTES;
        return Err(Failure::invalid(format!(
            "the check has {bytes} bytes, the limit is {limit}"
        )));
    }
    Ok(())
}

/// Query of `GET /updates`.
#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u64>,
    before: Option<UpdateId>,
}

pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Json<Updates>, Failure> {
    let limit = page_limit(page.limit)?;
    let mut updates = db::updates::list(&app.db, limit + 1, page.before).await?;
    let more = updates.len() as u64 > limit;
    updates.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = if more {
        updates.last().map(|update| update.id)
    } else {
        None
    };
    Ok(Json(Updates { updates, next }))
}

pub(super) async fn find(
    State(app): State<App>,
    Path(id): Path<UpdateId>,
) -> Result<Json<Update>, Failure> {
    Ok(Json(load(&app, id).await?))
}

pub(super) async fn patch(
    State(app): State<App>,
    Path(id): Path<UpdateId>,
) -> Result<Response, Failure> {
    let update = load(&app, id).await?;
    let bytes = app.read("read a patch", &update.patch_sha256).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], bytes).into_response())
}

pub(super) async fn release(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<UpdateId>,
    body: Bytes,
) -> Result<Json<Update>, Failure> {
    let new: NewRelease = json_or_default(&body)?;
    check_text("comment", &new.comment)?;
    let channel = new.channel.unwrap_or(Channel::Edge);
    let plan = rollout::plan(&app, new.plan.as_deref()).await?;
    let word = promotions::Word {
        person: &caller.name,
        comment: &new.comment,
        plan: plan.as_ref().map(|(plan, seed)| (plan, seed.as_str())),
    };
    let outcome = releases::release(&app.db, id, channel, word).await?;
    match outcome {
        Outcome::Released => {
            tracing::info!(update = %id, %channel, by = caller.name, "released");
            // The release stands; what can't be signed now is signed later.
            publish::now(&app).await;
            Ok(Json(load(&app, id).await?))
        }
        Outcome::Missing => Err(Failure::not_found("update", id)),
        Outcome::SamePerson => Err(Failure::forbidden(
            "whoever uploaded an update can't release it: a second person must",
        )),
        Outcome::Already => Err(Failure::conflict(
            "already-released",
            "the update is released",
        )),
        Outcome::Rejected => Err(rejected()),
        Outcome::Unfinished => Err(Failure::conflict(
            "unfinished",
            "some of its builds have not ended; release it when they have",
        )),
        Outcome::NothingBuilt => Err(Failure::conflict(
            "nothing-built",
            "none of its builds came out with a package; there is nothing to release",
        )),
    }
}

fn rejected() -> Failure {
    Failure::conflict(
        "rejected",
        "the update was rejected; upload its patch again to make another one",
    )
}

fn check_patch_size(patch: &str) -> Result<(), Failure> {
    let limit = limits::MAX_PATCH_BYTES;
    if patch.len() > limit {
        return Err(Failure::invalid(format!(
            "the patch has more than {limit} bytes"
        )));
    }
    Ok(())
}

/// What a patch would reach. It is a POST for its size alone.
pub(super) async fn reach(State(app): State<App>, body: Bytes) -> Result<Json<Reach>, Failure> {
    let new: NewReach = json(&body)?;
    check_patch_size(&new.patch)?;
    let patch = patch::check(&new.patch).map_err(|error| Failure::bad_patch(&error))?;
    let file = |path: &String| TouchedFile {
        path: path.clone(),
        kind: reach::kind(path),
    };
    let files = patch.files.iter().map(file).collect();
    let targets = catalogue::list(&app).await?;
    let targets = catalogue::ask(&app, "try a patch", move |catalogue| {
        let offered = targets
            .into_iter()
            .filter(|target| target.retired.is_none());
        let tried = offered.map(|target| {
            let source = catalogue.source(&target.id.parse()?);
            let misses = source.as_ref().map(|source| reach::misses(&patch, source));
            Ok(TargetReach {
                target: target.id,
                known: source.is_some(),
                misses: misses.transpose()?.unwrap_or_default(),
            })
        });
        tried.collect::<Result<_, catalogue::Error>>()
    })
    .await?;
    Ok(Json(Reach { files, targets }))
}

/// One engineer can do this, the uploader too: it keeps something from hosts.
pub(super) async fn reject(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<UpdateId>,
    body: Bytes,
) -> Result<Json<Update>, Failure> {
    let new: NewRejection = json(&body)?;
    check_line("reason", &new.reason)?;
    match rejections::reject(&app.db, id, &new.reason, &caller.name).await? {
        rejections::Outcome::Rejected => {
            tracing::info!(update = %id, by = caller.name, "rejected");
            Ok(Json(load(&app, id).await?))
        }
        rejections::Outcome::Missing => Err(Failure::not_found("update", id)),
        rejections::Outcome::Released => Err(Failure::conflict(
            "already-released",
            "the update is released; revoke it instead",
        )),
        rejections::Outcome::Already => Err(rejected()),
    }
}

/// An update that must be there.
pub(super) async fn load(app: &App, id: UpdateId) -> Result<Update, Failure> {
    let found = db::updates::find(&app.db, id).await?;
    found.ok_or_else(|| Failure::not_found("update", id))
}
