//! Rollouts in waves: how they stand, and what became of them.

use super::{
    Db, Error, audit, begin, commit, execute, json, now, parse, row, rows, time, to_json, unsigned,
};
use resplice_api::{Channel, HostId, Rollout, RolloutState, Tally, UpdateId, WavePlan};
use resplice_rollout::{Standing, Wave, verdict};
use sea_orm::{ConnectionTrait, FromQueryResult};

const SECOND: i64 = 1_000_000;

#[derive(FromQueryResult)]
struct RolloutRow {
    update_id: String,
    channel: String,
    plan: String,
    wave: String,
    state: String,
    reason: String,
    started_at: i64,
    counted_from: i64,
    held_us: i64,
    held_since: Option<i64>,
}

const COLUMNS: &str = "update_id, channel, plan, wave, state, reason, started_at, counted_from,
    held_us, held_since";

impl RolloutRow {
    fn standing(&self) -> Result<Standing, Error> {
        let operation = "read a rollout";
        Ok(Standing {
            state: parse(operation, &self.state)?,
            reason: self.reason.clone(),
            held_us: unsigned(self.held_us),
            wave: json(operation, &self.wave)?,
        })
    }
}

/// Starts an update's rollout by a plan; without one, everybody gets it at once. A
/// rollout that it had before is over.
pub(super) async fn start<C: ConnectionTrait>(
    db: &C,
    id: UpdateId,
    channel: Channel,
    plan: Option<(&WavePlan, &str)>,
) -> Result<(), Error> {
    #[derive(FromQueryResult)]
    struct Id {
        id: String,
        channel: String,
    }
    let operation = "start a rollout";
    let update = id.to_string();
    let values = vec![update.as_str().into()];
    execute(
        db,
        operation,
        "DELETE FROM rollouts WHERE update_id = $1",
        values.clone(),
    )
    .await?;
    let Some((plan, seed)) = plan else {
        return Ok(());
    };
    let sql = "SELECT id, channel FROM hosts WHERE target IN
        (SELECT target FROM jobs WHERE update_id = $1 AND status = 'built')";
    let found: Vec<Id> = rows(db, operation, sql, values).await?;
    let mut hosts: Vec<HostId> = Vec::new();
    for row in found {
        if parse::<Channel>(operation, &row.channel)?.gets(channel) {
            hosts.push(parse(operation, &row.id)?);
        }
    }
    let started = now();
    let wave = Wave::start(plan, seed, time(operation, started)?, hosts);
    execute(
        db,
        operation,
        "INSERT INTO rollouts (update_id, channel, plan, wave, state, reason, started_at,
             counted_from, held_us, held_since)
         VALUES ($1, $2, $3, $4, 'running', '', $5, $5, 0, NULL)",
        vec![
            update.into(),
            channel.as_str().into(),
            to_json(plan)?.into(),
            to_json(&wave)?.into(),
            started.into(),
        ],
    )
    .await
    .map(drop)
}

async fn find_row<C: ConnectionTrait>(db: &C, id: UpdateId) -> Result<Option<RolloutRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM rollouts WHERE update_id = $1");
    row(db, "look up a rollout", &sql, vec![id.to_string().into()]).await
}

/// An update's rollout with what became of it.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, id: UpdateId) -> Result<Option<Rollout>, Error> {
    let operation = "read a rollout";
    let Some(found) = find_row(db, id).await? else {
        return Ok(None);
    };
    let plan: WavePlan = json(operation, &found.plan)?;
    let held = found.held_since.map_or(0, |since| now() - since);
    Ok(Some(Rollout {
        update_id: parse(operation, &found.update_id)?,
        channel: parse(operation, &found.channel)?,
        state: parse(operation, &found.state)?,
        started_at: time(operation, found.started_at)?,
        held_s: unsigned((found.held_us + held) / SECOND),
        tally: tally(db, id, found.counted_from, plan.gate.silent_after_s).await?,
        reason: found.reason,
        plan,
    }))
}

/// All rollouts, by update.
pub(super) async fn standings<C: ConnectionTrait>(
    db: &C,
) -> Result<std::collections::HashMap<UpdateId, Standing>, Error> {
    let operation = "list the rollouts";
    let sql = format!("SELECT {COLUMNS} FROM rollouts");
    let found: Vec<RolloutRow> = rows(db, operation, &sql, Vec::new()).await?;
    found
        .iter()
        .map(|row| Ok((parse(operation, &row.update_id)?, row.standing()?)))
        .collect()
}

/// Stops a rollout that runs; false if it does not.
///
/// # Errors
/// The database's.
pub async fn stop<C: ConnectionTrait>(
    db: &C,
    id: UpdateId,
    state: RolloutState,
    reason: &str,
) -> Result<bool, Error> {
    let values = vec![
        id.to_string().into(),
        state.as_str().into(),
        reason.into(),
        now().into(),
    ];
    let sql = "UPDATE rollouts SET state = $2, reason = $3, held_since = $4
        WHERE update_id = $1 AND state = 'running'";
    Ok(execute(db, "stop a rollout", sql, values).await? == 1)
}

