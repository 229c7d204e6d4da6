//! A fleet of three kernels, two versions and two flavours of them: one update for
//! all, in waves, with a host in the first of them that can't take it.

use crate::{LEASE, LOADAVG};
use resplice_api::{ReportEvent, RolloutState, Update};
use resplice_target::Target;
use resplice_tests::host::Host;
use resplice_tests::programs::run_ok;
use resplice_tests::service::Resplice;
use resplice_tests::{AMD64, CLOUD, OTHER_ABI, target};
use std::time::{Duration, Instant};

/// One host at once, the others after that many seconds.
const SECOND_WAVE: u64 = 30;

struct Fleet {
    targets: [Target; 3],
    hosts: Vec<Host>,
}

impl Fleet {
    fn start(resplice: &Resplice) -> Self {
        let targets = [CLOUD, AMD64, OTHER_ABI].map(|spec| target(spec).unwrap());
        let mut hosts = Vec::new();
        for (number, target) in targets.iter().enumerate() {
            let host = Host::start(target, resplice.port).unwrap();
            let name = format!("host-{number}");
            host.enrol_as(&name, &resplice.token("enrol")).unwrap();
            hosts.push(host);
        }
        Self { targets, hosts }
    }

    /// Has all hosts poll; returns how many updates each has applied or undone.
    fn poll(&self) -> Vec<usize> {
        let poll = |host: &Host| {
            let (_, outcomes) = host.json("apply").unwrap();
            outcomes.as_array().unwrap().len()
        };
        self.hosts.iter().map(poll).collect()
    }

    /// On which hosts the new code runs.
    fn live(&self) -> [bool; 3] {
        let line = |host: &Host| host.guest.ok("cat /proc/loadavg").unwrap();
        [0, 1, 2].map(|number| line(&self.hosts[number]).ends_with(" live"))
    }

    /// The only host whose turn it is.
    fn first(&self) -> usize {
        let offered = |host: &Host| host.json("list").unwrap().1 != serde_json::json!([]);
        let turns: Vec<bool> = self.hosts.iter().map(offered).collect();
        let first = turns.iter().position(|turn| *turn).unwrap();
        assert_eq!(turns.iter().filter(|turn| **turn).count(), 1, "{turns:?}");
        first
    }
}

/// Keeps the plan by which one failure stops a rollout.
fn keep_plan(resplice: &Resplice) {
    let file = resplice.data().join("careful.json");
    let plan = serde_json::json!({
        "name": "careful",
        "steps": [{"after_s": 0, "share": 1}, {"after_s": SECOND_WAVE, "share": 1000}],
        "gate": {"failed": {"hosts": 1}},
    });
    std::fs::write(&file, plan.to_string()).unwrap();
    run_ok(
        resplice
            .client("engineer", &["wave", "set"])
            .unwrap()
            .arg(&file),
    )
    .unwrap();
}

fn events(resplice: &Resplice, update: &Update, event: ReportEvent) -> usize {
    let reports = resplice.show(update).unwrap().reports;
    reports
        .iter()
        .filter(|report| report.event == event)
        .count()
}

#[test]
fn a_bad_first_wave_stops_the_rollout_until_an_engineer_lets_it_go_on() {
    let mut resplice = Resplice::start(LEASE).unwrap();
    let _worker = resplice.worker("worker").unwrap();
    keep_plan(&resplice);
    let fleet = Fleet::start(&resplice);
    let all: Vec<&Target> = fleet.targets.iter().collect();
    let update = resplice.upload_for(&all, LOADAVG).unwrap();
    let update = resplice.release(&update, Some("careful")).unwrap();
    let released = Instant::now();

    // The first host's kernel is not what it should be.
    let first = fleet.first();
    let host = &fleet.hosts[first];
    host.corrupt(&fleet.targets[first], "loadavg_proc_show", 5)
        .unwrap();
    assert_eq!(fleet.poll().iter().sum::<usize>(), 1);
    assert_eq!(events(&resplice, &update, ReportEvent::Refused), 1);
    let rollout = resplice.rollout(&update).unwrap();
    assert_eq!(rollout.state, RolloutState::Paused, "{rollout:?}");
    assert_eq!((rollout.tally.offered, rollout.tally.failed), (1, 1));

    // The second wave's time comes, and nobody has the update.
    let left = Duration::from_secs(SECOND_WAVE + 1).saturating_sub(released.elapsed());
    std::thread::sleep(left);
    assert_eq!(fleet.poll(), [0; 3]);
    host.repair().unwrap();
    assert_eq!(fleet.live(), [false; 3]);

    // It was the host: mended, it takes the update, and the others have their turn.
    resplice.resume(&update).unwrap();
    let id = update.id;
    let (code, applied) = host.json(&format!("apply --update {id}")).unwrap();
    assert_eq!(code, 0, "{applied}");
    let end = Instant::now() + Duration::from_secs(2 * SECOND_WAVE);
    while fleet.live() != [true; 3] {
        assert!(Instant::now() < end, "{:?}", resplice.rollout(&update));
        fleet.poll();
    }
    assert_eq!(events(&resplice, &update, ReportEvent::Applied), 3);
    let rollout = resplice.rollout(&update).unwrap();
    assert_eq!(rollout.state, RolloutState::Running, "{rollout:?}");
    assert_eq!((rollout.tally.applied, rollout.tally.failed), (3, 0));

    // Taken back, it is gone from all of them with the next poll, and stays away.
    resplice.revoke(&update, "it was the wrong fix").unwrap();
    assert_eq!(fleet.poll(), [1; 3]);
    assert_eq!(fleet.live(), [false; 3]);
    assert_eq!(events(&resplice, &update, ReportEvent::Undone), 3);
    assert_eq!(fleet.poll(), [0; 3]);
    for host in &fleet.hosts {
        assert_ne!(host.agent("boot").unwrap().code, 1);
        let (_, status) = host.json("status").unwrap();
        assert!(
            status.to_string().contains("it was the wrong fix"),
            "{status}"
        );
        host.is_untouched().unwrap();
    }
    assert_eq!(fleet.live(), [false; 3]);
}
