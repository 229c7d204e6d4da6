//! Who calls by token, and what has to be known of hosts for their plans: many at once.

use super::{
    Error, hosts, hosts::HostRow, parse, placeholders, row, rows, tokens, tokens::TokenRow,
};
use resplice_api::{Host, HostId, UpdateId};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, QueryResult, Value};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicI64},
};

/// A host that may ask for its plan.
#[derive(Debug, Clone)]
pub struct Polling {
    /// The host, without what it runs.
    pub host: Arc<Host>,
    /// Why it is offered nothing new, if one of its groups is frozen.
    pub frozen: Option<Arc<str>>,
    /// The offers' version: what was offered then, or something newer, has it.
    pub offers_version: i64,
    /// When it was noted last that it was seen, in microseconds.
    pub noted: Arc<AtomicI64>,
}

/// What a plan depends on only where something goes out in waves, or is held.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// What the host runs, by its latest reports.
    pub applied: Vec<UpdateId>,
    /// What it was offered in waves before.
    pub offered: Vec<UpdateId>,
}

/// A token that is known.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its row.
    pub token: Arc<TokenRow>,
    /// The host that it belongs to.
    pub host: Option<Polling>,
    /// The callers' version: what this is now, or something newer, has it.
    pub version: i64,
}

/// How far the numbers are that grow with each change.
#[derive(Debug, Clone, Copy, FromQueryResult)]
pub struct Versions {
    /// Of what is offered.
    pub offers: i64,
    /// Of what is known of hosts that ask.
    pub callers: i64,
}

/// A token, or why it can't be read.
pub type Found = Result<Known, Arc<Error>>;

struct KnownRow {
    token: TokenRow,
    host: Option<HostRow>,
    frozen: Option<String>,
    offers_version: i64,
    callers_version: i64,
}

/// The group that comes first by its name speaks for all that are frozen.
const FROZEN: &str = "(SELECT 'the group ' || f.name || ' is frozen: ' || f.reason
    FROM host_groups g JOIN frozen_groups f ON f.name = g.name
    WHERE g.host_id = h.id ORDER BY f.name LIMIT 1) AS frozen";
const OFFERS: &str = "(SELECT v.number FROM offers_version v) AS offers_version";
/// What it counts, and nothing else, may be kept: the triggers of `m0035_callers_version`.
const CALLERS: &str = "(SELECT c.number FROM callers_version c) AS callers_version";

impl FromQueryResult for KnownRow {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            token: TokenRow::from_query_result(row, "t_")?,
            host: HostRow::from_query_result_optional(row, "h_")?,
            frozen: row.try_get("", "frozen")?,
            offers_version: row.try_get("", "offers_version")?,
            callers_version: row.try_get("", "callers_version")?,
        })
    }
}

/// Columns of a table under a short name, each with that before its own.
fn prefixed(columns: &str, short: &str) -> String {
    let columns = columns.split(',').map(str::trim);
    let all: Vec<String> = columns
        .map(|column| format!("{short}.{column} AS {short}_{column}"))
        .collect();
    all.join(", ")
}

/// The tokens of these public parts; those that are not there are left out. One whose
/// host can't be read is that one's failure alone.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    ids: &[String],
) -> Result<HashMap<String, Found>, Error> {
    let sql = format!(
        "SELECT {}, {}, {FROZEN}, {OFFERS}, {CALLERS}
         FROM tokens t LEFT JOIN hosts h ON h.id = t.host_id WHERE t.id IN ({})",
        prefixed(tokens::COLUMNS, "t"),
        prefixed(hosts::COLUMNS, "h"),
        placeholders(1, ids.len())
    );
    let values = ids.iter().map(|id| id.as_str().into()).collect();
    let found: Vec<KnownRow> = rows(db, "look up tokens", &sql, values).await?;
    let known = |row: KnownRow| {
        let id = row.token.id.clone();
        let host = row
            .host
            .map(|host| polling(host, row.frozen, row.offers_version));
        let known = host.transpose().map(|host| Known {
            token: Arc::new(row.token),
            host,
            version: row.callers_version,
        });
        (id, known.map_err(Arc::new))
    };
    Ok(found.into_iter().map(known).collect())
}

/// A host as if it asked.
///
/// # Errors
/// The database's.
pub async fn host<C: ConnectionTrait>(db: &C, id: HostId) -> Result<Option<Polling>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        #[sea_orm(nested)]
        host: HostRow,
        frozen: Option<String>,
        offers_version: i64,
    }
    let columns = hosts::COLUMNS;
    let sql = format!("SELECT {columns}, {FROZEN}, {OFFERS} FROM hosts h WHERE id = $1");
    let found: Option<Row> = row(db, "look up a host", &sql, vec![id.to_string().into()]).await?;
    let polling = |row: Row| polling(row.host, row.frozen, row.offers_version);
    found.map(polling).transpose()
}

fn polling(host: HostRow, frozen: Option<String>, offers_version: i64) -> Result<Polling, Error> {
    let host = host.read()?;
    Ok(Polling {
        noted: Arc::new(AtomicI64::new(host.last_seen_at.as_microsecond())),
        host: Arc::new(host),
        frozen: frozen.map(Arc::from),
        offers_version,
    })
}

/// How far the numbers are now.
///
/// # Errors
/// The database's.
pub async fn versions<C: ConnectionTrait>(db: &C) -> Result<Versions, Error> {
    let sql = "SELECT v.number AS offers, c.number AS callers
        FROM offers_version v CROSS JOIN callers_version c";
    let operation = "look whether something has changed";
    let found: Option<Versions> = row(db, operation, sql, Vec::new()).await?;
    let missing = || super::failed(operation)(DbErr::RecordNotFound("a version".to_owned()));
    found.ok_or_else(missing)
}

/// The past of these hosts.
///
/// # Errors
/// The database's.
pub async fn past<C: ConnectionTrait>(
    db: &C,
    hosts: &[HostId],
) -> Result<HashMap<HostId, Arc<Past>>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        host_id: String,
        update_id: String,
        is_applied: i64,
    }
    let operation = "look up what hosts run";
    let all = placeholders(1, hosts.len());
    let sql = format!(
        "SELECT host_id, update_id, CAST(1 AS BIGINT) AS is_applied FROM host_updates
             WHERE in_effect = 1 AND host_id IN ({all})
         UNION ALL SELECT host_id, update_id, 0 FROM offered WHERE host_id IN ({all})"
    );
    let values: Vec<Value> = hosts.iter().map(|id| id.to_string().into()).collect();
    let found: Vec<Row> = rows(db, operation, &sql, values).await?;
    let mut past: HashMap<HostId, Past> = HashMap::new();
    for row in found {
        let of = past.entry(parse(operation, &row.host_id)?).or_default();
        let update = parse(operation, &row.update_id)?;
        match row.is_applied {
            1 => of.applied.push(update),
            _ => of.offered.push(update),
        }
    }
    Ok(past
        .into_iter()
        .map(|(id, past)| (id, Arc::new(past)))
        .collect())
}
