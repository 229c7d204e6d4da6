//! From the upload to a host's kernel and back: everything goes over HTTP.

use crate::{LEASE, SEG6};
use resplice_api::{HostReport, ReportEvent, Update};
use resplice_target::Target;
use resplice_tests::host::Host;
use resplice_tests::service::{Resplice, Service};
use resplice_tests::{CLOUD, target};
use serde_json::Value;

/// The reproducer's exit codes.
const FIXED: i32 = 0;
const VULNERABLE: i32 = 1;
/// The agent's, for an update that was refused.
const REFUSED: i32 = 3;

/// A released fix, and a host that could have it.
struct Fleet {
    host: Host,
    update: Update,
    target: Target,
    _worker: Service,
    resplice: Resplice,
}

impl Fleet {
    fn start() -> Self {
        let target = target(CLOUD).unwrap();
        let mut resplice = Resplice::start(LEASE).unwrap();
        let worker = resplice.worker("worker").unwrap();
        let update = resplice.publish(&target, SEG6).unwrap();
        let host = Host::start(&target, resplice.port).unwrap();
        host.guest.bring_seg6_check().unwrap();
        host.enrol(&resplice.token("enrol")).unwrap();
        Self {
            host,
            update,
            target,
            _worker: worker,
            resplice,
        }
    }

    /// Runs the reproducer.
    fn check(&self) -> i32 {
        let output = self.host.guest.run("/root/seg6-check").unwrap();
        assert!(output.code <= VULNERABLE, "{}", output.all_text());
        output.code
    }

    /// What hosts have reported, oldest first.
    fn reports(&self) -> Vec<HostReport> {
        self.resplice.show(&self.update).unwrap().reports
    }

    /// The only update in a list that the agent gives.
    fn only<'a>(&self, list: &'a Value) -> &'a Value {
        let [one] = list.as_array().unwrap().as_slice() else {
            panic!("not one update: {list}");
        };
        assert_eq!(one["update"], self.update.id.to_string(), "{list}");
        one
    }
}

#[test]
fn a_host_checks_applies_reports_and_undoes() {
    let fleet = Fleet::start();
    let host = &fleet.host;
    assert_eq!(fleet.check(), VULNERABLE);

    let (code, checked) = host.json("check").unwrap();
    assert_eq!(code, 0, "{checked}");
    assert_eq!(fleet.only(&checked)["applies"], true, "{checked}");
    assert_eq!(fleet.check(), VULNERABLE, "a check has changed the kernel");
    host.is_untouched().unwrap();
    assert_eq!(fleet.reports(), []);

    let (code, applied) = host.json("apply").unwrap();
    assert_eq!(code, 0, "{applied}");
    assert_eq!(fleet.only(&applied)["state"], "applied", "{applied}");
    assert_eq!(fleet.check(), FIXED);
    let reports = fleet.reports();
    let [report] = reports.as_slice() else {
        panic!("not one report: {reports:?}");
    };
    assert_eq!(report.event, ReportEvent::Applied);
    assert_eq!(report.host_name, "host-1");
    assert_eq!(report.pause_ns, fleet.only(&applied)["pause_ns"].as_u64());
    assert!(report.pause_ns.is_some_and(|pause| pause > 0), "{report:?}");
    let steps: Vec<&str> = report
        .timeline
        .iter()
        .map(|step| step.name.as_str())
        .collect();
    assert_eq!(steps, ["log", "download", "verify", "apply"]);

    let (code, status) = host.json("status").unwrap();
    assert_eq!(code, 0, "{status}");
    let row = fleet.only(&status["updates"]);
    assert_eq!(row["state"], "applied", "{status}");
    assert_eq!(row["functions"], 2, "{status}");
    assert_eq!(row["pause_ns"].as_u64(), report.pause_ns, "{status}");
    assert_eq!(status["release"], fleet.target.release(), "{status}");

    // The kernel's lists of parts and functions are those of the signed package.
    let (code, verified) = host.json("verify").unwrap();
    assert_eq!(
        (code, &verified["ok"]),
        (0, &Value::Bool(true)),
        "{verified}"
    );
    assert_eq!(
        verified["updates"].as_array().unwrap().len(),
        1,
        "{verified}"
    );
    let effective = host.agent("uname -r").unwrap().text();
    let release = host.guest.ok("uname -r").unwrap();
    assert!(
        effective.starts_with(&format!("{release}+rsp1.")),
        "{effective}"
    );
    let doctor = host.agent("doctor --check").unwrap();
    assert!(
        doctor.text().starts_with("RESPLICE "),
        "{}",
        doctor.all_text()
    );
    assert_ne!(doctor.code, 2, "{}", doctor.all_text());

    let (code, undone) = host.json("undo --all").unwrap();
    assert_eq!(code, 0, "{undone}");
    assert_eq!(fleet.check(), VULNERABLE);
    assert_eq!(fleet.reports().last().unwrap().event, ReportEvent::Undone);
    // What an operator has undone is not put back by the next poll.
    let (code, again) = host.json("apply").unwrap();
    assert_eq!((code, again), (0, Value::Array(Vec::new())));
    host.is_untouched().unwrap();
}

