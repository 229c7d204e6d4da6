//! What feeds tell about released updates.

use super::{Error, json, parse, rows, time, unsigned};
use resplice_api::UpdateId;
use resplice_feeds::{Entered, Package, Revoked, Successor, Update};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use std::collections::HashMap;

#[derive(FromQueryResult)]
struct UpdateRow {
    id: String,
    name: String,
    cves: String,
    notes: String,
    released_at: i64,
    channel: String,
    revoked_at: Option<i64>,
    revoke_reason: Option<String>,
    revoke_undo: Option<i64>,
}

#[derive(FromQueryResult)]
struct RevokedRow {
    update_id: String,
    at: i64,
    reason: String,
    undo: i64,
}

#[derive(FromQueryResult)]
struct PackageRow {
    update_id: String,
    target: String,
    package_sha256: String,
    package_bytes: i64,
}

#[derive(FromQueryResult)]
struct EnteredRow {
    update_id: String,
    channel: String,
    promoted_at: i64,
}

#[derive(FromQueryResult)]
struct SuccessorRow {
    older_id: String,
    update_id: String,
    released_at: i64,
    revoked_at: Option<i64>,
}

const OPERATION: &str = "list the released updates";

/// The released updates, or this one if it is released, oldest first.
///
/// # Errors
/// The database's.
pub async fn released<C: ConnectionTrait>(
    db: &C,
    id: Option<UpdateId>,
) -> Result<Vec<Update>, Error> {
    let only = |column: &str| match id {
        Some(_) => format!("AND {column} = $1"),
        None => String::new(),
    };
    let values = || -> Vec<Value> { id.iter().map(|id| id.to_string().into()).collect() };
    let sql = format!(
        "SELECT id, name, cves, notes, released_at, channel, revoked_at, revoke_reason, revoke_undo
         FROM updates
         WHERE released_at IS NOT NULL {} ORDER BY released_at, id",
        only("id")
    );
    let updates: Vec<UpdateRow> = rows(db, OPERATION, &sql, values()).await?;
    let sql = format!(
        "SELECT update_id, target, package_sha256, package_bytes FROM jobs
         WHERE status = 'built' {} ORDER BY target",
        only("update_id")
    );
    let packages: Vec<PackageRow> = rows(db, OPERATION, &sql, values()).await?;
    let sql = format!(
        "SELECT update_id, channel, promoted_at FROM promotions
         WHERE channel IS NOT NULL {} ORDER BY promoted_at, id",
        only("update_id")
    );
    let entered: Vec<EnteredRow> = rows(db, OPERATION, &sql, values()).await?;
    let sql = format!(
        "SELECT s.older_id, s.update_id, u.released_at, COALESCE((SELECT MIN(e.at) FROM events e
             WHERE e.update_id = u.id AND e.event = 'update.revoked'), u.revoked_at) AS revoked_at
         FROM supersedes s
         JOIN updates u ON u.id = s.update_id
         WHERE u.released_at IS NOT NULL {} ORDER BY u.released_at, u.id",
        only("s.older_id")
    );
    let newer: Vec<SuccessorRow> = rows(db, OPERATION, &sql, values()).await?;
    let sql = format!(
        "SELECT update_id, at, reason, undo FROM events
         WHERE event = 'update.revoked' {} ORDER BY at, id",
        only("update_id")
    );
    let revoked: Vec<RevokedRow> = rows(db, OPERATION, &sql, values()).await?;
    let mut found = Found::new(packages, entered, newer, revoked)?;
    updates.into_iter().map(|row| found.update(row)).collect()
}

/// What belongs to updates, by their ids.
#[derive(Default)]
struct Found {
    packages: HashMap<String, Vec<Package>>,
    entered: HashMap<String, Vec<Entered>>,
    newer: HashMap<String, Vec<Successor>>,
    revoked: HashMap<String, Vec<Revoked>>,
}

impl Found {
    fn new(
        packages: Vec<PackageRow>,
        entered: Vec<EnteredRow>,
        newer: Vec<SuccessorRow>,
        revoked: Vec<RevokedRow>,
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        for row in packages {
            let package = Package {
                target: row.target,
                sha256: row.package_sha256,
                bytes: unsigned(row.package_bytes),
            };
            let all = found.packages.entry(row.update_id).or_default();
            all.push(package);
        }
        for row in entered {
            let entered = Entered {
                channel: parse(OPERATION, &row.channel)?,
                at: time(OPERATION, row.promoted_at)?,
            };
            found
                .entered
                .entry(row.update_id)
                .or_default()
                .push(entered);
        }
        for row in newer {
            let successor = Successor {
                id: parse(OPERATION, &row.update_id)?,
                at: time(OPERATION, row.released_at)?,
                revoked: row.revoked_at.map(|at| time(OPERATION, at)).transpose()?,
            };
            found.newer.entry(row.older_id).or_default().push(successor);
        }
        for row in revoked {
            let all = found.revoked.entry(row.update_id).or_default();
            all.push(Revoked {
                at: time(OPERATION, row.at)?,
                reason: row.reason,
                undo: row.undo == 1,
            });
        }
        Ok(found)
    }

    fn update(&mut self, row: UpdateRow) -> Result<Update, Error> {
        let mut entered = self.entered.remove(&row.id).unwrap_or_default();
        // Releases from before there were channels have no row.
        if entered.is_empty() {
            entered.push(Entered {
                channel: parse(OPERATION, &row.channel)?,
                at: time(OPERATION, row.released_at)?,
            });
        }
        let mut revoked = self.revoked.remove(&row.id).unwrap_or_default();
        // Those from before there were events have none.
        if let (true, Some(at)) = (revoked.is_empty(), row.revoked_at) {
            revoked.push(Revoked {
                at: time(OPERATION, at)?,
                reason: row.revoke_reason.unwrap_or_default(),
                undo: row.revoke_undo == Some(1),
            });
        }
        Ok(Update {
            packages: self.packages.remove(&row.id).unwrap_or_default(),
            superseded_by: self.newer.remove(&row.id).unwrap_or_default(),
            entered,
            id: parse(OPERATION, &row.id)?,
            name: row.name,
            notes: row.notes,
            cves: json(OPERATION, &row.cves)?,
            revoked,
        })
    }
}
