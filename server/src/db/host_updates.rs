//! How updates stand on hosts: what their reports add up to.

use super::{Error, execute, json, parse, rows, time};
use resplice_api::{Host, HostId, HostUpdate, NewReport, ReportEvent, ReportId};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// Takes in a report that has just been stored. One that comes late changes nothing.
pub(super) async fn note<C: ConnectionTrait>(
    db: &C,
    host: &Host,
    id: ReportId,
    report: &NewReport,
    received: i64,
) -> Result<(), Error> {
    let applied = report.event == ReportEvent::Applied;
    let pause = report
        .pause_ns
        .map(|ns| i64::try_from(ns).unwrap_or(i64::MAX));
    // What is in effect already has been so since it was first said.
    let sql = "INSERT INTO host_updates (update_id, host_id, target, report_id, event, code, at,
             in_effect, applied_at, pause_ns)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (update_id, host_id) DO UPDATE SET
             target = excluded.target, report_id = excluded.report_id,
             event = excluded.event, code = excluded.code, at = excluded.at,
             in_effect = CASE excluded.event WHEN 'applied' THEN 1 WHEN 'undone' THEN 0
                 ELSE host_updates.in_effect END,
             applied_at = CASE excluded.event
                 WHEN 'applied' THEN COALESCE(host_updates.applied_at, excluded.at)
                 WHEN 'undone' THEN NULL ELSE host_updates.applied_at END,
             pause_ns = CASE excluded.event
                 WHEN 'applied' THEN COALESCE(excluded.pause_ns, host_updates.pause_ns)
                 WHEN 'undone' THEN NULL ELSE host_updates.pause_ns END
         WHERE excluded.report_id > host_updates.report_id";
    let values = vec![
        report.update_id.to_string().into(),
        host.id.to_string().into(),
        host.target.as_str().into(),
        id.to_string().into(),
        report.event.as_str().into(),
        report.code.clone().into(),
        received.into(),
        i64::from(applied).into(),
        applied.then_some(received).into(),
        pause.filter(|_| applied).into(),
    ];
    execute(db, "note how an update stands", sql, values)
        .await
        .map(drop)
}

/// Forgets what is about another kernel than the one that a host has now.
pub(super) async fn keep_target<C: ConnectionTrait>(
    db: &C,
    host: HostId,
    target: &str,
) -> Result<(), Error> {
    let values = vec![host.to_string().into(), target.into()];
    let sql = "DELETE FROM host_updates WHERE host_id = $1 AND target <> $2";
    execute(db, "enrol a host", sql, values).await.map(drop)
}

#[derive(FromQueryResult)]
struct HostUpdateRow {
    update_id: String,
    name: String,
    cves: String,
    event: String,
    code: Option<String>,
    in_effect: i64,
    at: i64,
}

/// Updates that a host has said something of, the latest first.
///
/// # Errors
/// The database's.
pub async fn of_host<C: ConnectionTrait>(db: &C, host: HostId) -> Result<Vec<HostUpdate>, Error> {
    let operation = "list a host's updates";
    let found: Vec<HostUpdateRow> = rows(
        db,
        operation,
        "SELECT x.update_id, u.name, u.cves, x.event, x.code, x.in_effect, x.at
         FROM host_updates x JOIN updates u ON u.id = x.update_id
         WHERE x.host_id = $1 ORDER BY x.at DESC, x.update_id DESC",
        vec![host.to_string().into()],
    )
    .await?;
    let update = |row: HostUpdateRow| {
        Ok(HostUpdate {
            update_id: parse(operation, &row.update_id)?,
            name: row.name,
            cves: json(operation, &row.cves)?,
            event: event(operation, row.event)?,
            code: row.code,
            in_effect: row.in_effect == 1,
            at: time(operation, row.at)?,
        })
    };
    found.into_iter().map(update).collect()
}

/// The word for what happened, as reports are stored.
pub(super) fn event(operation: &'static str, word: String) -> Result<ReportEvent, Error> {
    serde_json::from_value(word.into()).map_err(|error| super::unreadable(operation, error))
}
