//! What hosts should run, and which packages they may have.

use super::{Error, parse, row, rows, supersedes::HAS_SUCCESSOR, time, unsigned};
use crate::repository::Package;
use resplice_api::{HostId, Plan, PlannedUpdate};
use sea_orm::{ConnectionTrait, FromQueryResult};

#[derive(FromQueryResult)]
struct PlannedRow {
    update_id: String,
    name: String,
    package_sha256: String,
    package_bytes: i64,
    target: String,
    released_at: i64,
}

/// The plan for hosts of a target: what is released and not superseded.
///
/// # Errors
/// The database's.
pub async fn for_target<C: ConnectionTrait>(db: &C, target: &str) -> Result<Plan, Error> {
    let operation = "make a plan";
    let sql = format!(
        "SELECT u.id AS update_id, u.name, j.package_sha256, j.package_bytes, j.target, u.released_at
         FROM updates u JOIN jobs j ON j.update_id = u.id
         WHERE u.released_at IS NOT NULL AND j.status = 'built' AND j.target = $1
           AND NOT {HAS_SUCCESSOR}
         ORDER BY u.released_at, u.id"
    );
    let found: Vec<PlannedRow> = rows(db, operation, &sql, vec![target.into()]).await?;
    let updates = found
        .into_iter()
        .map(|row| {
            Ok(PlannedUpdate {
                update_id: parse(operation, &row.update_id)?,
                name: row.name,
                package_sha256: row.package_sha256,
                bytes: unsigned(row.package_bytes),
                target: row.target,
                released_at: time(operation, row.released_at)?,
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Plan {
        updates,
        undo: Vec::new(),
    })
}

#[derive(FromQueryResult)]
struct ReleasedRow {
    update_id: String,
    target: String,
    package_sha256: String,
    package_bytes: i64,
}

/// All packages of released updates that none has superseded, as the repository
/// lists them.
///
/// # Errors
/// The database's.
pub async fn released<C: ConnectionTrait>(db: &C) -> Result<Vec<Package>, Error> {
    let operation = "list the released packages";
    let sql = format!(
        "SELECT j.update_id, j.target, j.package_sha256, j.package_bytes
         FROM updates u JOIN jobs j ON j.update_id = u.id
         WHERE u.released_at IS NOT NULL AND j.status = 'built' AND NOT {HAS_SUCCESSOR}
         ORDER BY u.released_at, u.id, j.target"
    );
    let found: Vec<ReleasedRow> = rows(db, operation, &sql, Vec::new()).await?;
    let package = |row: ReleasedRow| {
        let update = parse(operation, &row.update_id)?;
        Ok(Package {
            name: resplice_api::package_target(update, &row.target),
            sha256: row.package_sha256,
            bytes: unsigned(row.package_bytes),
        })
    };
    found.into_iter().map(package).collect()
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
