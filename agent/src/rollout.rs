//! What this host's owner says about when updates may come: `rollout.json` in the
//! state directory, which nobody but the owner writes.
//!
//! ```json
//! { "defer_days": 3,
//!   "windows": [ { "days": ["sat", "sun"], "from": "22:00", "to": "04:00" } ] }
//! ```
//!
//! Times are UTC. A window belongs to the day that it begins on. Both hold for what
//! the daemon does by itself: not for `resplice apply`, and not for a revocation.

use crate::state::StateDir;
use anyhow::{Context, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp, civil::Weekday, tz::TimeZone};
use serde::Deserialize;

const FILE: &str = "rollout.json";
const MINUTES: u32 = 24 * 60;

/// When updates may come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    defer_days: u32,
    windows: Vec<Window>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// Any, if it is empty.
    days: Vec<Weekday>,
    from: u32,
    /// At most a day after the beginning.
    minutes: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarFile {
    #[serde(default)]
    defer_days: u32,
    #[serde(default)]
    windows: Vec<WindowFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowFile {
    #[serde(default)]
    days: Vec<String>,
    from: String,
    to: String,
}

impl Calendar {
    /// Reads the host's; without a file there are no restrictions.
    ///
    /// # Errors
    /// If it can't be understood: then nothing may come.
    pub fn read(state: &StateDir) -> Result<Self> {
        let file = state.read_json::<CalendarFile>(FILE)?;
        file.map_or_else(|| Ok(Self::default()), Self::from_file)
            .with_context(|| format!("the policy {FILE} can't be followed"))
    }

    fn from_file(file: CalendarFile) -> Result<Self> {
        ensure!(file.defer_days <= 365, "defer_days is more than 365");
        ensure!(file.windows.len() <= 64, "there are more than 64 windows");
        let windows = file.windows.iter().map(Window::from_file);
        Ok(Self {
            defer_days: file.defer_days,
            windows: windows.collect::<Result<_>>()?,
        })
    }

    /// Why an update that got to its channel at `since` may not come now.
    #[must_use]
    pub fn objection(&self, since: Timestamp, now: Timestamp) -> Option<String> {
        let wait = SignedDuration::from_hours(24 * i64::from(self.defer_days));
        if now.duration_since(since) < wait {
            return Some(format!("deferred by {} days on this host", self.defer_days));
        }
        let open = self.windows.is_empty() || self.windows.iter().any(|window| window.is_open(now));
        (!open).then(|| "outside this host's maintenance windows".to_owned())
    }
}

impl Window {
    fn from_file(file: &WindowFile) -> Result<Self> {
        let (from, to) = (minute(&file.from)?, minute(&file.to)?);
        let minutes = match (to + MINUTES - from) % MINUTES {
            0 => MINUTES,
            minutes => minutes,
        };
        let days = file.days.iter().map(|day| weekday(day));
        Ok(Self {
            days: days.collect::<Result<_>>()?,
            from,
            minutes,
        })
    }

    fn is_open(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(TimeZone::UTC);
        let minute = now.hour() as u32 * 60 + now.minute() as u32;
        let on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        let today = minute >= self.from && minute < self.from + self.minutes;
        let since_yesterday = minute + MINUTES < self.from + self.minutes;
        (today && on(now.weekday())) || (since_yesterday && on(now.weekday().previous()))
    }
}

/// `HH:MM` as minutes since midnight.
fn minute(text: &str) -> Result<u32> {
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    let time = text
        .split_once(':')
        .and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
    match time {
        Some((hour @ 0..24, minute @ 0..60)) => Ok(hour * 60 + minute),
        _ => bail!("{text:?} is no time like 22:00"),
    }
}

fn weekday(text: &str) -> Result<Weekday> {
    Ok(match text {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => bail!("{text:?} is no day: mon, tue, wed, thu, fri, sat or sun"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::rig::Rig;

    fn calendar(text: &str) -> Result<Calendar> {
        let rig = Rig::new();
        std::fs::write(rig.path("state").join(FILE), text)?;
        Calendar::read(&rig.state)
    }

    fn may(calendar: &Calendar, now: &str) -> bool {
        let since = "2026-01-01T00:00:00Z".parse().unwrap();
        calendar.objection(since, now.parse().unwrap()).is_none()
    }

    #[test]
    fn without_a_policy_updates_come_at_any_time() {
        assert!(may(
            &Calendar::read(&Rig::new().state).unwrap(),
            "2026-01-01T00:00:00Z"
        ));
    }

    #[test]
    fn an_update_is_deferred_by_whole_days_from_when_it_got_to_its_channel() {
        let calendar = calendar(r#"{"defer_days": 3}"#).unwrap();
        assert!(!may(&calendar, "2026-01-03T23:59:59Z"));
        assert!(may(&calendar, "2026-01-04T00:00:00Z"));
        // A clock that was set back does not let anything in.
        assert!(!may(&calendar, "2025-12-01T00:00:00Z"));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_that_it_begins_on() {
        let text = r#"{"windows": [{"days": ["sat"], "from": "22:00", "to": "04:00"}]}"#;
        let calendar = calendar(text).unwrap();
        // 2026-02-07 is a Saturday.
        for (now, open) in [
            ("2026-02-07T03:00:00Z", false),
            ("2026-02-07T21:59:59Z", false),
            ("2026-02-07T22:00:00Z", true),
            ("2026-02-08T03:59:59Z", true),
            ("2026-02-08T04:00:00Z", false),
            ("2026-02-08T22:00:00Z", false),
        ] {
            assert_eq!(may(&calendar, now), open, "{now}");
        }
    }

    #[test]
    fn a_window_of_a_whole_day_and_several_windows_are_as_they_say() {
        let text = r#"{"windows": [{"days": ["sun"], "from": "00:00", "to": "00:00"},
            {"from": "12:00", "to": "12:30"}]}"#;
        let calendar = calendar(text).unwrap();
        assert!(may(&calendar, "2026-02-08T23:59:00Z"));
        assert!(!may(&calendar, "2026-02-09T00:00:00Z"));
        assert!(may(&calendar, "2026-02-09T12:29:00Z"));
        assert!(!may(&calendar, "2026-02-09T12:30:00Z"));
    }

    #[test]
    fn a_policy_that_is_not_understood_lets_nothing_in() {
        for bad in [
            "{",
            r#"{"defer": 3}"#,
            r#"{"windows": [{"from": "24:00", "to": "04:00"}]}"#,
            r#"{"windows": [{"from": "2:00", "to": "04:00"}]}"#,
            r#"{"windows": [{"days": ["saturday"], "from": "02:00", "to": "04:00"}]}"#,
            r#"{"defer_days": 1000}"#,
        ] {
            assert!(calendar(bad).is_err(), "{bad}");
        }
    }
}
