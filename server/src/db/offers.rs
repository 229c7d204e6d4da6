//! Released packages, as far as they are ever offered to a host. Each column that is
//! read here, or of rollouts, stands in the triggers of `m0034_offers_version`.

use super::{Db, Error, commit, parse, rollouts, rows, snapshot, time, unsigned};
use jiff::Timestamp;
use resplice_api::{Channel, UpdateId};
use resplice_rollout::{Revoked, Standing};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use std::collections::HashMap;

/// A released update's package for one target.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The update.
    pub update: UpdateId,
    /// One line for people.
    pub name: String,
    /// The package's blob.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The target that it is for.
    pub target: String,
    /// When the update was released.
    pub released_at: Timestamp,
    /// The channel that the update has got to.
    pub channel: Channel,
    /// When it got there.
    pub since: Timestamp,
    /// That it was taken back.
    pub revoked: Option<Revoked>,
    /// Its rollout in waves; without one, all hosts get it at once.
    pub standing: Option<Standing>,
}

/// Offers in the order of their release, and which of them take whose place.
#[derive(Debug)]
pub struct Offers {
    /// All of them.
    pub all: Vec<Offer>,
    /// Of each, where those are that take its place.
    newer: Vec<Vec<usize>>,
}

impl Offers {
    /// What was revoked takes nobody's place: its predecessor is wanted again.
    fn new(all: Vec<Offer>, supersedes: &[(UpdateId, UpdateId)]) -> Self {
        let mut places: HashMap<UpdateId, Vec<usize>> = HashMap::new();
        for (place, offer) in all.iter().enumerate() {
            places.entry(offer.update).or_default().push(place);
        }
        let of = |update: &UpdateId| places.get(update).into_iter().flatten();
        let mut newer = vec![Vec::new(); all.len()];
        for (newer_id, older_id) in supersedes {
            for place in of(newer_id).filter(|place| all[**place].revoked.is_none()) {
                let same = |older: &&usize| all[**older].target == all[*place].target;
                for older in of(older_id).filter(same) {
                    newer[*older].push(*place);
                }
            }
        }
        Self { all, newer }
    }

    /// Whether it depends on the host, and on the time, what is offered.
    pub fn has_waves(&self) -> bool {
        self.all.iter().any(|offer| offer.standing.is_some())
    }

    /// Those that a condition lets through and that none of these supersedes.
    pub fn newest(&self, visible: impl Fn(&Offer) -> bool) -> Vec<&Offer> {
        let seen: Vec<bool> = self.all.iter().map(visible).collect();
        let is_newest =
            |place: &usize| seen[*place] && !self.newer[*place].iter().any(|n| seen[*n]);
        let places = (0..self.all.len()).filter(is_newest);
        places.map(|place| &self.all[place]).collect()
    }

    /// Those that a host must know of: all but those whose successor has got as
    /// far, and goes to all hosts at once. A revoked one stays: hosts that missed
    /// its successor may still have it.
    pub fn wanted(&self) -> Vec<&Offer> {
        let gone = |older: &Offer, newer: &Offer| {
            newer.channel >= older.channel && newer.standing.is_none()
        };
        let all = self.all.iter().zip(&self.newer);
        let listed = all.filter(|(offer, newer)| {
            offer.revoked.is_some() || !newer.iter().any(|n| gone(offer, &self.all[*n]))
        });
        listed.map(|(offer, _)| offer).collect()
    }
}

#[derive(FromQueryResult)]
struct OfferRow {
    update_id: String,
    name: String,
    package_sha256: String,
    package_bytes: i64,
    target: String,
    released_at: i64,
    channel: String,
    since: Option<i64>,
    revoked_at: Option<i64>,
    revoke_reason: Option<String>,
    revoke_undo: Option<i64>,
}

#[derive(FromQueryResult)]
struct PairRow {
    update_id: String,
    older_id: String,
}

/// The offers for all targets.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C) -> Result<Offers, Error> {
    let supersedes = supersedes(db).await?;
    Ok(Offers::new(read(db, None).await?, &supersedes))
}

/// The offers for a target, as they are at one moment.
///
/// # Errors
/// The database's.
pub async fn for_target(db: &Db, target: &str) -> Result<Offers, Error> {
    let now = snapshot(db).await?;
    let supersedes = supersedes(&now).await?;
    let offers = Offers::new(read(&now, Some(target)).await?, &supersedes);
    commit(now).await?;
    Ok(offers)
}

async fn read<C: ConnectionTrait>(db: &C, target: Option<&str>) -> Result<Vec<Offer>, Error> {
    let operation = "list the released packages";
    let (condition, values): (_, Vec<Value>) = match target {
        Some(target) => ("AND j.target = $1", vec![target.into()]),
        None => ("", Vec::new()),
    };
    let sql = format!(
        "SELECT u.id AS update_id, u.name, j.package_sha256, j.package_bytes, j.target,
             u.released_at, u.channel, u.revoked_at, u.revoke_reason, u.revoke_undo,
             (SELECT MAX(p.promoted_at) FROM promotions p WHERE p.update_id = u.id) AS since
         FROM updates u JOIN jobs j ON j.update_id = u.id
         WHERE u.released_at IS NOT NULL AND j.status = 'built' {condition}
         ORDER BY u.released_at, u.id, j.target"
    );
    let found: Vec<OfferRow> = rows(db, operation, &sql, values).await?;
    let standings = rollouts::standings(db).await?;
    let offer = |row: OfferRow| {
        let update = parse(operation, &row.update_id)?;
        let revoked = match row.revoked_at {
            Some(at) => Some(Revoked {
                at: time(operation, at)?,
                undo: row.revoke_undo == Some(1),
                reason: row.revoke_reason.unwrap_or_default(),
            }),
            None => None,
        };
        Ok(Offer {
            update,
            name: row.name,
            sha256: row.package_sha256,
            bytes: unsigned(row.package_bytes),
            target: row.target,
            released_at: time(operation, row.released_at)?,
            channel: parse(operation, &row.channel)?,
            since: time(operation, row.since.unwrap_or(row.released_at))?,
            revoked,
            standing: standings.get(&update).cloned(),
        })
    };
    found.into_iter().map(offer).collect()
}

/// Pairs of a newer update, which is released, and an older one.
async fn supersedes<C: ConnectionTrait>(db: &C) -> Result<Vec<(UpdateId, UpdateId)>, Error> {
    let operation = "list what is superseded";
    let pairs: Vec<PairRow> = rows(
        db,
        operation,
        "SELECT s.update_id, s.older_id FROM supersedes s
         JOIN updates u ON u.id = s.update_id WHERE u.released_at IS NOT NULL",
        Vec::new(),
    )
    .await?;
    let pair = |row: PairRow| {
        Ok((
            parse(operation, &row.update_id)?,
            parse(operation, &row.older_id)?,
        ))
    };
    pairs.into_iter().map(pair).collect()
}
