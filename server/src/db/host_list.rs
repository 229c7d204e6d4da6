//! Pages of hosts, narrowed by what people look for.

use super::{Error, hosts, hosts::HostRow, json, parse, placeholders, rows};
use resplice_api::{Channel, Host, HostId, UpdateId};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use std::collections::HashMap;

/// What hosts are looked for; the default is all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A part of their name, kernel or id, whatever its case.
    pub text: Option<String>,
    /// Their target.
    pub target: Option<String>,
    /// The channel that they follow.
    pub channel: Option<Channel>,
    /// A group that they are in.
    pub group: Option<String>,
    /// They were not heard of since this moment.
    pub silent_since: Option<i64>,
    /// They could not apply something, and have not since.
    pub failing: bool,
    /// They could not apply this update.
    pub failed: Option<UpdateId>,
    /// Some update for this CVE is for their target, and they run none.
    pub open_to: Option<String>,
}

/// A WHERE that grows.
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition in which `{}` stands for a value.
    fn with(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let place = format!("${}", self.values.len());
        self.sql.push(condition.replace("{}", &place));
    }

    /// Adds several values, and tells their placeholders.
    fn list(&mut self, values: Vec<String>) -> String {
        let first = self.values.len() + 1;
        let list = placeholders(first, values.len());
        self.values.extend(values.into_iter().map(Value::from));
        list
    }
}

/// A page of hosts, by name, behind the host `after`.
///
/// # Errors
/// The database's.
pub async fn page<C: ConnectionTrait>(
    db: &C,
    filter: &Filter,
    limit: u64,
    after: Option<HostId>,
) -> Result<Vec<Host>, Error> {
    let mut conditions = Conditions {
        sql: Vec::new(),
        values: Vec::new(),
    };
    narrow(&mut conditions, filter);
    if let Some(cve) = &filter.open_to
        && !open_to(db, &mut conditions, cve).await?
    {
        return Ok(Vec::new());
    }
    if let Some(after) = after {
        let behind = "(h.name, h.id) > (SELECT name, id FROM hosts WHERE id = {})";
        conditions.with(behind, after.to_string());
    }
    let condition = if conditions.sql.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.sql.join(" AND "))
    };
    let columns = hosts::COLUMNS;
    let sql =
        format!("SELECT {columns} FROM hosts h {condition} ORDER BY h.name, h.id LIMIT {limit}");
    let found: Vec<HostRow> = rows(db, "list the hosts", &sql, conditions.values).await?;
    let hosts = found.into_iter().map(HostRow::read);
    with_state(db, hosts.collect::<Result<_, Error>>()?).await
}

fn narrow(conditions: &mut Conditions, filter: &Filter) {
    // As a set that is made once: asked host by host, a planner may take an index
    // that has all hosts behind one entry.
    const FAILED: &str = "h.id IN (SELECT x.host_id FROM host_updates x
        WHERE x.in_effect = 0 AND x.event IN ('failed', 'refused')";
    if let Some(text) = &filter.text {
        let sql =
            "(LOWER(h.name) LIKE {} ESCAPE '\\' OR LOWER(h.kernel_release) LIKE {} ESCAPE '\\'
            OR h.id LIKE {} ESCAPE '\\')";
        conditions.with(sql, super::containing(text));
    }
    if let Some(target) = &filter.target {
        conditions.with("h.target = {}", target.as_str());
    }
    if let Some(channel) = filter.channel {
        conditions.with("h.channel = {}", channel.as_str());
    }
    if let Some(group) = &filter.group {
        let sql = "h.id IN (SELECT host_id FROM host_groups WHERE name = {})";
        conditions.with(sql, group.as_str());
    }
    if let Some(since) = filter.silent_since {
        conditions.with("h.last_seen_at < {}", since);
    }
    if filter.failing {
        conditions.sql.push(format!("{FAILED})"));
    }
    if let Some(update) = filter.failed {
        let sql = format!("{FAILED} AND x.update_id = {{}})");
        conditions.with(&sql, update.to_string());
    }
}

/// Adds that hosts are open to a CVE; false if no update is for it.
async fn open_to<C: ConnectionTrait>(
    db: &C,
    conditions: &mut Conditions,
    cve: &str,
) -> Result<bool, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        id: String,
        cves: String,
        target: String,
    }
    let operation = "look for updates for a CVE";
    let sql = "SELECT u.id, u.cves, j.target FROM updates u JOIN jobs j ON j.update_id = u.id
        WHERE u.cves LIKE $1 ESCAPE '\\' AND j.status NOT IN ('nothing', 'cancelled')
        ORDER BY u.id, j.target";
    let like = vec![super::containing_exactly(cve).into()];
    let found: Vec<Row> = rows(db, operation, sql, like).await?;
    let (mut updates, mut targets) = (Vec::new(), Vec::new());
    for row in found {
        let cves: Vec<String> = json(operation, &row.cves)?;
        if cves.iter().any(|known| known == cve) {
            updates.push(row.id);
            targets.push(row.target);
        }
    }
    updates.dedup();
    targets.sort_unstable();
    targets.dedup();
    if updates.is_empty() {
        return Ok(false);
    }
    let targets = conditions.list(targets);
    conditions.sql.push(format!("h.target IN ({targets})"));
    let updates = conditions.list(updates);
    conditions.sql.push(format!(
        "h.id NOT IN (SELECT x.host_id FROM host_updates x
            WHERE x.in_effect = 1 AND x.update_id IN ({updates}))"
    ));
    Ok(true)
}

/// Hosts with what runs there, what could not be applied, and their groups.
///
/// # Errors
/// The database's.
pub async fn with_state<C: ConnectionTrait>(
    db: &C,
    mut hosts: Vec<Host>,
) -> Result<Vec<Host>, Error> {
    #[derive(FromQueryResult)]
    struct StateRow {
        host_id: String,
        update_id: String,
        in_effect: i64,
    }
    #[derive(FromQueryResult)]
    struct GroupRow {
        host_id: String,
        name: String,
    }
    if hosts.is_empty() {
        return Ok(hosts);
    }
    let operation = "list what hosts run";
    let ids: Vec<Value> = hosts
        .iter()
        .map(|host| host.id.to_string().into())
        .collect();
    let list = placeholders(1, ids.len());
    let sql = format!(
        "SELECT host_id, update_id, in_effect FROM host_updates WHERE host_id IN ({list})
         AND (in_effect = 1 OR event IN ('failed', 'refused')) ORDER BY applied_at, update_id"
    );
    let states: Vec<StateRow> = rows(db, operation, &sql, ids.clone()).await?;
    let sql =
        format!("SELECT host_id, name FROM host_groups WHERE host_id IN ({list}) ORDER BY name");
    let groups: Vec<GroupRow> = rows(db, operation, &sql, ids).await?;
    let mut by_id: HashMap<String, &mut Host> = hosts
        .iter_mut()
        .map(|host| (host.id.to_string(), host))
        .collect();
    for row in states {
        if let Some(host) = by_id.get_mut(&row.host_id) {
            let update = parse(operation, &row.update_id)?;
            let list = if row.in_effect == 1 {
                &mut host.applied
            } else {
                &mut host.failed
            };
            list.push(update);
        }
    }
    for row in groups {
        if let Some(host) = by_id.get_mut(&row.host_id) {
            host.groups.push(row.name);
        }
    }
    Ok(hosts)
}
