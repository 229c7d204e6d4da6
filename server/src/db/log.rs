//! The transparency log's rows: entries, and the newest checkpoint.

use super::{Error, execute, parse, row, rows, time, unreadable, unsigned};
use resplice_api::{AuditEntry, LogEntry, LoggedPackage, UpdateId};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

/// How far the log has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub size: u64,
    /// The checkpoint over them; empty before the first.
    pub checkpoint: String,
}

/// A row that is to be appended.
#[derive(Debug)]
pub enum Pending {
    /// An audit entry that was begun.
    Begin(String),
    /// One that was completed.
    Complete(String),
    /// A release.
    Release(UpdateId),
}

#[derive(FromQueryResult)]
struct AuditRow {
    id: String,
    at: i64,
    actor: String,
    role: String,
    action: String,
    object: String,
    result: Option<String>,
    status: Option<i64>,
    completed_at: Option<i64>,
    begin_seq: Option<i64>,
}

const AUDIT: &str = "id, at, actor, role, action, object, result, status, completed_at,
    begin_seq";

impl AuditRow {
    fn begun(&self) -> Result<LogEntry, Error> {
        Ok(LogEntry::Begin {
            audit: self.id.clone(),
            at: time("read the audit log", self.at)?,
            actor: self.actor.clone(),
            role: self.role.clone(),
            action: self.action.clone(),
            object: self.object.clone(),
        })
    }

    fn completed(&self) -> Result<LogEntry, Error> {
        let operation = "read the audit log";
        let at = self
            .completed_at
            .ok_or_else(|| unreadable(operation, "an entry is not complete"))?;
        Ok(LogEntry::Complete {
            audit: self.id.clone(),
            at: time(operation, at)?,
            status: self.status.unwrap_or_default(),
            result: self.result.clone(),
        })
    }

    fn read(self) -> Result<AuditEntry, Error> {
        let operation = "read the audit log";
        Ok(AuditEntry {
            at: time(operation, self.at)?,
            completed_at: self
                .completed_at
                .map(|at| time(operation, at))
                .transpose()?,
            log_index: self.begin_seq.map(unsigned),
            id: self.id,
            actor: self.actor,
            role: self.role,
            action: self.action,
            object: self.object,
            result: self.result,
            status: self.status,
        })
    }
}

/// What entries of the audit log are looked for; the default is all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A part of actor, action or object, whatever its case.
    pub text: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// How the action begins.
    pub action: Option<String>,
    /// It did not come to a good end.
    pub failed: bool,
}

/// A page of the audit log, newest first.
///
/// # Errors
/// The database's.
pub async fn audit<C: ConnectionTrait>(
    db: &C,
    filter: &Filter,
    limit: u64,
    before: Option<&str>,
) -> Result<Vec<AuditEntry>, Error> {
    // Ids sort by time; 'g' is behind all of them.
    let before = before.unwrap_or("g");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut values: Vec<Value> = vec![before.into(), limit.into()];
    let mut conditions = String::new();
    if let Some(text) = &filter.text {
        values.push(super::containing(text).into());
        let n = values.len();
        conditions += &format!(
            " AND (LOWER(actor) LIKE ${n} ESCAPE '\\' OR action LIKE ${n} ESCAPE '\\'
                OR LOWER(object) LIKE ${n} ESCAPE '\\' OR LOWER(result) LIKE ${n} ESCAPE '\\')"
        );
    }
    if let Some(actor) = &filter.actor {
        values.push(actor.as_str().into());
        conditions += &format!(" AND actor = ${}", values.len());
    }
    if let Some(action) = &filter.action {
        values.push(super::beginning(action).into());
        conditions += &format!(" AND action LIKE ${} ESCAPE '\\'", values.len());
    }
    if filter.failed {
        conditions += " AND status >= 400";
    }
    let sql =
        format!("SELECT {AUDIT} FROM audit WHERE id < $1{conditions} ORDER BY id DESC LIMIT $2");
    let found: Vec<AuditRow> = rows(db, "read the audit log", &sql, values).await?;
    found.into_iter().map(AuditRow::read).collect()
}

#[derive(FromQueryResult)]
struct HeadRow {
    size: i64,
    checkpoint: String,
}

