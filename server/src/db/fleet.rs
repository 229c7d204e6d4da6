//! Numbers about the whole fleet, and about an update over time.

use super::{Error, json, parse, row, rows, time, unsigned};
use jiff::Timestamp;
use resplice_api::{Channel, ReportEvent, RolloutState, UpdateId};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

/// Hosts that have this much in common.
#[derive(Debug)]
pub struct Hosts {
    /// Id of their target.
    pub target: String,
    /// The channel that they follow.
    pub channel: Channel,
    /// Whether they are silent.
    pub silent: bool,
    /// How many they are.
    pub count: u64,
}

/// Hosts by target, channel, and whether they were heard of since a moment.
///
/// # Errors
/// The database's.
pub async fn hosts<C: ConnectionTrait>(db: &C, since: i64) -> Result<Vec<Hosts>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        target: String,
        channel: String,
        silent: i64,
        hosts: i64,
    }
    let operation = "count the hosts";
    let sql = "SELECT target, channel,
            CASE WHEN last_seen_at < $1 THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS silent,
            COUNT(*) AS hosts
        FROM hosts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    let found: Vec<Row> = rows(db, operation, sql, vec![since.into()]).await?;
    let count = |row: Row| {
        Ok(Hosts {
            channel: parse(operation, &row.channel)?,
            target: row.target,
            silent: row.silent == 1,
            count: unsigned(row.hosts),
        })
    };
    found.into_iter().map(count).collect()
}

/// Hosts of a target on which an update stands so.
#[derive(Debug)]
pub struct Standing {
    /// The update.
    pub update: UpdateId,
    /// The target that the hosts had when they said so.
    pub target: String,
    /// Whether it is in effect.
    pub in_effect: bool,
    /// What they said last.
    pub event: ReportEvent,
    /// With this code.
    pub code: Option<String>,
    /// How many said so.
    pub count: u64,
}

/// How all updates stand on all hosts.
///
/// # Errors
/// The database's.
pub async fn standings<C: ConnectionTrait>(db: &C) -> Result<Vec<Standing>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        update_id: String,
        target: String,
        in_effect: i64,
        event: String,
        code: Option<String>,
        hosts: i64,
    }
    let operation = "count how updates stand";
    let sql = "SELECT update_id, target, in_effect, event, code, COUNT(*) AS hosts
        FROM host_updates GROUP BY update_id, target, in_effect, event, code";
    let found: Vec<Row> = rows(db, operation, sql, Vec::new()).await?;
    let standing = |row: Row| {
        Ok(Standing {
            update: parse(operation, &row.update_id)?,
            target: row.target,
            in_effect: row.in_effect == 1,
            event: super::host_updates::event(operation, row.event)?,
            code: row.code,
            count: unsigned(row.hosts),
        })
    };
    found.into_iter().map(standing).collect()
}

/// An update, as far as the fleet's numbers need it.
#[derive(Debug)]
pub struct Update {
    /// Its id.
    pub id: UpdateId,
    /// One line for people.
    pub name: String,
    /// CVE ids that it fixes.
    pub cves: Vec<String>,
    /// When it was released.
    pub released_at: Option<Timestamp>,
    /// The channel that it has got to.
    pub channel: Option<Channel>,
    /// How its rollout in waves stands.
    pub rollout: Option<RolloutState>,
    /// Whether a released update takes its place.
    pub superseded: bool,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Whether it was rejected.
    pub rejected: bool,
    /// Its targets, and how their jobs stand.
    pub jobs: Vec<(String, String)>,
}

/// All updates that are released, or for a CVE; newest first.
///
/// # Errors
/// The database's.
pub async fn updates<C: ConnectionTrait>(db: &C) -> Result<Vec<Update>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: String,
        name: String,
        cves: String,
        released_at: Option<i64>,
        channel: Option<String>,
        state: Option<String>,
        successors: i64,
        revoked_at: Option<i64>,
        rejected_at: Option<i64>,
    }
    #[derive(FromQueryResult)]
    struct JobRow {
        update_id: String,
        target: String,
        status: String,
    }
    let operation = "list what the fleet could run";
    let sql = "SELECT u.id, u.name, u.cves, u.released_at, u.channel, u.revoked_at, u.rejected_at, r.state,
            (SELECT COUNT(*) FROM supersedes s JOIN updates n ON n.id = s.update_id
                WHERE s.older_id = u.id AND n.released_at IS NOT NULL
                  AND n.revoked_at IS NULL) AS successors
        FROM updates u LEFT JOIN rollouts r ON r.update_id = u.id
        WHERE u.released_at IS NOT NULL OR u.cves <> '[]' ORDER BY u.id DESC";
    let found: Vec<Row> = rows(db, operation, sql, Vec::new()).await?;
    let sql = "SELECT update_id, target, status FROM jobs ORDER BY update_id DESC, target";
    let jobs: Vec<JobRow> = rows(db, operation, sql, Vec::new()).await?;
    let mut jobs = jobs.into_iter().peekable();
    let mut all = Vec::new();
    for row in found {
        let mut update = Update {
            id: parse(operation, &row.id)?,
            name: row.name,
            cves: json(operation, &row.cves)?,
            released_at: row.released_at.map(|at| time(operation, at)).transpose()?,
            channel: row.channel.map(|c| parse(operation, &c)).transpose()?,
            rollout: row.state.map(|s| parse(operation, &s)).transpose()?,
            superseded: row.successors > 0,
            revoked: row.revoked_at.is_some(),
            rejected: row.rejected_at.is_some(),
            jobs: Vec::new(),
        };
        // Both are in the order of updates' ids; those of others are passed over.
        while let Some(job) = jobs.next_if(|job| job.update_id >= row.id) {
            if job.update_id == row.id {
                update.jobs.push((job.target, job.status));
            }
        }
        all.push(update);
    }
    Ok(all)
}

