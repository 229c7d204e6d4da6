//! Build logs. How many bytes a log has stands with its attempt, and is the fence:
//! whoever appends says where the log ends, and is right or changes nothing.

use super::{Db, Error, begin, commit, dialect, execute, row, rows, unreadable, unsigned};
use resplice_api::JobId;
use sea_orm::{ConnectionTrait, FromQueryResult};

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The log ends here now.
    End(u64),
    /// The attempt does not hold the job.
    Stale,
    /// The log ends here, and not where the bytes were for.
    Elsewhere(u64),
}

/// Appends bytes at `offset`, if that is the log's end and the attempt holds the job.
///
/// # Errors
/// The database's.
pub async fn append(
    db: &Db,
    job: JobId,
    attempt: u32,
    offset: u64,
    bytes: &[u8],
) -> Result<Appended, Error> {
    let operation = "append to a log";
    let dialect = dialect::of(db.get_database_backend());
    let id = job.to_string();
    let transaction = begin(db).await?;
    // Locked: the attempt does not end before these bytes are there.
    let sql = format!(
        "SELECT attempt FROM jobs WHERE id = $1 AND attempt = $2 AND status = 'running'{}",
        dialect.locked()
    );
    let values = vec![id.as_str().into(), i64::from(attempt).into()];
    let holder: Option<Holder> = row(&transaction, operation, &sql, values).await?;
    if holder.is_none_or(|holder| holder.attempt != i64::from(attempt)) {
        return Ok(Appended::Stale);
    }
    let moved = execute(
        &transaction,
        operation,
        "UPDATE attempts SET log_bytes = log_bytes + $4
         WHERE job_id = $1 AND attempt = $2 AND log_bytes = $3",
        vec![
            id.as_str().into(),
            i64::from(attempt).into(),
            signed(offset).into(),
            signed(bytes.len() as u64).into(),
        ],
    )
    .await?;
    if moved == 0 {
        let end = size(&transaction, job, attempt).await?;
        return Ok(Appended::Elsewhere(end));
    }
    insert(&transaction, &id, attempt, offset, bytes).await?;
    notify(&transaction, job).await?;
    commit(transaction).await?;
    Ok(Appended::End(offset + bytes.len() as u64))
}

#[derive(FromQueryResult)]
struct Holder {
    attempt: i64,
}

async fn insert<C: ConnectionTrait>(
    db: &C,
    job: &str,
    attempt: u32,
    at: u64,
    bytes: &[u8],
) -> Result<(), Error> {
    execute(
        db,
        "append to a log",
        "INSERT INTO attempt_log (job_id, attempt, at, bytes) VALUES ($1, $2, $3, $4)",
        vec![
            job.into(),
            i64::from(attempt).into(),
            signed(at).into(),
            bytes.to_vec().into(),
        ],
    )
    .await
    .map(drop)
}

/// Size of an attempt's log in bytes; 0 if there is no such attempt.
///
/// # Errors
/// The database's.
pub async fn size<C: ConnectionTrait>(db: &C, job: JobId, attempt: u32) -> Result<u64, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        log_bytes: i64,
    }
    let sql = "SELECT log_bytes FROM attempts WHERE job_id = $1 AND attempt = $2";
    let values = vec![job.to_string().into(), i64::from(attempt).into()];
    let found: Option<Row> = row(db, "look at a log", sql, values).await?;
    Ok(found.map_or(0, |row| unsigned(row.log_bytes)))
}

/// Reads from `offset`: at most `limit` bytes and none beyond the end.
///
/// # Errors
/// The database's; a piece that is missing is one.
pub async fn read<C: ConnectionTrait>(
    db: &C,
    job: JobId,
    attempt: u32,
    offset: u64,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        at: i64,
        bytes: Vec<u8>,
    }
    let operation = "read a log";
    // The piece that `offset` lies in, and those that begin before the limit. Its
    // size is bounded, so all of this is.
    let sql = "SELECT at, bytes FROM attempt_log
         WHERE job_id = $1 AND attempt = $2 AND at < $4 AND at >= COALESCE(
             (SELECT MAX(at) FROM attempt_log WHERE job_id = $1 AND attempt = $2 AND at <= $3), 0)
         ORDER BY at";
    let values = vec![
        job.to_string().into(),
        i64::from(attempt).into(),
        signed(offset).into(),
        signed(offset.saturating_add(limit)).into(),
    ];
    let found: Vec<Row> = rows(db, operation, sql, values).await?;
    let mut read = Vec::new();
    for piece in found {
        let next = offset + read.len() as u64;
        let skip = next.checked_sub(unsigned(piece.at));
        let skip = skip.ok_or_else(|| unreadable(operation, "a piece of it is missing"))?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        read.extend_from_slice(piece.bytes.get(skip..).unwrap_or_default());
    }
    read.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(read)
}

/// Takes in a log that an earlier version has kept in a file; false if there is no
/// such attempt, or it has a log.
///
/// # Errors
/// The database's.
pub async fn import(
    db: &Db,
    job: JobId,
    attempt: u32,
    log: &[u8],
    piece_bytes: usize,
) -> Result<bool, Error> {
    let id = job.to_string();
    let transaction = begin(db).await?;
    let sql =
        "UPDATE attempts SET log_bytes = $3 WHERE job_id = $1 AND attempt = $2 AND log_bytes = 0";
    let values = vec![
        id.as_str().into(),
        i64::from(attempt).into(),
        signed(log.len() as u64).into(),
    ];
    if execute(&transaction, "take in a log", sql, values).await? == 0 {
        return Ok(false);
    }
    for (number, piece) in log.chunks(piece_bytes).enumerate() {
        let at = (number * piece_bytes) as u64;
        insert(&transaction, &id, attempt, at, piece).await?;
    }
    commit(transaction).await?;
    Ok(true)
}

/// Tells all servers on this database that a job or its log has changed.
///
/// # Errors
/// The database's.
pub async fn notify<C: ConnectionTrait>(db: &C, job: JobId) -> Result<(), Error> {
    match dialect::of(db.get_database_backend()).notify() {
        Some(sql) => {
            let values = vec![job.to_string().into()];
            execute(db, "tell the other servers", sql, values)
                .await
                .map(drop)
        }
        None => Ok(()),
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
