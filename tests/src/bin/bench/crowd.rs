//! A database as it is after years: many hosts and updates, put there by SQL.

use anyhow::{Context, Result};
use resplice_package::SecretKey;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use std::path::Path;

pub const HOSTS: usize = 100_000;
pub const UPDATES: usize = 10_000;
/// Kernels that they are for.
pub const TARGETS: usize = 40;
/// Every so manieth update is released.
const RELEASED: usize = 25;
/// Updates that each host runs.
const APPLIED: usize = 3;
pub const AUDITED: usize = 100_000;
/// Rows of one statement.
const ROWS: usize = 1000;
/// 2026-01-01, in microseconds.
const BEGAN: u64 = 1_767_225_600_000_000;
const SECOND: u64 = 1_000_000;

/// The server's database, reached beside the server.
pub enum Connected {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connected {
    pub async fn to_sqlite(file: &Path) -> Result<Self> {
        let url = format!("sqlite://{}", file.display());
        Ok(Self::Sqlite(SqliteConnection::connect(&url).await?))
    }

    pub async fn to_postgres(url: &str) -> Result<Self> {
        Ok(Self::Postgres(PgConnection::connect(url).await?))
    }

    async fn execute(&mut self, sql: String) -> Result<()> {
        let start: String = sql.chars().take(60).collect();
        let sql = AssertSqlSafe(sql);
        let done = match self {
            Self::Sqlite(connection) => connection.execute(sql).await.map(drop),
            Self::Postgres(connection) => connection.execute(sql).await.map(drop),
        };
        done.with_context(|| format!("run {start}…"))
    }

    async fn insert(
        &mut self,
        into: &str,
        count: usize,
        row: impl Fn(usize) -> String,
    ) -> Result<()> {
        for first in (0..count).step_by(ROWS) {
            let rows: Vec<String> = (first..count.min(first + ROWS)).map(&row).collect();
            self.execute(format!("INSERT INTO {into} VALUES {}", rows.join(",")))
                .await?;
        }
        Ok(())
    }
}

/// An id of a kind, in the order of its number.
pub fn id(kind: u8, number: usize) -> String {
    format!(
        "019b0000-{:04x}-7{kind:03x}-8000-{number:012x}",
        number >> 16
    )
}

fn target(number: usize) -> String {
    format!("debian:6.1.0-{}-amd64", number % TARGETS)
}

/// A host that polls.
pub struct Polling {
    pub id: String,
    pub token: String,
}

pub fn host(number: usize) -> Polling {
    let public = hex::encode(&Sha256::digest(number.to_le_bytes())[..8]);
    Polling {
        id: id(1, number),
        token: format!("rsp-{public}-{number:064x}"),
    }
}

/// Fills a database that has no hosts.
pub async fn fill(db: &mut Connected) -> Result<()> {
    let key = SecretKey::generate()?.public().to_string();
    db.execute("BEGIN".to_owned()).await?;
    updates(db).await?;
    hosts(db, &key).await?;
    let columns = "audit (id, at, actor, role, action, object, result, status, completed_at)";
    let row = |n: usize| {
        let at = BEGAN + n as u64 * SECOND;
        let (id, object) = (id(4, n), format!("/api/v1/updates/{}", id(2, n % UPDATES)));
        let actor = n % 50;
        format!(
            "('{id}',{at},'person-{actor}','engineer','update.release','{object}',NULL,200,{at})"
        )
    };
    db.insert(columns, AUDITED, row).await?;
    db.execute("COMMIT".to_owned()).await?;
    db.execute("ANALYZE".to_owned()).await
}

async fn updates(db: &mut Connected) -> Result<()> {
    let columns = "updates (id, name, cves, notes, files, patch_sha256, patch_bytes, uploaded_by, \
                   uploader_token, created_at, released_at, released_by, release_comment, channel)";
    let row = |n: usize| {
        let at = BEGAN + n as u64 * 60 * SECOND;
        let released = match n % RELEASED {
            0 => format!("{at},'engineer','','stable'"),
            _ => "NULL,NULL,NULL,NULL".to_owned(),
        };
        format!(
            "('{}','CVE-2026-{n}: a fix','[\"CVE-2026-{n}\"]','','[\"net/ipv6/seg6.c\"]','{:064x}',900,\
             'team','t',{at},{released})",
            id(2, n),
            n
        )
    };
    db.insert(columns, UPDATES, row).await?;
    let columns = "jobs (id, update_id, target, status, attempt, created_at, started_at, \
                   finished_at, exit_code, steps, package_sha256, package_bytes, kernel_id, signer)";
    let row = |n: usize| {
        let at = BEGAN + n as u64 * 60 * SECOND;
        format!(
            "('{}','{}','{}','built',1,{at},{at},{at},0,'[]','{n:064x}',90000,'{n:064x}','w')",
            id(3, n),
            id(2, n),
            target(n / RELEASED),
        )
    };
    db.insert(columns, UPDATES, row).await
}

async fn hosts(db: &mut Connected, key: &str) -> Result<()> {
    let columns = "hosts (id, name, target, kernel_release, public_key, enrolled_at, last_seen_at, \
                   channel)";
    let row = |n: usize| {
        let (id, target) = (id(1, n), target(n));
        let release = target.trim_start_matches("debian:");
        format!("('{id}','web-{n}','{target}','{release}','{key}{n}',{BEGAN},{BEGAN},'stable')")
    };
    db.insert(columns, HOSTS, row).await?;
    let columns = "tokens (id, role, name, host_id, sha256, created_at)";
    let row = |n: usize| {
        let Polling { id, token } = host(n);
        let public = token.split('-').nth(1).unwrap_or_default();
        let sha256 = hex::encode(Sha256::digest(&token));
        format!("('{public}','host','web-{n}','{id}','{sha256}',{BEGAN})")
    };
    db.insert(columns, HOSTS, row).await?;
    let columns = "host_updates (update_id, host_id, target, report_id, event, at, in_effect, \
                   applied_at, pause_ns)";
    let row = |n: usize| {
        let (host, nth) = (n / APPLIED, n % APPLIED);
        // The released ones of its target.
        let update = (host % TARGETS + nth * TARGETS) * RELEASED;
        let at = BEGAN + n as u64;
        let (update, of, report, target) = (id(2, update), id(1, host), id(5, n), target(host));
        format!("('{update}','{of}','{target}','{report}','applied',{at},1,{at},200000)")
    };
    db.insert(columns, HOSTS * APPLIED, row).await
}
