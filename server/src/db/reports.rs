//! What hosts said they did.

use super::{
    Db, Error, begin, commit, execute, host_updates, json, now, parse, rows, time, to_json,
    unsigned,
};
use resplice_api::{Host, HostId, HostReport, NewReport, ReportEvent, ReportId, UpdateId};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// Most reports that an update or a host is shown with: the latest.
const MAX_SHOWN: i64 = 1000;

#[derive(FromQueryResult)]
struct ReportRow {
    id: String,
    host_id: String,
    host_name: String,
    update_id: String,
    event: String,
    detail: String,
    code: Option<String>,
    pause_ns: Option<i64>,
    timeline: String,
    received_at: i64,
}

impl ReportRow {
    fn read(self) -> Result<HostReport, Error> {
        let operation = "read a report";
        let event: ReportEvent = serde_json::from_value(self.event.into())
            .map_err(|error| super::unreadable(operation, error))?;
        Ok(HostReport {
            id: parse(operation, &self.id)?,
            host_id: parse(operation, &self.host_id)?,
            host_name: self.host_name,
            update_id: parse(operation, &self.update_id)?,
            event,
            detail: self.detail,
            code: self.code,
            pause_ns: self.pause_ns.map(unsigned),
            timeline: json(operation, &self.timeline)?,
            received_at: time(operation, self.received_at)?,
        })
    }
}

/// Stores a report, and how the update stands on the host by it.
///
/// # Errors
/// The database's.
pub async fn add(db: &Db, host: &Host, report: &NewReport) -> Result<HostReport, Error> {
    let operation = "store a report";
    let id = ReportId::new();
    let received = now();
    let pause = report
        .pause_ns
        .map(|ns| i64::try_from(ns).unwrap_or(i64::MAX));
    let transaction = begin(db).await?;
    execute(
        &transaction,
        operation,
        "INSERT INTO reports (id, host_id, update_id, event, detail, pause_ns, timeline, received_at, code)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        vec![
            id.to_string().into(),
            host.id.to_string().into(),
            report.update_id.to_string().into(),
            report.event.as_str().into(),
            report.detail.as_str().into(),
            pause.into(),
            to_json(&report.timeline)?.into(),
            received.into(),
            report.code.clone().into(),
        ],
    )
    .await?;
    host_updates::note(&transaction, host, id, report, received).await?;
    commit(transaction).await?;
    Ok(HostReport {
        id,
        host_id: host.id,
        host_name: host.name.clone(),
        update_id: report.update_id,
        event: report.event,
        detail: report.detail.clone(),
        code: report.code.clone(),
        pause_ns: report.pause_ns,
        timeline: report.timeline.clone(),
        received_at: time(operation, received)?,
    })
}

/// The latest reports on an update, oldest first.
///
/// # Errors
/// The database's.
pub async fn of_update<C: ConnectionTrait>(
    db: &C,
    update: UpdateId,
) -> Result<Vec<HostReport>, Error> {
    let update = update.to_string();
    let found = latest(db, "r.update_id", &update, MAX_SHOWN).await?;
    found.into_iter().rev().map(ReportRow::read).collect()
}

/// The latest reports of a host, newest first.
///
/// # Errors
/// The database's.
pub async fn of_host<C: ConnectionTrait>(db: &C, host: HostId) -> Result<Vec<HostReport>, Error> {
    let host = host.to_string();
    let found = latest(db, "r.host_id", &host, MAX_SHOWN).await?;
    found.into_iter().map(ReportRow::read).collect()
}

async fn latest<C: ConnectionTrait>(
    db: &C,
    column: &str,
    id: &str,
    limit: i64,
) -> Result<Vec<ReportRow>, Error> {
    let sql = format!(
        "SELECT r.id, r.host_id, h.name AS host_name, r.update_id, r.event, r.detail, r.code,
             r.pause_ns, r.timeline, r.received_at
         FROM reports r JOIN hosts h ON h.id = r.host_id
         WHERE {column} = $1 ORDER BY r.id DESC LIMIT $2"
    );
    rows(db, "list the reports", &sql, vec![id.into(), limit.into()]).await
}