/// Lets a rollout go on; false if it runs, or there is none. Its steps come later by
/// the time that it was held, and what its gate counts begins anew.
///
/// # Errors
/// The database's.
pub async fn resume<C: ConnectionTrait>(db: &C, id: UpdateId) -> Result<bool, Error> {
    let values = vec![id.to_string().into(), now().into()];
    let sql = "UPDATE rollouts SET state = 'running', reason = '', counted_from = $2,
             held_us = held_us + $2 - held_since, held_since = NULL
         WHERE update_id = $1 AND state <> 'running'";
    Ok(execute(db, "resume a rollout", sql, values).await? == 1)
}

/// Notes that updates were in a host's plan, the first time.
///
/// # Errors
/// The database's.
pub async fn offer(db: &Db, host: HostId, updates: &[UpdateId]) -> Result<(), Error> {
    for update in updates {
        execute(
            db,
            "note an offer",
            "INSERT INTO offered (update_id, host_id, offered_at) VALUES ($1, $2, $3)
             ON CONFLICT (update_id, host_id) DO NOTHING",
            vec![
                update.to_string().into(),
                host.to_string().into(),
                now().into(),
            ],
        )
        .await?;
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct CountRow {
    event: Option<String>,
    code: Option<String>,
    silent: i64,
    hosts: i64,
}

/// What became of an update on the hosts that were offered it since a moment: each
/// counts once, by its latest word since then and by whether it is silent.
async fn tally<C: ConnectionTrait>(
    db: &C,
    id: UpdateId,
    since: i64,
    silent_after_s: u32,
) -> Result<Tally, Error> {
    let counts: Vec<CountRow> = rows(
        db,
        "count what became of a rollout",
        "SELECT r.event, r.code,
             CASE WHEN h.last_seen_at < $3 THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS silent,
             COUNT(*) AS hosts
         FROM offered o JOIN hosts h ON h.id = o.host_id
         LEFT JOIN reports r ON r.host_id = o.host_id AND r.update_id = o.update_id
             AND r.id = (SELECT MAX(latest.id) FROM reports latest
                 WHERE latest.host_id = o.host_id AND latest.update_id = o.update_id
                   AND latest.received_at >= $2)
         WHERE o.update_id = $1 AND (o.offered_at >= $2 OR r.id IS NOT NULL)
         GROUP BY 1, 2, 3",
        vec![
            id.to_string().into(),
            since.into(),
            (now() - i64::from(silent_after_s) * SECOND).into(),
        ],
    )
    .await?;
    let mut tally = Tally::default();
    for row in counts {
        let hosts = unsigned(row.hosts);
        tally.offered += hosts;
        match (row.event.as_deref(), row.code.as_deref()) {
            (Some("failed"), Some("quarantined" | "crashed")) => tally.crashed += hosts,
            (Some("failed" | "refused"), _) => tally.failed += hosts,
            (Some("applied"), _) if row.silent == 1 => tally.crashed += hosts,
            (Some("applied"), _) => tally.applied += hosts,
            (None, _) if row.silent == 1 => tally.lost += hosts,
            _ => {}
        }
    }
    Ok(tally)
}

/// Pauses the rollouts whose gates say so, with an audit row each; returns them and
/// the reasons.
///
/// # Errors
/// The database's.
pub async fn watch(db: &Db) -> Result<Vec<(UpdateId, String)>, Error> {
    let operation = "watch the rollouts";
    let sql = format!("SELECT {COLUMNS} FROM rollouts WHERE state = 'running'");
    let running: Vec<RolloutRow> = rows(db, operation, &sql, Vec::new()).await?;
    let mut paused = Vec::new();
    for row in running {
        let id: UpdateId = parse(operation, &row.update_id)?;
        let plan: WavePlan = json(operation, &row.plan)?;
        let gate = &plan.gate;
        if gate.failed.is_none() && gate.crashed.is_none() && gate.lost.is_none() {
            continue;
        }
        let tally = tally(db, id, row.counted_from, gate.silent_after_s).await?;
        let Some(reason) = verdict(gate, &tally) else {
            continue;
        };
        let transaction = begin(db).await?;
        let object = format!("{}/updates/{id}/rollout", resplice_api::BASE_PATH);
        let entry = audit::Entry {
            actor: "server",
            role: "server",
            action: "rollout.pause",
            object: &object,
        };
        audit::within(&transaction, &entry).await?;
        if stop(&transaction, id, RolloutState::Paused, &reason).await? {
            commit(transaction).await?;
            paused.push((id, reason));
        }
    }
    Ok(paused)
}
