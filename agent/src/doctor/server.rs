//! The server: when it was last heard of, and how long its word is good.

use super::{Level, Place};
use crate::{agent::Agent, host::spoken, poll::Polled};
use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use resplice_tuf::{Store, kept::Kept};
use std::time::Duration;

/// After so long without a poll nobody can say that the host is up to date.
const SILENT: SignedDuration = SignedDuration::from_hours(24);
/// So many intervals may be missed.
const MISSED: u64 = 3;
const BY_HAND: &str = "this host takes packages by hand";

/// How long before a role expires it should have been renewed.
fn renewal(role: &str) -> SignedDuration {
    SignedDuration::from_hours(match role {
        "root" => 30 * 24,
        "targets" => 7 * 24,
        "snapshot" => 2 * 24,
        _ => 6,
    })
}

pub fn poll(agent: &Agent, place: &Place) -> Result<(Level, String)> {
    if agent.enrolment.server.is_none() {
        return Ok((Level::Ok, BY_HAND.to_owned()));
    }
    let never = "there was no poll yet: start `resplice daemon`";
    let Some(polled) = Polled::last(&agent.state)? else {
        return Ok((Level::Warning, never.to_owned()));
    };
    let because = polled
        .error
        .map(|error| format!(": {error}"))
        .unwrap_or_default();
    let Some(good) = polled.last_good else {
        return Ok((
            Level::Critical,
            format!("no poll has succeeded yet{because}"),
        ));
    };
    let age = place.now.duration_since(good);
    let late = SignedDuration::try_from(Duration::from_secs(polled.interval * MISSED))?;
    let words = format!("the last poll that succeeded was {} ago", ago(age));
    Ok(if age >= SILENT.max(late) {
        (Level::Critical, format!("{words}{because}"))
    } else if age >= late {
        (Level::Warning, format!("{words}{because}"))
    } else {
        (Level::Ok, words)
    })
}

pub fn metadata(agent: &Agent, place: &Place) -> Result<(Level, String)> {
    if agent.enrolment.server.is_none() {
        return Ok((Level::Ok, BY_HAND.to_owned()));
    }
    let store = Store::open(&agent.state.repository())?;
    let kept = match Kept::read(&store) {
        Ok(kept) => kept,
        Err(error) => return Ok((Level::Critical, error.to_string())),
    };
    let first = kept
        .roles
        .iter()
        .min_by_key(|role| role.expires.duration_since(place.now) - renewal(role.role))
        .context("there is no metadata")?;
    let left = first.expires.duration_since(place.now);
    let role = first.role;
    Ok(if left <= SignedDuration::ZERO {
        let since = ago(-left);
        (
            Level::Critical,
            format!(
                "the {role} metadata has expired {since} ago: nothing is applied until the repository is renewed"
            ),
        )
    } else if left < renewal(role) {
        let words = format!("the {role} metadata expires in {}", ago(left));
        (Level::Warning, format!("{words}: ask who runs the server"))
    } else {
        let expires: Timestamp = first.expires;
        (
            Level::Ok,
            format!("all metadata is good; {role} until {expires}"),
        )
    })
}

fn ago(duration: SignedDuration) -> String {
    spoken(Duration::try_from(duration).unwrap_or_default())
}