/// How far the log has got.
///
/// # Errors
/// The database's.
pub async fn head<C: ConnectionTrait>(db: &C) -> Result<Head, Error> {
    let operation = "read the transparency log";
    let sql = "SELECT size, checkpoint FROM log_head WHERE id = 1";
    let head: Option<HeadRow> = row(db, operation, sql, Vec::new()).await?;
    let head = head.ok_or_else(|| unreadable(operation, "its head is missing"))?;
    Ok(Head {
        size: unsigned(head.size),
        checkpoint: head.checkpoint,
    })
}

/// Keeps others from appending until the end of the transaction.
///
/// # Errors
/// The database's.
pub async fn lock<C: ConnectionTrait>(db: &C) -> Result<(), Error> {
    let sql = "UPDATE log_head SET size = size WHERE id = 1";
    execute(db, "lock the transparency log", sql, Vec::new())
        .await
        .map(drop)
}

/// Sets how far the log has got.
///
/// # Errors
/// The database's.
pub async fn set_head<C: ConnectionTrait>(db: &C, head: &Head) -> Result<(), Error> {
    let sql = "UPDATE log_head SET size = $1, checkpoint = $2 WHERE id = 1";
    let values = vec![number(head.size), head.checkpoint.as_str().into()];
    execute(db, "write the transparency log", sql, values)
        .await
        .map(drop)
}

pub(super) fn number(value: u64) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

/// Rows that are not in the log yet, at most `limit` of each kind, in the order in
/// which they are to be appended.
///
/// # Errors
/// The database's.
pub async fn pending<C: ConnectionTrait>(
    db: &C,
    limit: u32,
) -> Result<Vec<(Pending, LogEntry)>, Error> {
    let operation = "read what is to be logged";
    let limit = i64::from(limit);
    let sql = format!("SELECT {AUDIT} FROM audit WHERE begin_seq IS NULL ORDER BY id LIMIT $1");
    let begun: Vec<AuditRow> = rows(db, operation, &sql, vec![limit.into()]).await?;
    let sql = format!(
        "SELECT {AUDIT} FROM audit WHERE completed_at IS NOT NULL AND complete_seq IS NULL
         ORDER BY id LIMIT $1"
    );
    let completed: Vec<AuditRow> = rows(db, operation, &sql, vec![limit.into()]).await?;
    let mut all = Vec::new();
    for row in &begun {
        all.push((Pending::Begin(row.id.clone()), row.begun()?));
    }
    for row in &completed {
        let has_begun = row.begin_seq.is_some() || begun.iter().any(|b| b.id == row.id);
        if has_begun {
            all.push((Pending::Complete(row.id.clone()), row.completed()?));
        }
    }
    let sql = "SELECT id, released_at, released_by, patch_sha256, release_seq FROM updates
         WHERE released_at IS NOT NULL AND release_seq IS NULL ORDER BY released_at, id LIMIT $1";
    let releases: Vec<ReleaseRow> = rows(db, operation, sql, vec![limit.into()]).await?;
    for release in releases {
        let packages = packages(db, &release.id).await?;
        let id = parse(operation, &release.id)?;
        all.push((Pending::Release(id), release.entry(packages)?));
    }
    Ok(all)
}

#[derive(FromQueryResult)]
struct ReleaseRow {
    id: String,
    released_at: i64,
    released_by: Option<String>,
    patch_sha256: String,
    release_seq: Option<i64>,
}

impl ReleaseRow {
    fn entry(&self, packages: Vec<LoggedPackage>) -> Result<LogEntry, Error> {
        let operation = "read a release";
        Ok(LogEntry::Release {
            update: parse(operation, &self.id)?,
            at: time(operation, self.released_at)?,
            by: self.released_by.clone().unwrap_or_default(),
            patch_sha256: self.patch_sha256.clone(),
            packages,
        })
    }
}

async fn packages<C: ConnectionTrait>(db: &C, update: &str) -> Result<Vec<LoggedPackage>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        target: String,
        package_sha256: String,
    }
    let sql = "SELECT target, package_sha256 FROM jobs
        WHERE update_id = $1 AND status = 'built' AND package_sha256 IS NOT NULL ORDER BY target";
    let found: Vec<Row> = rows(db, "read a release", sql, vec![update.into()]).await?;
    let package = |row: Row| LoggedPackage {
        target: row.target,
        sha256: row.package_sha256,
    };
    Ok(found.into_iter().map(package).collect())
}

