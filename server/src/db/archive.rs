//! Which kernels the archive had at the last look.

use super::{Db, Error, begin, commit, execute, json, now, placeholders, row, rows, time, to_json};
use resplice_api::{Archive, Kernel};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// How long a kernel counts as new: 30 days.
const NEW_MICROS: i64 = 30 * 24 * 3600 * 1_000_000;

/// A kernel that a look has found.
pub struct Found {
    /// The target.
    pub target: String,
    /// The version that an import would take.
    pub package_version: String,
    /// What an import lacks.
    pub missing: Vec<String>,
}

#[derive(FromQueryResult)]
struct KernelRow {
    target: String,
    package_version: String,
    missing: String,
    first_seen_at: i64,
}

#[derive(FromQueryResult)]
struct LookRow {
    first_at: i64,
    looked_at: i64,
    problem: Option<String>,
}

async fn look<C: ConnectionTrait>(db: &C) -> Result<Option<LookRow>, Error> {
    let sql = "SELECT first_at, looked_at, problem FROM archive_look WHERE id = 1";
    row(db, "read the last look at the archive", sql, Vec::new()).await
}

/// What the last look found, the newest kernel first.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C) -> Result<Archive, Error> {
    let operation = "list the archive's kernels";
    let Some(look) = look(db).await? else {
        return Ok(Archive::default());
    };
    let sql = "SELECT target, package_version, missing, first_seen_at FROM archive_kernels
        ORDER BY place DESC";
    let found: Vec<KernelRow> = rows(db, operation, sql, Vec::new()).await?;
    let young = now().saturating_sub(NEW_MICROS);
    let kernel = |row: KernelRow| {
        Ok(Kernel {
            is_new: row.first_seen_at > look.first_at && row.first_seen_at > young,
            missing: json(operation, &row.missing)?,
            first_seen_at: time(operation, row.first_seen_at)?,
            id: row.target,
            package_version: row.package_version,
        })
    };
    Ok(Archive {
        looked_at: Some(time(operation, look.looked_at)?),
        kernels: found
            .into_iter()
            .map(kernel)
            .collect::<Result<_, Error>>()?,
        problem: look.problem,
    })
}

/// When the archive was last looked at, in microseconds.
///
/// # Errors
/// The database's.
pub async fn looked_at<C: ConnectionTrait>(db: &C) -> Result<Option<i64>, Error> {
    Ok(look(db).await?.map(|look| look.looked_at))
}

/// Notes what a look has found, the oldest first; kernels that are gone from the
/// archive go. Returns those that had not been there at an earlier look.
///
/// # Errors
/// The database's.
pub async fn note(db: &Db, kernels: &[Found]) -> Result<Vec<String>, Error> {
    const OPERATION: &str = "note the archive's kernels";
    let moment = now();
    let transaction = begin(db).await?;
    let known: Vec<KernelRow> = rows(
        &transaction,
        OPERATION,
        "SELECT target, package_version, missing, first_seen_at FROM archive_kernels",
        Vec::new(),
    )
    .await?;
    // The first look that finds something is what others are held against.
    let first = known.is_empty();
    if first {
        let sql = "DELETE FROM archive_look";
        execute(&transaction, OPERATION, sql, Vec::new()).await?;
    }
    for gone in known
        .iter()
        .filter(|row| kernels.iter().all(|kernel| kernel.target != row.target))
    {
        let sql = "DELETE FROM archive_kernels WHERE target = $1";
        let values = vec![gone.target.as_str().into()];
        execute(&transaction, OPERATION, sql, values).await?;
    }
    for (place, kernel) in kernels.iter().enumerate() {
        let sql = format!(
            "INSERT INTO archive_kernels (target, package_version, missing, place, first_seen_at)
             VALUES ({}) ON CONFLICT (target) DO UPDATE SET
             package_version = excluded.package_version, missing = excluded.missing,
             place = excluded.place",
            placeholders(1, 5)
        );
        let values = vec![
            kernel.target.as_str().into(),
            kernel.package_version.as_str().into(),
            to_json(&kernel.missing)?.into(),
            i64::try_from(place).unwrap_or(i64::MAX).into(),
            moment.into(),
        ];
        execute(&transaction, OPERATION, &sql, values).await?;
    }
    note_look(&transaction, moment, None).await?;
    commit(transaction).await?;
    let is_new = |found: &&Found| !first && known.iter().all(|row| row.target != found.target);
    let new = kernels.iter().filter(is_new);
    Ok(new.map(|found| found.target.clone()).collect())
}

/// Notes that a look has failed; what the last good one found stays.
///
/// # Errors
/// The database's.
pub async fn note_problem(db: &Db, problem: &str) -> Result<(), Error> {
    note_look(db, now(), Some(problem)).await
}

async fn note_look<C: ConnectionTrait>(
    db: &C,
    moment: i64,
    problem: Option<&str>,
) -> Result<(), Error> {
    let values = vec![moment.into(), problem.into()];
    let sql = "INSERT INTO archive_look (id, first_at, looked_at, problem) VALUES (1, $1, $1, $2)
        ON CONFLICT (id) DO UPDATE SET looked_at = excluded.looked_at, problem = excluded.problem";
    execute(db, "note a look at the archive", sql, values)
        .await
        .map(drop)
}
