//! Named plans for waves.

use super::{Error, execute, json, now, row, rows, to_json};
use resplice_api::WavePlan;
use sea_orm::{ConnectionTrait, FromQueryResult};

#[derive(FromQueryResult)]
struct PlanRow {
    plan: String,
}

/// Keeps a plan under its name; rollouts that have been started stay as they are.
///
/// # Errors
/// The database's.
pub async fn put<C: ConnectionTrait>(db: &C, plan: &WavePlan, person: &str) -> Result<(), Error> {
    let values = vec![
        plan.name.as_str().into(),
        to_json(plan)?.into(),
        person.into(),
        now().into(),
    ];
    let sql = "INSERT INTO wave_plans (name, plan, changed_by, changed_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (name) DO UPDATE SET plan = excluded.plan,
        changed_by = excluded.changed_by, changed_at = excluded.changed_at";
    execute(db, "keep a wave plan", sql, values).await.map(drop)
}

/// A plan by its name.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, name: &str) -> Result<Option<WavePlan>, Error> {
    let operation = "look up a wave plan";
    let sql = "SELECT plan FROM wave_plans WHERE name = $1";
    let found: Option<PlanRow> = row(db, operation, sql, vec![name.into()]).await?;
    found.map(|row| json(operation, &row.plan)).transpose()
}

/// All plans, by name.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C) -> Result<Vec<WavePlan>, Error> {
    let operation = "list the wave plans";
    let sql = "SELECT plan FROM wave_plans ORDER BY name";
    let found: Vec<PlanRow> = rows(db, operation, sql, Vec::new()).await?;
    found.iter().map(|row| json(operation, &row.plan)).collect()
}