/// Writes an entry, and its index into the row that it is about.
///
/// # Errors
/// The database's.
pub async fn append<C: ConnectionTrait>(
    db: &C,
    seq: u64,
    entry: &str,
    about: Option<&Pending>,
) -> Result<(), Error> {
    let operation = "append to the transparency log";
    let sql = "INSERT INTO log_entries (seq, entry) VALUES ($1, $2)";
    execute(db, operation, sql, vec![number(seq), entry.into()]).await?;
    let (sql, id) = match about {
        None => return Ok(()),
        Some(Pending::Begin(id)) => ("UPDATE audit SET begin_seq = $1 WHERE id = $2", id.clone()),
        Some(Pending::Complete(id)) => (
            "UPDATE audit SET complete_seq = $1 WHERE id = $2",
            id.clone(),
        ),
        Some(Pending::Release(id)) => (
            "UPDATE updates SET release_seq = $1 WHERE id = $2",
            id.to_string(),
        ),
    };
    execute(db, operation, sql, vec![number(seq), id.into()])
        .await
        .map(drop)
}

/// Entries from `first` on, at most `limit`, with their indexes.
///
/// # Errors
/// The database's.
pub async fn entries<C: ConnectionTrait>(
    db: &C,
    first: u64,
    limit: u64,
) -> Result<Vec<(u64, String)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        seq: i64,
        entry: String,
    }
    let sql = "SELECT seq, entry FROM log_entries WHERE seq >= $1 ORDER BY seq LIMIT $2";
    let values = vec![number(first), number(limit)];
    let found: Vec<Row> = rows(db, "read the transparency log", sql, values).await?;
    Ok(found
        .into_iter()
        .map(|row| (unsigned(row.seq), row.entry))
        .collect())
}

/// What the tables themselves say of an entry: none if the row is not there.
///
/// # Errors
/// The database's.
pub async fn source<C: ConnectionTrait>(
    db: &C,
    seq: u64,
    entry: &LogEntry,
) -> Result<Option<LogEntry>, Error> {
    let operation = "read the audit log";
    let column = match entry {
        LogEntry::Log { .. } => return Ok(Some(entry.clone())),
        LogEntry::Begin { .. } => "begin_seq",
        LogEntry::Complete { .. } => "complete_seq",
        LogEntry::Release { packages, .. } => {
            let sql = "SELECT id, released_at, released_by, patch_sha256, release_seq FROM updates
                WHERE release_seq = $1 AND released_at IS NOT NULL";
            let found: Option<ReleaseRow> = row(db, operation, sql, vec![number(seq)]).await?;
            // What became of its jobs later is no matter.
            let entry = |release: ReleaseRow| release.entry(packages.clone());
            return found.map(entry).transpose();
        }
    };
    let sql = format!("SELECT {AUDIT} FROM audit WHERE {column} = $1");
    let found: Vec<AuditRow> = rows(db, operation, &sql, vec![number(seq)]).await?;
    let [found] = found.as_slice() else {
        return Ok(None);
    };
    match column {
        "begin_seq" => found.begun().map(Some),
        _ if found.completed_at.is_none() => Ok(None),
        _ => found.completed().map(Some),
    }
}

/// How many rows say that they are in the log: begun, completed, released.
///
/// # Errors
/// The database's.
pub async fn claimed<C: ConnectionTrait>(db: &C) -> Result<[u64; 3], Error> {
    #[derive(FromQueryResult)]
    struct Row {
        begun: i64,
        completed: i64,
        released: i64,
    }
    let operation = "read the audit log";
    let sql = "SELECT (SELECT COUNT(begin_seq) FROM audit) AS begun,
        (SELECT COUNT(complete_seq) FROM audit) AS completed,
        (SELECT COUNT(release_seq) FROM updates) AS released";
    let found: Option<Row> = row(db, operation, sql, Vec::new()).await?;
    let found = found.ok_or_else(|| unreadable(operation, "no count came back"))?;
    Ok([found.begun, found.completed, found.released].map(unsigned))
}

/// The index of an update's release.
///
/// # Errors
/// The database's.
pub async fn of_release<C: ConnectionTrait>(
    db: &C,
    update: UpdateId,
) -> Result<Option<u64>, Error> {
    let sql = "SELECT id, released_at, released_by, patch_sha256, release_seq FROM updates
        WHERE id = $1 AND released_at IS NOT NULL";
    let values = vec![update.to_string().into()];
    let found: Option<ReleaseRow> = row(db, "look up a release", sql, values).await?;
    Ok(found.and_then(|row| row.release_seq).map(unsigned))
}
