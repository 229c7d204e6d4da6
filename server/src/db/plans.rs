//! What hosts should run, and which packages they may have.

use super::{Error, offers, offers::Offer, row};
use crate::repository::Package;
use resplice_api::{Host, HostId, Plan, PlannedUpdate};
use resplice_rollout::Terms;
use sea_orm::{ConnectionTrait, FromQueryResult};

/// The plan for a host: what has got to its channel and is not superseded there.
///
/// # Errors
/// The database's.
pub async fn for_host<C: ConnectionTrait>(db: &C, host: &Host) -> Result<Plan, Error> {
    let offers = offers::list(db, Some(&host.target)).await?;
    let visible = |offer: &Offer| host.channel.gets(offer.channel);
    let planned = |offer: &Offer| PlannedUpdate {
        update_id: offer.update,
        name: offer.name.clone(),
        package_sha256: offer.sha256.clone(),
        bytes: offer.bytes,
        target: offer.target.clone(),
        released_at: offer.released_at,
    };
    let updates = offers.newest(visible).into_iter().map(planned).collect();
    Ok(Plan {
        channel: host.channel,
        updates,
        undo: Vec::new(),
    })
}

/// All packages of released updates that hosts may still want, as the repository
/// lists them.
///
/// # Errors
/// The database's.
pub async fn released<C: ConnectionTrait>(db: &C) -> Result<Vec<Package>, Error> {
    let offers = offers::list(db, None).await?;
    let package = |offer: &Offer| Package {
        name: resplice_api::package_target(offer.update, &offer.target),
        sha256: offer.sha256.clone(),
        bytes: offer.bytes,
        terms: Terms {
            channel: offer.channel,
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
