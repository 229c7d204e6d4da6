//! What hosts should run, and which packages they may have.

use super::{
    Error,
    callers::{Past, Polling},
    offers::{self, Offer, Offers},
    row,
};
use crate::repository::Package;
use jiff::Timestamp;
use resplice_api::{HeldUpdate, HostId, Plan, PlannedUpdate, UpdateId};
use resplice_rollout::{Terms, Turn};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// The plan for a host: what has got to its channel, is not superseded there, and
/// whose turn has come. With it, what of that goes out in waves.
pub fn look(polling: &Polling, past: &Past, offers: &Offers) -> (Plan, Vec<UpdateId>) {
    let Polling { host, frozen, .. } = polling;
    let now = Timestamp::now();
    let turn = |offer: &Offer| {
        let applied = past.applied.contains(&offer.update);
        match (frozen, &offer.standing) {
            (Some(reason), _) if !applied => Turn::Held(reason.to_string()),
            (_, Some(standing)) => standing.turn(host.id, applied, now),
            _ => Turn::Now,
        }
    };
    let visible = |offer: &Offer| offer.revoked.is_none() && host.channel.gets(offer.channel);
    let undo = |offer: &&Offer| offer.revoked.as_ref().is_some_and(|revoked| revoked.undo);
    let offered = offers.newest(|offer| visible(offer) && turn(offer) == Turn::Now);
    let held = offers.newest(visible).into_iter().filter_map(|offer| {
        let (from, reason) = match turn(offer) {
            Turn::Now => return None,
            Turn::At(from) => (Some(from), None),
            Turn::Held(reason) => (None, Some(reason)),
        };
        Some(HeldUpdate {
            update_id: offer.update,
            name: offer.name.clone(),
            from,
            reason,
        })
    });
    let held = held.collect();
    let in_waves = offered.iter().filter(|offer| offer.standing.is_some());
    let in_waves: Vec<_> = in_waves.map(|offer| offer.update).collect();
    let undo = offers.all.iter().filter(undo).map(|offer| offer.update);
    let plan = Plan {
        channel: host.channel,
        updates: offered.into_iter().map(planned).collect(),
        undo: undo.collect(),
        held,
    };
    (plan, in_waves)
}

fn planned(offer: &Offer) -> PlannedUpdate {
    PlannedUpdate {
        update_id: offer.update,
        name: offer.name.clone(),
        package_sha256: offer.sha256.clone(),
        bytes: offer.bytes,
        target: offer.target.clone(),
        released_at: offer.released_at,
    }
}

/// All packages of released updates that hosts may still want, as the repository
/// lists them.
///
/// # Errors
/// The database's.
pub async fn released<C: ConnectionTrait>(db: &C) -> Result<Vec<Package>, Error> {
    let offers = offers::list(db).await?;
    let package = |offer: &Offer| Package {
        name: resplice_api::package_target(offer.update, &offer.target),
        sha256: offer.sha256.clone(),
        bytes: offer.bytes,
        terms: Terms {
            channel: offer.channel,
            since: offer.since,
            wave: offer
                .standing
                .as_ref()
                .map(|standing| standing.wave.clone()),
            revoked: offer.revoked.clone(),
        },
    };
    Ok(offers.wanted().into_iter().map(package).collect())
}

#[derive(FromQueryResult)]
struct Found {
    #[allow(dead_code, reason = "only whether there is a row matters")]
    found: i64,
}

/// Whether a package belongs to a built job.
///
/// # Errors
/// The database's.
pub async fn has_package<C: ConnectionTrait>(db: &C, sha256: &str) -> Result<bool, Error> {
    let sql = "SELECT CAST(1 AS BIGINT) AS found FROM jobs WHERE package_sha256 = $1 AND status = 'built' LIMIT 1";
    let found: Option<Found> = row(db, "look up a package", sql, vec![sha256.into()]).await?;
    Ok(found.is_some())
}

/// The provenance of a built job's package. Where several builds gave the same
/// package, each has one of its own: then the first one's.
///
/// # Errors
/// The database's.
pub async fn provenance<C: ConnectionTrait>(
    db: &C,
    package: &str,
) -> Result<Option<String>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        provenance_sha256: String,
    }
    let sql = "SELECT provenance_sha256 FROM jobs
        WHERE package_sha256 = $1 AND status = 'built' AND provenance_sha256 IS NOT NULL
        ORDER BY created_at, id LIMIT 1";
    let found: Option<Row> = row(db, "look up a provenance", sql, vec![package.into()]).await?;
    Ok(found.map(|row| row.provenance_sha256))
}

/// Whether a package belongs to a released update for the host's target.
///
/// # Errors
/// The database's.
pub async fn host_may_have<C: ConnectionTrait>(
    db: &C,
    host: HostId,
    sha256: &str,
) -> Result<bool, Error> {
    let found: Option<Found> = row(
        db,
        "look up a package",
        "SELECT CAST(1 AS BIGINT) AS found FROM jobs j
             JOIN updates u ON u.id = j.update_id
             JOIN hosts h ON h.target = j.target
         WHERE j.package_sha256 = $1 AND j.status = 'built' AND u.released_at IS NOT NULL
           AND h.id = $2 LIMIT 1",
        vec![sha256.into(), host.to_string().into()],
    )
    .await?;
    Ok(found.is_some())
}
