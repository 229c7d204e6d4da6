//! What the agent does by itself with what the server plans.

use crate::{
    agent::{ABSENT, SUPERSEDED},
    journal::{By, Record, State},
    ledger::UNPROVEN,
};
use jiff::{SignedDuration, Timestamp};

/// First and longest wait before a failed or busy update is tried again.
const RETRY: SignedDuration = SignedDuration::from_secs(30);
const RETRY_MAX: SignedDuration = SignedDuration::from_hours(1);

/// What to do with a planned update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Apply it now.
    Apply,
    /// Leave it, for this reason.
    Leave(&'static str),
}

/// What is known of a planned update on this host.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What the journal says.
    pub record: Option<&'a Record>,
    /// Whether the kernel says that it is in effect, in part at least.
    pub live: bool,
    /// Whether a module that it patches has come since and is not patched yet.
    pub has_more_to_patch: bool,
    /// Whether the update that had taken its place was revoked, and is out again.
    pub lost_successor: bool,
    /// sha256 of the planned package.
    pub package: &'a str,
    /// This boot.
    pub boot: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// Decides. What an operator undid stays undone; what took the host down, or was
/// refused in this boot, is not tried again; what failed, was busy or stood in no log
/// is tried again after a wait that doubles each time, up to an hour.
#[must_use]
pub fn decide(situation: Situation<'_>) -> Decision {
    let Some(record) = situation.record else {
        return match situation.live {
            true => Decision::Leave("in effect"),
            false => Decision::Apply,
        };
    };
    if situation.live {
        return join(situation, record);
    }
    let last = &record.last;
    let same_boot = last.boot == situation.boot;
    let same_package = last
        .package
        .as_deref()
        .is_none_or(|p| p == situation.package);
    // The log can come to have it, and tells so without the kernel being asked.
    let unproven = last.code.as_deref() == Some(UNPROVEN);
    match last.state {
        State::Quarantined => {
            Decision::Leave("the host went down while or soon after it was applied")
        }
        State::Undone if last.code.as_deref() == Some(SUPERSEDED) && !situation.lost_successor => {
            Decision::Leave("superseded by a newer update")
        }
        State::Undone if last.by == By::Operator => Decision::Leave("undone by the operator"),
        State::Applied if same_boot => Decision::Leave("removed by hand since it was applied"),
        State::Refused if last.code.as_deref() == Some(ABSENT) && same_boot && same_package => {
            match situation.has_more_to_patch {
                true => Decision::Apply,
                false => Decision::Leave("waiting for its module to be loaded"),
            }
        }
        State::Refused if same_boot && same_package && !unproven => Decision::Leave("refused"),
        State::Refused | State::Failed | State::Busy if same_boot && same_package => {
            if situation.now.duration_since(last.time) < wait(record.setbacks) {
                Decision::Leave("waiting before the next try")
            } else {
                Decision::Apply
            }
        }
        _ => Decision::Apply,
    }
}

/// What to do with an update that is in effect: a part whose module has come
/// since may join it.
fn join(situation: Situation<'_>, record: &Record) -> Decision {
    if !situation.has_more_to_patch {
        return Decision::Leave("in effect");
    }
    let last = &record.last;
    match last.code.as_deref().filter(|_| last.boot == situation.boot) {
        None => Decision::Apply,
        Some("busy") if situation.now.duration_since(last.time) >= RETRY => Decision::Apply,
        Some("busy") => Decision::Leave("in effect; waiting before a part is tried again"),
        Some(_) => Decision::Leave("in effect, but a part could not join it"),
    }
}

