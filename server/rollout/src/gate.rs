//! Health gates: when a rollout stops by itself.

use resplice_api::{Gate, Limit, Tally};

/// Why a rollout must stop; none if it may go on.
#[must_use]
pub fn verdict(gate: &Gate, tally: &Tally) -> Option<String> {
    let checks = [
        (&gate.failed, tally.failed, "could not apply it"),
        (&gate.crashed, tally.crashed, "went down with it"),
        (&gate.lost, tally.lost, "were lost after it was offered"),
    ];
    checks.into_iter().find_map(|(limit, hosts, what)| {
        let limit = limit.as_ref()?;
        exceeds(limit, hosts, tally.offered).then(|| {
            format!(
                "{hosts} of {} hosts {what}; the plan's limit is {} hosts and {} ‰",
                tally.offered, limit.hosts, limit.share
            )
        })
    })
}

fn exceeds(limit: &Limit, hosts: u64, offered: u64) -> bool {
    hosts >= u64::from(limit.hosts.max(1))
        && u128::from(hosts) * 1000 >= u128::from(limit.share) * u128::from(offered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate {
            failed: Some(Limit {
                hosts: 3,
                share: 100,
            }),
            crashed: Some(Limit { hosts: 1, share: 0 }),
            lost: None,
            silent_after_s: 3600,
        }
    }

    #[test]
    fn a_limit_asks_for_hosts_and_share_both() {
        let failed = |failed, offered| {
            let tally = Tally {
                offered,
                failed,
                ..Tally::default()
            };
            verdict(&gate(), &tally).is_some()
        };
        assert!(!failed(2, 2), "two hosts are too few to tell");
        assert!(failed(3, 30));
        assert!(!failed(3, 31));
        assert!(failed(4, 31));
    }

    #[test]
    fn one_crash_is_enough_if_the_plan_says_so_and_what_has_no_limit_never_is() {
        let tally = Tally {
            offered: 10_000,
            crashed: 1,
            ..Tally::default()
        };
        assert!(verdict(&gate(), &tally).is_some_and(|why| why.contains("went down")));
        let tally = Tally {
            offered: 10,
            lost: 10,
            ..Tally::default()
        };
        assert_eq!(verdict(&gate(), &tally), None);
        let tally = Tally {
            offered: 10,
            crashed: 10,
            failed: 10,
            lost: 10,
            ..Tally::default()
        };
        assert_eq!(verdict(&Gate::default(), &tally), None);
    }
}
