//! Released packages, as far as they are ever offered to a host.

use super::{Error, parse, rollouts, rows, time, unsigned};
use jiff::Timestamp;
use resplice_api::{Channel, UpdateId};
use resplice_rollout::{Revoked, Standing};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use std::collections::HashSet;

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

/// Offers in the order of their release, and which updates take whose place.
#[derive(Debug)]
pub struct Offers {
    /// All of them.
    pub all: Vec<Offer>,
    /// Pairs of a newer update and an older one.
    supersedes: HashSet<(UpdateId, UpdateId)>,
}

impl Offers {
    /// Those that a condition lets through and that none of these supersedes.
    pub fn newest(&self, visible: impl Fn(&Offer) -> bool) -> Vec<&Offer> {
        let seen: Vec<&Offer> = self.all.iter().filter(|offer| visible(offer)).collect();
        let is_newest = |older: &&&Offer| !seen.iter().any(|newer| self.replaces(newer, older));
        seen.iter().filter(is_newest).copied().collect()
    }

    /// Those that a host must know of: all but those whose successor has got as
    /// far, and goes to all hosts at once. A revoked one stays: hosts that missed
    /// its successor may still have it.
    pub fn wanted(&self) -> Vec<&Offer> {
        let gone = |older: &Offer| {
            let mut all = self.all.iter();
            all.any(|newer| {
                self.replaces(newer, older)
                    && newer.channel >= older.channel
                    && newer.standing.is_none()
            })
        };
        let listed = |offer: &&Offer| offer.revoked.is_some() || !gone(offer);
        self.all.iter().filter(listed).collect()
    }

    /// What was revoked takes nobody's place: its predecessor is wanted again.
    fn replaces(&self, newer: &Offer, older: &Offer) -> bool {
        newer.revoked.is_none()
            && newer.target == older.target
            && self.supersedes.contains(&(newer.update, older.update))
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

/// The offers for a target, or for all of them.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(db: &C, target: Option<&str>) -> Result<Offers, Error> {
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
    let all = found.into_iter().map(offer).collect::<Result<_, Error>>()?;
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
    let supersedes = pairs.into_iter().map(pair).collect::<Result<_, Error>>()?;
    Ok(Offers { all, supersedes })
}