fn wait(setbacks: u32) -> SignedDuration {
    let factor = 1 << setbacks.saturating_sub(1).min(10);
    (RETRY * factor).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::journal::Entry;

    fn record(state: State, by: By) -> Record {
        let mut last = Entry::new("u", state, by);
        last.boot = "b1".to_owned();
        last.package = Some("p1".to_owned());
        Record {
            last,
            package: None,
            applied_package: None,
            info: None,
            wanted: false,
            settled: false,
            ever_settled: false,
            unsettled_boots: 0,
            settled_in: None,
            counted: None,
            setbacks: 1,
        }
    }

    fn decide_at(record: &Record, boot: &str, package: &str, seconds: i64) -> Decision {
        decide(Situation {
            record: Some(record),
            live: false,
            has_more_to_patch: false,
            lost_successor: false,
            package,
            boot,
            now: record.last.time + SignedDuration::from_secs(seconds),
        })
    }

    #[test]
    fn what_took_the_host_down_is_never_retried() {
        let record = record(State::Quarantined, By::Agent);
        for (boot, package) in [("b1", "p1"), ("b2", "p1"), ("b2", "p2")] {
            assert!(matches!(
                decide_at(&record, boot, package, 1_000_000),
                Decision::Leave(_)
            ));
        }
    }

    #[test]
    fn what_the_operator_undid_stays_undone_and_what_the_server_undid_may_come_back() {
        let by_operator = record(State::Undone, By::Operator);
        assert!(matches!(
            decide_at(&by_operator, "b2", "p1", 0),
            Decision::Leave(_)
        ));
        let by_server = record(State::Undone, By::Server);
        assert_eq!(decide_at(&by_server, "b1", "p1", 0), Decision::Apply);
    }

    #[test]
    fn a_refused_update_waits_for_another_package_or_boot() {
        let record = record(State::Refused, By::Server);
        assert!(matches!(
            decide_at(&record, "b1", "p1", 1_000_000),
            Decision::Leave(_)
        ));
        assert_eq!(decide_at(&record, "b1", "p2", 0), Decision::Apply);
        assert_eq!(decide_at(&record, "b2", "p1", 0), Decision::Apply);
    }

    #[test]
    fn a_part_joins_when_its_module_has_come_and_a_refused_one_is_not_tried_again() {
        let mut record = record(State::Applied, By::Server);
        let decide_with = |record: &Record, more: bool, seconds: i64| {
            decide(Situation {
                record: Some(record),
                live: true,
                has_more_to_patch: more,
                lost_successor: false,
                package: "p1",
                boot: "b1",
                now: record.last.time + SignedDuration::from_secs(seconds),
            })
        };
        assert!(matches!(decide_with(&record, false, 0), Decision::Leave(_)));
        assert_eq!(decide_with(&record, true, 0), Decision::Apply);
        record.last.code = Some("mismatch".to_owned());
        assert!(matches!(
            decide_with(&record, true, 9999),
            Decision::Leave(_)
        ));
        record.last.code = Some("busy".to_owned());
        assert!(matches!(decide_with(&record, true, 29), Decision::Leave(_)));
        assert_eq!(decide_with(&record, true, 30), Decision::Apply);
    }

    #[test]
    fn an_update_for_a_module_that_is_not_loaded_waits_for_it() {
        let mut record = record(State::Refused, By::Server);
        record.last.code = Some(ABSENT.to_owned());
        let decide_with = |more| {
            decide(Situation {
                record: Some(&record),
                live: false,
                has_more_to_patch: more,
                lost_successor: false,
                package: "p1",
                boot: "b1",
                now: record.last.time,
            })
        };
        assert!(matches!(decide_with(false), Decision::Leave(_)));
        assert_eq!(decide_with(true), Decision::Apply);
    }

    #[test]
    fn busy_updates_are_retried_ever_more_rarely() {
        let mut record = record(State::Busy, By::Server);
        assert!(matches!(
            decide_at(&record, "b1", "p1", 29),
            Decision::Leave(_)
        ));
        assert_eq!(decide_at(&record, "b1", "p1", 30), Decision::Apply);
        let mut unproven = record.clone();
        unproven.last.state = State::Refused;
        unproven.last.code = Some(UNPROVEN.to_owned());
        assert!(matches!(
            decide_at(&unproven, "b1", "p1", 29),
            Decision::Leave(_)
        ));
        assert_eq!(decide_at(&unproven, "b1", "p1", 30), Decision::Apply);
        record.setbacks = 100;
        assert!(matches!(
            decide_at(&record, "b1", "p1", 3599),
            Decision::Leave(_)
        ));
        assert_eq!(decide_at(&record, "b1", "p1", 3600), Decision::Apply);
    }

    #[test]
    fn after_a_restart_it_is_applied_again_and_after_a_removal_by_hand_it_is_not() {
        let record = record(State::Applied, By::Server);
        assert_eq!(decide_at(&record, "b2", "p1", 0), Decision::Apply);
        assert!(matches!(
            decide_at(&record, "b1", "p1", 0),
            Decision::Leave(_)
        ));
    }
}
