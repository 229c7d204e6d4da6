//! Events on their way to subscriptions.

use super::{
    Db, Error, begin, commit, dialect, execute, now, parse, row, rows, time, unsigned, webhooks,
};
use resplice_api::{Delivery, DeliveryState};
use sea_orm::{ConnectionTrait, FromQueryResult};
use std::time::Duration;

/// Most deliveries of a list.
const MAX_LISTED: i64 = 100;

/// Which deliveries may be tried at the time $1.
const DUE: &str = "WHERE state = 'waiting' AND next_at <= $1
    AND (lease_until IS NULL OR lease_until <= $1)
    AND webhook_id IN (SELECT id FROM webhooks WHERE disabled_at IS NULL)";

/// How long a delivery that has ended is kept: 30 days.
const KEPT_MICROS: i64 = 30 * 24 * 3600 * 1_000_000;

/// A delivery that this server may try now.
#[derive(Debug, Clone, FromQueryResult)]
pub struct ClaimRow {
    id: String,
    webhook_id: String,
    payload: String,
    attempts: i64,
}

#[derive(FromQueryResult)]
struct TargetRow {
    url: String,
    rotations: i64,
    rotated_at: Option<i64>,
}

/// One attempt at a delivery, and all that it takes.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The delivery.
    pub id: String,
    /// The subscription.
    pub webhook_id: String,
    /// What is told.
    pub payload: String,
    /// Which attempt this is, from 1.
    pub attempts: u32,
    /// Where it is told.
    pub url: String,
    /// How often its secrets were rotated.
    pub rotations: i64,
    /// Whether those before still sign.
    pub old_secrets: bool,
    lease: String,
}

/// Claims an attempt that is due. Nobody else has the same one; if the server does
/// not end it within the lease, the next one is due.
///
/// # Errors
/// The database's.
pub async fn claim(db: &Db, lease: Duration) -> Result<Option<Claim>, Error> {
    const OPERATION: &str = "claim a delivery";
    let moment = now();
    let until = moment.saturating_add(i64::try_from(lease.as_micros()).unwrap_or(i64::MAX));
    let token = uuid::Uuid::now_v7().to_string();
    let free = dialect::of(db.get_database_backend()).locked_and_free();
    let sql = format!(
        "UPDATE deliveries SET lease = $2, lease_until = $3, attempts = attempts + 1
         WHERE id = (SELECT id FROM deliveries {DUE} ORDER BY next_at, id LIMIT 1{free})
         RETURNING id, webhook_id, payload, attempts"
    );
    let values = vec![moment.into(), token.as_str().into(), until.into()];
    // SQLite would take the write lock for nothing, each second.
    if !is_due(db, moment).await? {
        return Ok(None);
    }
    let claimed: Option<ClaimRow> = row(db, OPERATION, &sql, values).await?;
    let Some(claimed) = claimed else {
        return Ok(None);
    };
    let sql = "SELECT url, rotations, rotated_at FROM webhooks WHERE id = $1";
    let values = vec![claimed.webhook_id.as_str().into()];
    let target: Option<TargetRow> = row(db, OPERATION, sql, values).await?;
    // It was removed between the two statements, and the delivery with it.
    Ok(target.map(|target| Claim {
        id: claimed.id,
        webhook_id: claimed.webhook_id,
        payload: claimed.payload,
        attempts: u32::try_from(claimed.attempts).unwrap_or(u32::MAX),
        url: target.url,
        old_secrets: webhooks::old_secrets_until(target.rotated_at).is_some_and(|end| end > moment),
        rotations: target.rotations,
        lease: token,
    }))
}

#[derive(FromQueryResult)]
struct DueRow {
    #[allow(dead_code, reason = "only whether there is a row matters")]
    id: String,
}

async fn is_due<C: ConnectionTrait>(db: &C, moment: i64) -> Result<bool, Error> {
    let sql = format!("SELECT id FROM deliveries {DUE} LIMIT 1");
    let due: Option<DueRow> = row(db, "look for deliveries", &sql, vec![moment.into()]).await?;
    Ok(due.is_some())
}

/// What comes after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was taken.
    Delivered,
    /// Another one, after a pause.
    In(Duration),
    /// Nothing for anyone: the subscription is disabled, with this reason.
    Disable(String),
}

