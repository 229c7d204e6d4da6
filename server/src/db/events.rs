//! What has happened to updates, and who is to be told.

use super::{
    Db, Error, begin, commit, dialect, execute, json, now, parse, row, rows, time, to_json,
};
use resplice_api::{Channel, NewRevocation, UpdateId, WebhookEvent};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json as value;

/// What has happened to an update.
#[derive(Debug, Clone, Copy)]
pub enum Happened<'a> {
    /// It was released into a channel.
    Released(Channel),
    /// It got to a channel.
    Promoted(Channel),
    /// It was taken back.
    Revoked(&'a NewRevocation),
}

/// Notes what has happened, in the transaction that makes it happen.
///
/// # Errors
/// The database's.
pub async fn note<C: ConnectionTrait>(
    db: &C,
    update: UpdateId,
    happened: Happened<'_>,
) -> Result<(), Error> {
    let (event, channel, reason, undo) = match happened {
        Happened::Released(channel) => (WebhookEvent::Released, Some(channel), "", false),
        Happened::Promoted(channel) => (WebhookEvent::Promoted, Some(channel), "", false),
        Happened::Revoked(new) => (WebhookEvent::Revoked, None, new.reason.as_str(), new.undo),
    };
    execute(
        db,
        "note an event",
        "INSERT INTO events (id, event, update_id, channel, reason, undo, at)
         SELECT $1, $2, u.id, COALESCE($4, u.channel), $5, $6, $7 FROM updates u WHERE u.id = $3",
        vec![
            uuid::Uuid::now_v7().to_string().into(),
            event.as_str().into(),
            update.to_string().into(),
            channel.map(Channel::as_str).into(),
            reason.into(),
            i64::from(undo).into(),
            now().into(),
        ],
    )
    .await
    .map(drop)
}

#[derive(FromQueryResult)]
struct EventRow {
    id: String,
    event: String,
    update_id: String,
    channel: String,
    reason: String,
    undo: i64,
    at: i64,
    name: String,
    cves: String,
}

#[derive(FromQueryResult)]
struct TargetRow {
    target: String,
}

#[derive(FromQueryResult)]
struct WebhookRow {
    id: String,
    events: String,
    channel: String,
}

/// Makes a delivery of the oldest event for each who is subscribed; false if there
/// is no event. Each event is handed out once, whoever tries.
///
/// # Errors
/// The database's.
pub async fn hand_out(db: &Db) -> Result<bool, Error> {
    const OPERATION: &str = "hand out an event";
    // Without a lock, most of the time.
    let open =
        "SELECT e.id, e.event, e.update_id, e.channel, e.reason, e.undo, e.at, u.name, u.cves
         FROM events e JOIN updates u ON u.id = e.update_id
         WHERE e.handed_out_at IS NULL ORDER BY e.id LIMIT 1";
    let found: Option<EventRow> = row(db, OPERATION, open, Vec::new()).await?;
    let Some(event) = found else {
        return Ok(false);
    };
    let transaction = begin(db).await?;
    let mark = "UPDATE events SET handed_out_at = $2 WHERE id = $1 AND handed_out_at IS NULL";
    let values = vec![event.id.as_str().into(), now().into()];
    if execute(&transaction, OPERATION, mark, values).await? == 1 {
        let payload = payload(&transaction, &event).await?;
        for webhook in subscribed(&transaction, &event).await? {
            deliver(&transaction, &event, &webhook, &payload).await?;
        }
    }
    commit(transaction).await?;
    Ok(true)
}

/// What is told: ids and names; all else is in the advisories.
async fn payload<C: ConnectionTrait>(db: &C, event: &EventRow) -> Result<String, Error> {
    let operation = "read an event";
    let sql = "SELECT target FROM jobs WHERE update_id = $1 AND status = 'built' ORDER BY target";
    let values = vec![event.update_id.as_str().into()];
    let targets: Vec<TargetRow> = rows(db, operation, sql, values).await?;
    let targets: Vec<String> = targets.into_iter().map(|row| row.target).collect();
    let cves: Vec<String> = json(operation, &event.cves)?;
    let mut data = value!({
        "update_id": event.update_id,
        "advisory": format!("{}-{}", resplice_feeds::osv::PREFIX, event.update_id),
        "name": event.name,
        "cves": cves,
        "targets": targets,
        "channel": event.channel,
    });
    if event.event == WebhookEvent::Revoked.as_str() {
        data["reason"] = value!(event.reason);
        data["undo"] = value!(event.undo == 1);
    }
    to_json(&value!({
        "type": event.event,
        "timestamp": time(operation, event.at)?.to_string(),
        "data": data,
    }))
}

/// The subscriptions that want to hear of an event: those that were there, and not
/// disabled, when it happened, and whose owner may still read what is released.
async fn subscribed<C: ConnectionTrait>(db: &C, event: &EventRow) -> Result<Vec<String>, Error> {
    let operation = "look up who is subscribed";
    let locked = dialect::of(db.get_database_backend()).locked();
    let sql = format!(
        "SELECT w.id, w.events, w.channel FROM webhooks w
         WHERE w.disabled_at IS NULL AND w.told_from <= $1 AND (
             EXISTS (SELECT 1 FROM tokens t WHERE t.name = w.owner AND t.role = 'vendor'
                 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2))
             OR EXISTS (SELECT 1 FROM users s WHERE s.name = w.owner
                 AND s.disabled_at IS NULL AND s.roles LIKE '%\"vendor\"%'))
         ORDER BY w.id{locked}"
    );
    let values = vec![event.at.into(), now().into()];
    let found: Vec<WebhookRow> = rows(db, operation, &sql, values).await?;
    let what: WebhookEvent = parse(operation, &event.event)?;
    let reached: Channel = parse(operation, &event.channel)?;
    let mut wanted = Vec::new();
    for webhook in found {
        let events: Vec<WebhookEvent> = json(operation, &webhook.events)?;
        let channel: Channel = parse(operation, &webhook.channel)?;
        if events.contains(&what) && channel.gets(reached) {
            wanted.push(webhook.id);
        }
    }
    Ok(wanted)
}

async fn deliver<C: ConnectionTrait>(
    db: &C,
    event: &EventRow,
    webhook: &str,
    payload: &str,
) -> Result<(), Error> {
    execute(
        db,
        "note a delivery",
        "INSERT INTO deliveries (id, webhook_id, event, update_id, payload, created_at, state,
             attempts, next_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, $7)",
        vec![
            format!("msg_{}", uuid::Uuid::now_v7().simple()).into(),
            webhook.into(),
            event.event.as_str().into(),
            event.update_id.as_str().into(),
            payload.into(),
            event.at.into(),
            now().into(),
        ],
    )
    .await
    .map(drop)
}
