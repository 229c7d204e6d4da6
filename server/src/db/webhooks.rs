//! Subscriptions of vendors.

use super::{Db, Error, begin, commit, execute, json, now, parse, row, rows, time, to_json};
use resplice_api::{Disabled, NewWebhook, Webhook};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// How long the secrets before a rotation sign as well: a day.
const OLD_SECRETS_MICROS: i64 = 24 * 3600 * 1_000_000;
/// Most subscriptions of one owner.
pub const MAX_OF_OWNER: i64 = 20;

const COLUMNS: &str = "id, url, events, channel, created_at, rotations, rotated_at, disabled_at,
    disabled_reason";

#[derive(FromQueryResult)]
struct WebhookRow {
    id: String,
    url: String,
    events: String,
    channel: String,
    created_at: i64,
    rotations: i64,
    rotated_at: Option<i64>,
    disabled_at: Option<i64>,
    disabled_reason: Option<String>,
}

/// Until when the secrets before a rotation sign as well.
pub(super) fn old_secrets_until(rotated_at: Option<i64>) -> Option<i64> {
    rotated_at.map(|at| at.saturating_add(OLD_SECRETS_MICROS))
}

impl WebhookRow {
    fn read(self) -> Result<(Webhook, i64), Error> {
        let operation = "read a webhook";
        let old = old_secrets_until(self.rotated_at).filter(|end| *end > now());
        let disabled = match self.disabled_at {
            Some(at) => Some(Disabled {
                at: time(operation, at)?,
                reason: self.disabled_reason.unwrap_or_default(),
            }),
            None => None,
        };
        let webhook = Webhook {
            id: self.id,
            url: self.url,
            events: json(operation, &self.events)?,
            channel: parse(operation, &self.channel)?,
            created_at: time(operation, self.created_at)?,
            old_secrets_until: old.map(|end| time(operation, end)).transpose()?,
            disabled,
        };
        Ok((webhook, self.rotations))
    }
}

#[derive(FromQueryResult)]
struct CountRow {
    count: i64,
}

/// Makes a subscription; none if its owner has as many as may be.
///
/// # Errors
/// The database's.
pub async fn create(db: &Db, owner: &str, new: &NewWebhook) -> Result<Option<Webhook>, Error> {
    let operation = "make a webhook";
    let id = uuid::Uuid::now_v7().to_string();
    let transaction = begin(db).await?;
    let sql = "SELECT COUNT(*) AS count FROM webhooks WHERE owner = $1";
    let count: Option<CountRow> = row(&transaction, operation, sql, vec![owner.into()]).await?;
    if count.is_some_and(|row| row.count >= MAX_OF_OWNER) {
        return Ok(None);
    }
    execute(
        &transaction,
        operation,
        "INSERT INTO webhooks (id, owner, url, events, channel, created_at, told_from, rotations)
         VALUES ($1, $2, $3, $4, $5, $6, $6, 0)",
        vec![
            id.as_str().into(),
            owner.into(),
            new.url.as_str().into(),
            to_json(&new.events)?.into(),
            new.channel.as_str().into(),
            now().into(),
        ],
    )
    .await?;
    let made = find(&transaction, owner, &id).await?;
    commit(transaction).await?;
    Ok(made.map(|(webhook, _)| webhook))
}

/// The subscriptions of an owner, oldest first.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C, owner: &str) -> Result<Vec<Webhook>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE owner = $1 ORDER BY id");
    let found: Vec<WebhookRow> = rows(db, "list the webhooks", &sql, vec![owner.into()]).await?;
    let webhook = |row: WebhookRow| row.read().map(|(webhook, _)| webhook);
    found.into_iter().map(webhook).collect()
}

/// A subscription of an owner, and how often its secrets were rotated.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    owner: &str,
    id: &str,
) -> Result<Option<(Webhook, i64)>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = $1 AND owner = $2");
    let values = vec![id.into(), owner.into()];
    let found: Option<WebhookRow> = row(db, "look up a webhook", &sql, values).await?;
    found.map(WebhookRow::read).transpose()
}

/// Removes a subscription with its deliveries; false if there is none.
///
/// # Errors
/// The database's.
pub async fn remove<C: ConnectionTrait>(db: &C, owner: &str, id: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM webhooks WHERE id = $1 AND owner = $2";
    let values = vec![id.into(), owner.into()];
    Ok(execute(db, "remove a webhook", sql, values).await? == 1)
}

/// Gives a subscription new secrets. A second rotation within a day ends those
/// before the first one.
///
/// # Errors
/// The database's.
pub async fn rotate<C: ConnectionTrait>(
    db: &C,
    owner: &str,
    id: &str,
) -> Result<Option<(Webhook, i64)>, Error> {
    let sql = format!(
        "UPDATE webhooks SET rotations = rotations + 1, rotated_at = $3
         WHERE id = $1 AND owner = $2 RETURNING {COLUMNS}"
    );
    let values = vec![id.into(), owner.into(), now().into()];
    let found: Option<WebhookRow> = row(db, "rotate secrets", &sql, values).await?;
    found.map(WebhookRow::read).transpose()
}

/// Sends nothing to a subscription any more, and gives up what is on its way.
///
/// # Errors
/// The database's.
pub(super) async fn disable<C: ConnectionTrait>(
    db: &C,
    id: &str,
    reason: &str,
) -> Result<(), Error> {
    let operation = "disable a webhook";
    let sql = "UPDATE webhooks SET disabled_at = $2, disabled_reason = $3
         WHERE id = $1 AND disabled_at IS NULL";
    let values = vec![id.into(), now().into(), reason.into()];
    execute(db, operation, sql, values).await?;
    let sql = "UPDATE deliveries SET state = 'failed', last_error = $2
         WHERE webhook_id = $1 AND state = 'waiting' AND lease IS NULL";
    let values = vec![id.into(), "the webhook was disabled".into()];
    execute(db, operation, sql, values).await.map(drop)
}

/// Lets a subscription be told again, of what happens from now on; none if there is no such one.
///
/// # Errors
/// The database's.
pub async fn enable<C: ConnectionTrait>(
    db: &C,
    owner: &str,
    id: &str,
) -> Result<Option<Webhook>, Error> {
    let sql = format!(
        "UPDATE webhooks SET disabled_at = NULL, disabled_reason = NULL, told_from = $3
         WHERE id = $1 AND owner = $2 RETURNING {COLUMNS}"
    );
    let values = vec![id.into(), owner.into(), now().into()];
    let found: Option<WebhookRow> = row(db, "enable a webhook", &sql, values).await?;
    Ok(found
        .map(WebhookRow::read)
        .transpose()?
        .map(|(webhook, _)| webhook))
}
