//! A host whose power is cut in the middle of a step, and that is booted again from
//! what had reached its disk. strace holds the agent where the power goes.

use crate::{LEASE, SEG6};
use resplice_api::ReportEvent;
use resplice_tests::host::{Host, kept_disk};
use resplice_tests::service::Resplice;
use resplice_tests::{CLOUD, target};
use resplice_vm::GuestFile;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// For the agent to get to the place.
const LIMIT: Duration = Duration::from_secs(120);
const JOURNAL: &str = "/var/lib/resplice/journal.jsonl";
/// The reproducer's exit codes.
const FIXED: i32 = 0;
const VULNERABLE: i32 = 1;

/// Runs the agent up to where it has written its nth journal entry of this run, which
/// is `state`, and not yet synced it: the entry is in the page cache alone.
fn hold(host: &Host, words: &str, nth: usize, state: &str) {
    let strace = GuestFile::program(Path::new("/usr/bin/strace"), "/usr/bin/strace").unwrap();
    host.guest.vm.push(&strace).unwrap();
    let inject = format!("inject=fdatasync:delay_enter=600000000:when={nth}");
    host.guest
        .ok(&format!(
            "strace -o /run/trace -P {JOURNAL} -e trace=fdatasync -e {inject} \
             resplice {words} >/run/said 2>&1 &"
        ))
        .unwrap();
    let newest = format!("\"state\":\"{state}\"");
    let end = Instant::now() + LIMIT;
    // Twice, since without the hold it would be there for a moment as well.
    let mut seen = 0;
    while seen < 2 {
        let last = host.guest.ok(&format!("tail -n 1 {JOURNAL}")).unwrap();
        seen = if last.contains(&newest) { seen + 1 } else { 0 };
        let said = host.guest.ok("cat /run/said").unwrap();
        assert_eq!(said, "", "it was not held");
        assert!(Instant::now() < end, "the journal ends with {last}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn check(host: &Host) -> i32 {
    host.guest.run("/root/seg6-check").unwrap().code
}

/// The state of the only update that the journal knows.
fn state(host: &Host) -> String {
    let (_, status) = host.json("status").unwrap();
    let one = &status["updates"][0];
    one["state"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn a_host_that_loses_its_power_comes_back_to_old_or_new() {
    let target = target(CLOUD).unwrap();
    let mut resplice = Resplice::start(LEASE).unwrap();
    let _worker = resplice.worker("worker").unwrap();
    let update = resplice.publish(&target, SEG6).unwrap();
    let id = update.id;
    let dir = tempfile::tempdir().unwrap();
    let disk = kept_disk(dir.path()).unwrap();
    // What the agent does first in each boot, as the service manager has it.
    let boot = || {
        let host = Host::boot(&target, resplice.port, &disk).unwrap();
        host.guest.bring_seg6_check().unwrap();
        let (code, outcomes) = host.json("boot").unwrap();
        (host, code, outcomes)
    };
    let nothing = Value::Array(Vec::new());

    // Enrolled, and the power goes.
    let host = Host::boot(&target, resplice.port, &disk).unwrap();
    host.enrol(&resplice.token("enrol")).unwrap();
    drop(host);

    // About to load it: what announces that has not reached the disk.
    let (host, code, outcomes) = boot();
    assert_eq!((code, &outcomes), (0, &nothing));
    hold(&host, "apply", 3, "applying");
    assert_eq!(check(&host), VULNERABLE);
    drop(host);

    // The kernel has it, and the journal only that it was about to be applied.
    let (host, code, outcomes) = boot();
    assert_eq!((code, &outcomes), (0, &nothing));
    assert_eq!(check(&host), VULNERABLE);
    hold(&host, "apply", 3, "applied");
    assert_eq!(check(&host), FIXED);
    drop(host);

    // It may be what took the host down: only an operator's word brings it back.
    let (host, code, outcomes) = boot();
    assert_eq!((code, &outcomes), (0, &nothing));
    assert_eq!(
        (check(&host), state(&host).as_str()),
        (VULNERABLE, "quarantined")
    );
    assert_eq!(host.json("apply").unwrap(), (0, nothing.clone()));
    let (code, applied) = host.json(&format!("apply --force --update {id}")).unwrap();
    assert_eq!(code, 0, "{applied}");
    assert_eq!(check(&host), FIXED);
    host.agent("boot --end").unwrap();
    drop(host);

    // A boot that ended well vouches for it. The power goes while it is undone.
    let (host, code, outcomes) = boot();
    assert_eq!((code, &outcomes[0]["state"]), (0, &"applied".into()));
    assert_eq!((check(&host), state(&host).as_str()), (FIXED, "applied"));
    hold(&host, "undo --all", 2, "undone");
    assert_eq!(check(&host), VULNERABLE);
    drop(host);

    let (host, code, outcomes) = boot();
    assert_eq!((code, &outcomes), (0, &nothing));
    assert_eq!(
        (check(&host), state(&host).as_str()),
        (VULNERABLE, "undone")
    );
    assert_eq!(host.json("apply").unwrap(), (0, nothing));
    host.is_untouched().unwrap();
    // The server has heard of all that is certain; of the return after a boot, too.
    let reports = resplice.show(&update).unwrap().reports;
    let events: Vec<ReportEvent> = reports.iter().map(|report| report.event).collect();
    use ReportEvent::{Applied, Failed, Undone};
    assert_eq!(events, [Failed, Applied, Applied, Undone]);
}
