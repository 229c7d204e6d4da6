//! A pause: nothing is applied while it lasts, by nobody, not even at boot. What is
//! in effect stays so, and can be undone.

use crate::state::StateDir;
use anyhow::{Context, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

const FILE: &str = "pause.json";
/// Why an update is left.
pub const REASON: &str = "paused";

/// A pause that an operator has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// When it began.
    pub since: Timestamp,
    /// When it ends; never by itself if there is no such time.
    pub until: Option<Timestamp>,
}

impl Pause {
    /// The pause that is in force; none if there is none, or it is over.
    ///
    /// # Errors
    /// If the file is damaged: nothing is applied then.
    pub fn in_force(state: &StateDir, now: Timestamp) -> Result<Option<Self>> {
        let pause: Option<Self> = state
            .read_json(FILE)
            .context("whether this host is paused is not known: run `resplice resume`")?;
        Ok(pause.filter(|pause| pause.until.is_none_or(|until| until > now)))
    }

    /// Begins a pause.
    ///
    /// # Errors
    /// If it would be over already, or can't be written.
    pub fn begin(state: &StateDir, now: Timestamp, until: Option<Timestamp>) -> Result<Self> {
        if let Some(until) = until {
            ensure!(until > now, "a pause can't end in the past ({until})");
        }
        let pause = Self { since: now, until };
        state.write_json(FILE, &pause)?;
        Ok(pause)
    }

    /// Ends it, if there is one, damaged or not.
    ///
    /// # Errors
    /// If the file can't be removed.
    pub fn end(state: &StateDir) -> Result<()> {
        state.remove(FILE)
    }

    /// Fails if a pause is in force, with what to do.
    ///
    /// # Errors
    /// See there.
    pub fn forbids(state: &StateDir) -> Result<()> {
        match Self::in_force(state, Timestamp::now())? {
            None => Ok(()),
            Some(pause) => bail!("{}: run `resplice resume` first", pause.words()),
        }
    }

    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        match self.until {
            Some(until) => format!("nothing is applied until {until}"),
            None => "nothing is applied until `resplice resume`".to_owned(),
        }
    }
}

/// Reads an RFC 3339 time, or a duration from now such as `4h` or `2h 30m`.
///
/// # Errors
/// A sentence on what it should have been.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let wrong = || {
        format!("{text:?} is neither a time such as 2030-01-31T08:00:00Z nor a duration such as 4h")
    };
    let duration: SignedDuration = text.parse().map_err(|_| wrong())?;
    Timestamp::now().checked_add(duration).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_or_when_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("s"));
        state.create().unwrap();
        let now = Timestamp::now();
        let hour = SignedDuration::from_hours(1);
        assert_eq!(Pause::in_force(&state, now).unwrap(), None);
        Pause::begin(&state, now, Some(now + hour)).unwrap();
        assert!(Pause::in_force(&state, now).unwrap().is_some());
        assert!(Pause::forbids(&state).is_err());
        assert_eq!(Pause::in_force(&state, now + hour).unwrap(), None);
        Pause::begin(&state, now, None).unwrap();
        assert!(
            Pause::in_force(&state, now + hour * 9999)
                .unwrap()
                .is_some()
        );
        Pause::end(&state).unwrap();
        Pause::end(&state).unwrap();
        assert_eq!(Pause::in_force(&state, now).unwrap(), None);
        assert!(Pause::begin(&state, now, Some(now)).is_err());
    }

    #[test]
    fn a_damaged_pause_keeps_everything_from_being_applied() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("s"));
        state.create().unwrap();
        std::fs::write(dir.path().join("s/pause.json"), "{").unwrap();
        let error = format!("{:#}", Pause::forbids(&state).unwrap_err());
        assert!(error.contains("resplice resume"), "{error}");
    }

    #[test]
    fn ends_are_times_or_durations() {
        assert!(time("2030-01-31T08:00:00Z").is_ok());
        assert!(time("2h 30m").unwrap() > Timestamp::now());
        assert!(time("tomorrow").is_err());
    }
}
