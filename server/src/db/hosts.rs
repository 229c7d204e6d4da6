//! Hosts.

use super::{Error, execute, host_updates, now, parse, placeholders, row, time};
use resplice_api::{Channel, Enrol, Host, HostId};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// Most hosts that one statement notes as seen.
const SEEN_AT_ONCE: usize = 500;

pub(super) const COLUMNS: &str =
    "id, name, target, kernel_release, channel, public_key, enrolled_at, last_seen_at";

#[derive(FromQueryResult)]
pub(super) struct HostRow {
    id: String,
    name: String,
    target: String,
    kernel_release: String,
    channel: String,
    public_key: String,
    enrolled_at: i64,
    last_seen_at: i64,
}

impl HostRow {
    pub(super) fn read(self) -> Result<Host, Error> {
        let operation = "read a host";
        Ok(Host {
            id: parse(operation, &self.id)?,
            name: self.name,
            target: self.target,
            release: self.kernel_release,
            channel: parse(operation, &self.channel)?,
            public_key: self.public_key,
            enrolled_at: time(operation, self.enrolled_at)?,
            last_seen_at: time(operation, self.last_seen_at)?,
            applied: Vec::new(),
            failed: Vec::new(),
            groups: Vec::new(),
        })
    }
}

/// Adds a host, or renews the one with the same key; none if that key has enrolled
/// with the same or a later time before.
///
/// # Errors
/// The database's.
pub async fn enrol<C: ConnectionTrait>(db: &C, enrol: &Enrol) -> Result<Option<HostId>, Error> {
    #[derive(FromQueryResult)]
    struct Id {
        id: String,
    }
    let operation = "enrol a host";
    let id: Option<Id> = row(
        db,
        operation,
        "INSERT INTO hosts (id, name, target, kernel_release, public_key, enrolled_at, last_seen_at, channel,
             enrol_stamp)
         VALUES ($1, $2, $3, $4, $5, $6, $6, COALESCE($7, 'stable'), $8)
         ON CONFLICT (public_key) DO UPDATE SET name = excluded.name, target = excluded.target,
             kernel_release = excluded.kernel_release, enrolled_at = excluded.enrolled_at,
             last_seen_at = excluded.last_seen_at, channel = COALESCE($7, hosts.channel),
             enrol_stamp = excluded.enrol_stamp
         WHERE hosts.enrol_stamp < excluded.enrol_stamp
         RETURNING id",
        vec![
            HostId::new().to_string().into(),
            enrol.name.as_str().into(),
            enrol.target.as_str().into(),
            enrol.release.as_str().into(),
            enrol.public_key.as_str().into(),
            now().into(),
            enrol.channel.map(|c| c.as_str().to_owned()).into(),
            enrol.at.as_microsecond().into(),
        ],
    )
    .await?;
    let Some(id) = id else {
        return Ok(None);
    };
    let id = parse(operation, &id.id)?;
    host_updates::keep_target(db, id, &enrol.target).await?;
    Ok(Some(id))
}

/// Finds a host, without what it runs.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, id: HostId) -> Result<Option<Host>, Error> {
    find_row(db, id).await?.map(HostRow::read).transpose()
}

pub(super) async fn find_row<C: ConnectionTrait>(
    db: &C,
    id: HostId,
) -> Result<Option<HostRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM hosts WHERE id = $1");
    row(db, "look up a host", &sql, vec![id.to_string().into()]).await
}

/// Has a host follow a channel; false if there is no such host.
///
/// # Errors
/// The database's.
pub async fn set_channel<C: ConnectionTrait>(
    db: &C,
    id: HostId,
    channel: Channel,
) -> Result<bool, Error> {
    let values = vec![id.to_string().into(), channel.as_str().into()];
    let sql = "UPDATE hosts SET channel = $2 WHERE id = $1";
    Ok(execute(db, "set a host's channel", sql, values).await? == 1)
}

/// Notes that hosts were heard of until now.
///
/// # Errors
/// The database's.
pub async fn seen<C: ConnectionTrait>(db: &C, hosts: &[HostId]) -> Result<(), Error> {
    for some in hosts.chunks(SEEN_AT_ONCE) {
        let mut values = vec![now().into()];
        values.extend(some.iter().map(|id| id.to_string().into()));
        let all = placeholders(2, some.len());
        let sql = format!("UPDATE hosts SET last_seen_at = $1 WHERE id IN ({all})");
        execute(db, "note polls of hosts", &sql, values).await?;
    }
    Ok(())
}