/// Ends an attempt, if it is still this claim's.
///
/// # Errors
/// The database's.
pub async fn end(
    db: &Db,
    claim: &Claim,
    status: Option<u16>,
    error: Option<String>,
    next: Next,
) -> Result<(), Error> {
    let (state, pause) = match &next {
        Next::Delivered => (DeliveryState::Delivered, Duration::ZERO),
        Next::In(pause) => (DeliveryState::Waiting, *pause),
        Next::Disable(_) => (DeliveryState::Failed, Duration::ZERO),
    };
    let pause = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
    let transaction = begin(db).await?;
    let ended = execute(
        &transaction,
        "end an attempt at a delivery",
        "UPDATE deliveries SET state = $3, next_at = $4, last_status = $5, last_error = $6,
             lease = NULL, lease_until = NULL
         WHERE id = $1 AND lease = $2",
        vec![
            claim.id.as_str().into(),
            claim.lease.as_str().into(),
            state.as_str().into(),
            now().saturating_add(pause).into(),
            status.map(i64::from).into(),
            error.into(),
        ],
    )
    .await?;
    if let (1, Next::Disable(reason)) = (ended, &next) {
        webhooks::disable(&transaction, &claim.webhook_id, reason).await?;
    }
    commit(transaction).await
}

#[derive(FromQueryResult)]
struct DeliveryRow {
    id: String,
    event: String,
    update_id: String,
    created_at: i64,
    state: String,
    attempts: i64,
    next_at: i64,
    last_status: Option<i64>,
    last_error: Option<String>,
}

impl DeliveryRow {
    fn read(self) -> Result<Delivery, Error> {
        let operation = "read a delivery";
        let state: DeliveryState = parse(operation, &self.state)?;
        let waits = state == DeliveryState::Waiting;
        let next = waits.then(|| time(operation, self.next_at)).transpose()?;
        Ok(Delivery {
            id: self.id,
            event: parse(operation, &self.event)?,
            update_id: parse(operation, &self.update_id)?,
            created_at: time(operation, self.created_at)?,
            state,
            attempts: u32::try_from(unsigned(self.attempts)).unwrap_or(u32::MAX),
            next_at: next,
            last_status: self.last_status.and_then(|s| u16::try_from(s).ok()),
            last_error: self.last_error,
        })
    }
}

const COLUMNS: &str =
    "id, event, update_id, created_at, state, attempts, next_at, last_status, last_error";

/// The latest deliveries of a subscription, newest first.
///
/// # Errors
/// The database's.
pub async fn of_webhook<C: ConnectionTrait>(db: &C, id: &str) -> Result<Vec<Delivery>, Error> {
    let sql =
        format!("SELECT {COLUMNS} FROM deliveries WHERE webhook_id = $1 ORDER BY id DESC LIMIT $2");
    let values = vec![id.into(), MAX_LISTED.into()];
    let found: Vec<DeliveryRow> = rows(db, "list the deliveries", &sql, values).await?;
    found.into_iter().map(DeliveryRow::read).collect()
}

/// Has a delivery that has ended sent again, from its first attempt on; none if
/// there is no such one that has ended.
///
/// # Errors
/// The database's.
pub async fn again<C: ConnectionTrait>(
    db: &C,
    webhook: &str,
    id: &str,
) -> Result<Option<Delivery>, Error> {
    let sql = format!(
        "UPDATE deliveries SET state = 'waiting', attempts = 0, next_at = $3
         WHERE id = $1 AND webhook_id = $2 AND state <> 'waiting'
         RETURNING {COLUMNS}"
    );
    let values = vec![id.into(), webhook.into(), now().into()];
    let found: Option<DeliveryRow> = row(db, "send a delivery again", &sql, values).await?;
    found.map(DeliveryRow::read).transpose()
}

/// Forgets what has ended long ago.
///
/// # Errors
/// The database's.
pub async fn forget<C: ConnectionTrait>(db: &C) -> Result<u64, Error> {
    let sql = "DELETE FROM deliveries WHERE state <> 'waiting' AND next_at < $1";
    let end = now().saturating_sub(KEPT_MICROS);
    execute(db, "forget old deliveries", sql, vec![end.into()]).await
}
