//! Groups of hosts, and which are frozen.

use super::{Db, Error, begin, commit, execute, now, rows, unsigned};
use resplice_api::{Group, HostId};
use sea_orm::{ConnectionTrait, FromQueryResult};

#[derive(FromQueryResult)]
struct GroupRow {
    name: String,
    hosts: i64,
    reason: Option<String>,
}

/// All groups that have hosts or are frozen, by name.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C) -> Result<Vec<Group>, Error> {
    let found: Vec<GroupRow> = rows(
        db,
        "list the groups",
        "SELECT n.name, COUNT(g.host_id) AS hosts, MAX(f.reason) AS reason
         FROM (SELECT name FROM host_groups UNION SELECT name FROM frozen_groups) n
         LEFT JOIN host_groups g ON g.name = n.name
         LEFT JOIN frozen_groups f ON f.name = n.name
         GROUP BY n.name ORDER BY n.name",
        Vec::new(),
    )
    .await?;
    let group = |row: GroupRow| Group {
        name: row.name,
        hosts: unsigned(row.hosts),
        frozen: row.reason,
    };
    Ok(found.into_iter().map(group).collect())
}

/// Puts a host into these groups and no others.
///
/// # Errors
/// The database's.
pub async fn set(db: &Db, host: HostId, groups: &[String]) -> Result<(), Error> {
    let operation = "set a host's groups";
    let id = host.to_string();
    let transaction = begin(db).await?;
    let sql = "DELETE FROM host_groups WHERE host_id = $1";
    execute(&transaction, operation, sql, vec![id.as_str().into()]).await?;
    for group in groups {
        let values = vec![id.as_str().into(), group.as_str().into()];
        let sql = "INSERT INTO host_groups (host_id, name) VALUES ($1, $2)
            ON CONFLICT (host_id, name) DO NOTHING";
        execute(&transaction, operation, sql, values).await?;
    }
    commit(transaction).await
}

/// Freezes a group: its hosts are offered nothing new.
///
/// # Errors
/// The database's.
pub async fn freeze<C: ConnectionTrait>(
    db: &C,
    name: &str,
    reason: &str,
    person: &str,
) -> Result<(), Error> {
    let values = vec![name.into(), reason.into(), person.into(), now().into()];
    let sql = "INSERT INTO frozen_groups (name, reason, frozen_by, frozen_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE SET reason = excluded.reason,
        frozen_by = excluded.frozen_by, frozen_at = excluded.frozen_at";
    execute(db, "freeze a group", sql, values).await.map(drop)
}

/// Lets a group go on; false if it was not frozen.
///
/// # Errors
/// The database's.
pub async fn thaw<C: ConnectionTrait>(db: &C, name: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM frozen_groups WHERE name = $1";
    Ok(execute(db, "thaw a group", sql, vec![name.into()]).await? == 1)
}