/// Hosts by target that run at least one of these updates.
///
/// # Errors
/// The database's.
pub async fn running_any<C: ConnectionTrait>(
    db: &C,
    updates: &[UpdateId],
) -> Result<Vec<(String, u64)>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        target: String,
        hosts: i64,
    }
    let values: Vec<Value> = updates.iter().map(|id| id.to_string().into()).collect();
    let list = super::placeholders(1, values.len());
    let sql = format!(
        "SELECT target, COUNT(DISTINCT host_id) AS hosts FROM host_updates
         WHERE in_effect = 1 AND update_id IN ({list}) GROUP BY target"
    );
    let found: Vec<Row> = rows(db, "count fixed hosts", &sql, values).await?;
    let pair = |row: Row| (row.target, unsigned(row.hosts));
    Ok(found.into_iter().map(pair).collect())
}

#[derive(FromQueryResult)]
struct Bin {
    bin: i64,
    n: i64,
}

/// How many updates came into effect on hosts, by numbered intervals of `width` µs
/// since 1970, from a moment on.
///
/// # Errors
/// The database's.
pub async fn applied_by_time<C: ConnectionTrait>(
    db: &C,
    since: i64,
    width: i64,
) -> Result<Vec<(i64, u64)>, Error> {
    let sql = "SELECT applied_at / $2 AS bin, COUNT(*) AS n FROM host_updates
        WHERE in_effect = 1 AND applied_at >= $1 GROUP BY 1 ORDER BY 1";
    let operation = "count what came into effect";
    bins(db, operation, sql, vec![since.into(), width.into()]).await
}

/// Upper bounds of pauses that are told apart, in microseconds.
pub const PAUSE_BOUNDS_US: [u64; 5] = [50, 100, 500, 1_000, 10_000];

/// How many of what is in effect stopped its host for how long: by the bounds that
/// are below it.
///
/// # Errors
/// The database's.
pub async fn pauses<C: ConnectionTrait>(db: &C) -> Result<Vec<(i64, u64)>, Error> {
    let mut cases = String::new();
    for (number, bound) in PAUSE_BOUNDS_US.iter().enumerate() {
        let ns = bound * 1000;
        cases.push_str(&format!(
            " WHEN pause_ns < {ns} THEN CAST({number} AS BIGINT)"
        ));
    }
    let last = PAUSE_BOUNDS_US.len();
    let sql = format!(
        "SELECT CASE{cases} ELSE CAST({last} AS BIGINT) END AS bin, COUNT(*) AS n
         FROM host_updates WHERE in_effect = 1 AND pause_ns IS NOT NULL GROUP BY 1 ORDER BY 1"
    );
    bins(db, "count the pauses", &sql, Vec::new()).await
}

/// What an update's hosts are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// It was in their plan, in waves.
    Offered,
    /// It came into effect, and still is.
    Applied,
    /// It could not be applied.
    Failed,
}

/// When something happened to an update on hosts: by intervals of `width` µs since
/// `from`, where what was before is in the first one.
///
/// # Errors
/// The database's.
pub async fn over_time<C: ConnectionTrait>(
    db: &C,
    update: UpdateId,
    what: Happened,
    from: i64,
    width: i64,
) -> Result<Vec<(i64, u64)>, Error> {
    let (table, at, condition) = match what {
        Happened::Offered => ("offered", "offered_at", ""),
        Happened::Applied => ("host_updates", "applied_at", "AND in_effect = 1"),
        Happened::Failed => (
            "host_updates",
            "at",
            "AND in_effect = 0 AND event IN ('failed', 'refused')",
        ),
    };
    let sql = format!(
        "SELECT CASE WHEN {at} < $2 THEN CAST(0 AS BIGINT) ELSE ({at} - $2) / $3 END AS bin,
             COUNT(*) AS n
         FROM {table} WHERE update_id = $1 {condition} GROUP BY 1 ORDER BY 1"
    );
    let values = vec![update.to_string().into(), from.into(), width.into()];
    bins(db, "count an update's progress", &sql, values).await
}

async fn bins<C: ConnectionTrait>(
    db: &C,
    operation: &'static str,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<(i64, u64)>, Error> {
    let found: Vec<Bin> = rows(db, operation, sql, values).await?;
    let pair = |row: Bin| (row.bin, unsigned(row.n));
    Ok(found.into_iter().map(pair).collect())
}

/// Hosts of an update's built targets that get what is in its channel, and when its
/// rollout began, or else its release.
///
/// # Errors
/// The database's.
pub async fn audience<C: ConnectionTrait>(
    db: &C,
    update: UpdateId,
    channel: Channel,
) -> Result<(u64, Option<i64>), Error> {
    #[derive(FromQueryResult)]
    struct Row {
        hosts: i64,
        began: Option<i64>,
    }
    let gets = Channel::ALL.into_iter().filter(|c| c.gets(channel));
    let list: Vec<String> = gets.map(|c| format!("'{c}'")).collect();
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM hosts WHERE channel IN ({}) AND target IN
             (SELECT target FROM jobs WHERE update_id = $1 AND status = 'built')) AS hosts,
             COALESCE((SELECT started_at FROM rollouts WHERE update_id = $1),
                 (SELECT released_at FROM updates WHERE id = $1)) AS began",
        list.join(", ")
    );
    let values = vec![update.to_string().into()];
    let found: Option<Row> = row(db, "count an update's hosts", &sql, values).await?;
    Ok(found.map_or((0, None), |row| (unsigned(row.hosts), row.began)))
}
