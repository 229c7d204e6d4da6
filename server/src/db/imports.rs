//! Imports of kernels: asked for, claimed by a server, told about, ended.

use super::{Db, Error, dialect, execute, json, now, row, rows, time, to_json, unsigned};
use resplice_api::{Import, ImportState, ImportStep};
use sea_orm::{ConnectionTrait, FromQueryResult};
use std::time::Duration;

/// Most imports of a list.
const MAX_LISTED: i64 = 50;
/// How often servers may vanish over one import until it counts as failed.
const MAX_TRIES: i64 = 3;

const COLUMNS: &str = "id, target, asked_by, created_at, started_at, ended_at, state, steps, step,
    done_bytes, total_bytes, reason";

#[derive(FromQueryResult)]
struct ImportRow {
    id: String,
    target: String,
    asked_by: String,
    created_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    state: String,
    steps: String,
    step: Option<String>,
    done_bytes: i64,
    total_bytes: Option<i64>,
    reason: Option<String>,
}

impl ImportRow {
    fn read(self) -> Result<Import, Error> {
        const OPERATION: &str = "read an import";
        let moment = |at: Option<i64>| at.map(|at| time(OPERATION, at)).transpose();
        Ok(Import {
            created_at: time(OPERATION, self.created_at)?,
            started_at: moment(self.started_at)?,
            ended_at: moment(self.ended_at)?,
            state: super::parse(OPERATION, &self.state)?,
            steps: json(OPERATION, &self.steps)?,
            id: self.id,
            target: self.target,
            by: self.asked_by,
            step: self.step,
            done_bytes: unsigned(self.done_bytes),
            total_bytes: self.total_bytes.map(unsigned),
            reason: self.reason,
        })
    }
}

/// How far an import is.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// What has been done.
    pub steps: Vec<ImportStep>,
    /// What is under way.
    pub step: Option<String>,
    /// Bytes of that.
    pub done_bytes: u64,
    /// Bytes that it has in all.
    pub total_bytes: Option<u64>,
}

/// An import that this server may carry out.
#[derive(Debug, Clone, FromQueryResult)]
pub struct Claim {
    /// The import.
    pub id: String,
    /// The kernel.
    pub target: String,
    lease: String,
}

/// Asks for an import; none if there is one for this kernel that has not ended.
///
/// # Errors
/// The database's.
pub async fn create<C: ConnectionTrait>(
    db: &C,
    target: &str,
    person: &str,
) -> Result<Option<Import>, Error> {
    let sql = format!(
        "INSERT INTO imports (id, target, asked_by, created_at, state)
         VALUES ($1, $2, $3, $4, 'waiting') ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
    );
    let id = uuid::Uuid::now_v7().to_string();
    let values = vec![id.into(), target.into(), person.into(), now().into()];
    let made: Option<ImportRow> = row(db, "ask for an import", &sql, values).await?;
    made.map(ImportRow::read).transpose()
}

/// The latest imports, newest first.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C) -> Result<Vec<Import>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM imports ORDER BY id DESC LIMIT $1");
    let found: Vec<ImportRow> = rows(db, "list the imports", &sql, vec![MAX_LISTED.into()]).await?;
    found.into_iter().map(ImportRow::read).collect()
}

#[derive(FromQueryResult)]
struct DueRow {
    #[allow(dead_code, reason = "only whether there is a row matters")]
    id: String,
}

/// Claims an import that waits, or whose server has vanished. One over which too
/// many servers have vanished has failed.
///
/// # Errors
/// The database's.
pub async fn claim(db: &Db, lease: Duration) -> Result<Option<Claim>, Error> {
    const OPERATION: &str = "claim an import";
    const DUE: &str = "WHERE ended_at IS NULL AND (lease_until IS NULL OR lease_until <= $1)";
    let moment = now();
    let sql = format!("SELECT id FROM imports {DUE} LIMIT 1");
    // SQLite would take the write lock for nothing, each second.
    let due: Option<DueRow> = row(db, OPERATION, &sql, vec![moment.into()]).await?;
    if due.is_none() {
        return Ok(None);
    }
    let sql = format!(
        "UPDATE imports SET state = 'failed', ended_at = $1, step = NULL, lease = NULL,
         reason = 'the servers that worked on it vanished, one after another; their logs say why'
         {DUE} AND tries >= $2"
    );
    execute(db, OPERATION, &sql, vec![moment.into(), MAX_TRIES.into()]).await?;
    let token = uuid::Uuid::now_v7().to_string();
    let free = dialect::of(db.get_database_backend()).locked_and_free();
    let sql = format!(
        "UPDATE imports SET lease = $2, lease_until = $3, tries = tries + 1, state = 'running',
         started_at = COALESCE(started_at, $1)
         WHERE id = (SELECT id FROM imports {DUE} ORDER BY id LIMIT 1{free})
         RETURNING id, target, lease"
    );
    let values = vec![moment.into(), token.into(), until(moment, lease).into()];
    row(db, OPERATION, &sql, values).await
}

fn until(moment: i64, lease: Duration) -> i64 {
    moment.saturating_add(i64::try_from(lease.as_micros()).unwrap_or(i64::MAX))
}

/// Tells how far it is, and keeps the claim. False if it is somebody else's now.
///
/// # Errors
/// The database's.
pub async fn tell(
    db: &Db,
    claim: &Claim,
    reached: &Reached,
    lease: Duration,
) -> Result<bool, Error> {
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "UPDATE imports SET steps = $3, step = $4, done_bytes = $5, total_bytes = $6,
        lease_until = $7 WHERE id = $1 AND lease = $2";
    let values = vec![
        claim.id.as_str().into(),
        claim.lease.as_str().into(),
        to_json(&reached.steps)?.into(),
        reached.step.as_deref().into(),
        bytes(reached.done_bytes).into(),
        reached.total_bytes.map(bytes).into(),
        until(now(), lease).into(),
    ];
    Ok(execute(db, "tell of an import", sql, values).await? > 0)
}

/// Gives a claim back: another server, or this one after a restart, goes on.
///
/// # Errors
/// The database's.
pub async fn give_back(db: &Db, claim: &Claim) -> Result<(), Error> {
    let sql = "UPDATE imports SET state = 'waiting', tries = tries - 1, lease = NULL,
        lease_until = NULL, step = NULL WHERE id = $1 AND lease = $2";
    let values = vec![claim.id.as_str().into(), claim.lease.as_str().into()];
    execute(db, "give an import back", sql, values)
        .await
        .map(drop)
}

/// Ends an import, with the reason if it has failed.
///
/// # Errors
/// The database's.
pub async fn end(db: &Db, claim: &Claim, reason: Option<&str>) -> Result<(), Error> {
    let state = if reason.is_some() {
        ImportState::Failed
    } else {
        ImportState::Done
    };
    let sql = "UPDATE imports SET state = $3, ended_at = $4, reason = $5, step = NULL,
        lease = NULL, lease_until = NULL WHERE id = $1 AND lease = $2";
    let values = vec![
        claim.id.as_str().into(),
        claim.lease.as_str().into(),
        state.as_str().into(),
        now().into(),
        reason.into(),
    ];
    execute(db, "end an import", sql, values).await.map(drop)
}