#[test]
fn a_mismatch_is_told_to_the_user_and_to_the_server() {
    let fleet = Fleet::start();
    let host = &fleet.host;
    // The constant 4 of `cmpb $4, 2(%rdi)` becomes 5.
    host.corrupt(&fleet.target, "seg6_validate_srh", 11)
        .unwrap();
    let bytes = |text: &str| {
        text.contains("seg6_validate_srh+0xb ")
            && text.contains("expected 04 ")
            && text.contains("found 05 ")
    };

    let checked = host.agent("check").unwrap();
    assert_eq!(checked.code, REFUSED, "{}", checked.all_text());
    assert!(bytes(&checked.text()), "{}", checked.all_text());
    let applied = host.agent("apply").unwrap();
    assert_eq!(applied.code, REFUSED, "{}", applied.all_text());
    assert!(bytes(&applied.text()), "{}", applied.all_text());
    assert!(
        applied.text().contains("(mismatch)"),
        "{}",
        applied.all_text()
    );
    let reports = fleet.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].event, ReportEvent::Refused);
    assert!(bytes(&reports[0].detail), "{}", reports[0].detail);
    host.is_untouched().unwrap();

    host.repair().unwrap();
    assert_eq!(fleet.check(), VULNERABLE);
    // It is this kernel's own again, and whoever asks for the update gets it.
    let id = fleet.update.id;
    let (code, applied) = host.json(&format!("apply --update {id}")).unwrap();
    assert_eq!(
        (code, &fleet.only(&applied)["state"]),
        (0, &Value::from("applied"))
    );
    assert_eq!(fleet.check(), FIXED);
    host.guest.log_is_clean().unwrap();
}

#[test]
fn a_newer_update_takes_the_place_of_the_one_that_a_host_has() {
    let target = target(CLOUD).unwrap();
    let mut resplice = Resplice::start(LEASE).unwrap();
    let _worker = resplice.worker("worker").unwrap();
    let first = resplice
        .publish(&target, "tests/patches/data-strings.patch")
        .unwrap();
    let host = Host::start(&target, resplice.port).unwrap();
    host.enrol(&resplice.token("enrol")).unwrap();
    let says = |word: &str| {
        let text = host.guest.ok("grep State: /proc/2/status").unwrap();
        assert!(text.ends_with(&format!("S ({word})")), "{text}");
    };
    assert_eq!(host.json("apply").unwrap().0, 0);
    says("sleeping live");

    let second = resplice
        .publish_superseding(
            &target,
            "tests/patches/data-strings-newer.patch",
            Some(&first),
        )
        .unwrap();
    let (code, applied) = host.json("apply").unwrap();
    assert_eq!(code, 0, "{applied}");
    let [one] = applied.as_array().unwrap().as_slice() else {
        panic!("not one update: {applied}");
    };
    assert_eq!(one["update"], second.id.to_string(), "{applied}");
    says("sleeping newer");
    let events = |update: &Update| -> Vec<ReportEvent> {
        let reports = resplice.show(update).unwrap().reports;
        reports.iter().map(|report| report.event).collect()
    };
    assert_eq!(events(&first), [ReportEvent::Applied, ReportEvent::Undone]);
    assert_eq!(events(&second), [ReportEvent::Applied]);
    // Neither is tried again, and undoing leads to the kernel as it was shipped.
    assert_eq!(host.json("apply").unwrap(), (0, Value::Array(Vec::new())));
    assert_eq!(host.json("undo --all").unwrap().0, 0);
    says("sleeping");
    assert_eq!(host.json("apply").unwrap(), (0, Value::Array(Vec::new())));
    host.guest.log_is_clean().unwrap();
}
