//! How a host stands: `verify`, `doctor`, `pause` and the metrics against a stand-in
//! for the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::{Agent, Finding},
    doctor::{Check, Level, Place, examine, worst},
    journal::{By, Entry, State},
    metrics,
    pause::Pause,
    policy::Decision,
    poll::{Polled, decision},
    rig::{Rig, package_bytes},
};
use jiff::{SignedDuration, Timestamp};
use resplice_api::PlannedUpdate;
use resplice_package::{Package, example};
use std::{fs, os::unix::fs::PermissionsExt};

const NOTE: &str = "\u{4}\u{14}\u{3}GNU 0123456789 of this build";

/// A host with an update in effect whose package is on disk, as `apply` does it.
fn applied(rig: &Rig, module: &str) -> Agent {
    let mut agent = rig.agent();
    let bytes = package_bytes(module, |_| ());
    let update = example::manifest().update_id;
    agent.store_package(&update, &bytes, By::Operator).unwrap();
    let package = agent
        .verify_noted(&update, &bytes, None, By::Operator)
        .unwrap();
    let package: Package = package.ok().unwrap();
    agent.apply(&package, By::Operator, Vec::new()).unwrap();
    agent
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

fn all(agent: &Agent) -> Vec<&'static str> {
    let mut findings = agent.differences().unwrap();
    findings.extend(agent.hold_against_packages().unwrap().1);
    codes(&findings)
}

fn sysfs(rig: &Rig, file: &str) -> std::path::PathBuf {
    rig.path("sys/updates").join(example::ID).join(file)
}

#[test]
fn what_runs_as_it_was_signed_has_no_findings() {
    let rig = Rig::new();
    assert_eq!(all(&rig.agent()), [""; 0]);
    let agent = applied(&rig, "good");
    assert_eq!(all(&agent), [""; 0]);
    let (held, _) = agent.hold_against_packages().unwrap();
    assert_eq!(held.len(), 1);
    assert!(held[0].signed_by.is_some());
}

#[test]
fn kernel_and_journal_are_told_apart() {
    let rig = Rig::new();
    let mut agent = applied(&rig, "good");
    agent
        .journal
        .append(Entry::new(
            &example::manifest().update_id,
            State::Undone,
            By::Operator,
        ))
        .unwrap();
    assert_eq!(codes(&agent.differences().unwrap()), ["unexpected"]);

    let rig = Rig::new();
    let agent = applied(&rig, "good");
    fs::write(sysfs(&rig, "state"), "undone\n").unwrap();
    assert_eq!(codes(&agent.differences().unwrap()), ["removed"]);
    // After a restart nothing is in the kernel, and nobody took it out.
    fs::remove_dir_all(rig.path("sys/updates")).unwrap();
    assert_eq!(
        codes(&rig.agent_in("boot-2").differences().unwrap()),
        ["pending"]
    );

    let rig = Rig::new();
    drop(applied(&rig, "good"));
    fs::remove_file(rig.state.journal()).unwrap();
    assert_eq!(all(&rig.agent()), ["unknown"]);
}

#[test]
fn a_package_that_is_gone_damaged_or_no_longer_trusted_is_found() {
    let rig = Rig::new();
    let mut agent = applied(&rig, "good");
    agent.enrolment.worker_keys.clear();
    assert_eq!(all(&agent), ["package"]);
    let agent = rig.agent();
    let sha256 = agent.record_of(example::ID).unwrap().1.package.unwrap();
    let path = rig.state.package(&sha256);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(all(&agent), ["missing"]);
    fs::remove_file(&path).unwrap();
    assert_eq!(all(&agent), ["missing"]);
}

#[test]
fn another_module_than_the_signed_one_is_found_by_its_build_id() {
    let rig = Rig::new();
    let agent = applied(
        &rig,
        &format!("good 0 1 vmlinux\n.note.gnu.build-id {NOTE}"),
    );
    assert_eq!(
        all(&agent),
        ["module"],
        "the kernel does not tell a build id"
    );
    let dir = rig.path("modules").join(example::ID).join("notes");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(".note.gnu.build-id"), NOTE).unwrap();
    assert_eq!(all(&agent), [""; 0]);
    fs::write(dir.join(".note.gnu.build-id"), NOTE.replace('0', "f")).unwrap();
    assert_eq!(all(&agent), ["module"]);
}

#[test]
fn a_function_that_the_package_does_not_replace_is_found() {
    let rig = Rig::new();
    let agent = applied(&rig, "good");
    let line = "seg6_validate_srh net/ipv6/seg6.c 0 251 -> 0 270\n";
    fs::write(sysfs(&rig, "functions"), line).unwrap();
    assert_eq!(all(&agent), [""; 0]);
    fs::write(
        sysfs(&rig, "functions"),
        format!("{line}commit_creds kernel/cred.c 0 9 -> 0 9\n"),
    )
    .unwrap();
    assert_eq!(all(&agent), ["functions"]);
}

#[test]
fn while_paused_nothing_is_applied_and_undo_works() {
    let rig = Rig::new();
    let mut agent = applied(&rig, "good");
    agent.undo(example::ID, By::Server).unwrap();
    let planned = PlannedUpdate {
        update_id: example::manifest().update_id.parse().unwrap(),
        name: "a fix".to_owned(),
        package_sha256: "11".repeat(32),
        bytes: 1,
        target: agent.enrolment.target.clone(),
        released_at: Timestamp::now(),
    };
    let next = |agent: &Agent| decision(agent, &agent.journal.records(), &planned).unwrap();
    assert_eq!(next(&agent), Decision::Apply);
    let now = Timestamp::now();
    Pause::begin(&rig.state, now, None).unwrap();
    assert_eq!(next(&agent), Decision::Leave("paused"));
    Pause::end(&rig.state).unwrap();
    assert_eq!(next(&agent), Decision::Apply);

    let rig = Rig::new();
    let mut agent = applied(&rig, "good");
    Pause::begin(&rig.state, now, None).unwrap();
    assert_eq!(
        agent.undo(example::ID, By::Operator).unwrap().state,
        State::Undone
    );
}

/// Everything that the doctor looks at on a machine that is in order.
fn place(rig: &Rig) -> Place {
    for (path, text) in [
        ("proc/sys/kernel/modules_disabled", "0\n"),
        ("sys/module/module/parameters/sig_enforce", "N\n"),
        (
            "sys/kernel/security/lockdown",
            "[none] integrity confidentiality\n",
        ),
    ] {
        set(rig, path, text);
    }
    Place {
        root: rig.path("machine"),
        now: Timestamp::now(),
    }
}

fn set(rig: &Rig, path: &str, text: &str) {
    let path = rig.path("machine").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn level(checks: &[Check], name: &str) -> Level {
    checks
        .iter()
        .find(|check| check.name == name)
        .unwrap()
        .level
}

#[test]
fn a_host_in_order_has_no_complaints() {
    let rig = Rig::new();
    let agent = applied(&rig, "good");
    let checks = examine(&agent, &place(&rig));
    let bad: Vec<_> = checks
        .iter()
        .filter(|check| check.level != Level::Ok && check.name != "disk")
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn a_kernel_that_takes_no_modules_or_only_signed_ones_is_told() {
    let rig = Rig::new();
    let place = place(&rig);
    let look = |agent: &Agent| level(&examine(agent, &place), "modules");
    let agent = rig.agent();
    set(
        &rig,
        "sys/kernel/security/lockdown",
        "none [integrity] confidentiality",
    );
    assert_eq!(look(&agent), Level::Warning);
    set(&rig, "sys/kernel/security/lockdown", "[none] integrity");
    set(&rig, "sys/module/module/parameters/sig_enforce", "Y");
    assert_eq!(look(&agent), Level::Warning);
    // Proven by the core that is loaded.
    assert_eq!(look(&applied(&rig, "good")), Level::Ok);
    set(&rig, "proc/sys/kernel/modules_disabled", "1");
    assert_eq!(look(&agent), Level::Critical);
    fs::write(rig.path("sys/abi"), "99\n").unwrap();
    assert_eq!(level(&examine(&agent, &place), "core"), Level::Critical);
}

#[test]
fn keys_that_others_can_read_are_critical() {
    let rig = Rig::new();
    let agent = rig.agent();
    let look = || level(&examine(&agent, &place(&rig)), "keys");
    for name in ["host.key", "token"] {
        let path = rig.state.path().join(name);
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(look(), Level::Critical, "{name}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(look(), Level::Ok);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(look(), Level::Critical, "{name}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_server_that_is_not_heard_of_gets_worse_with_time() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let mut place = place(&rig);
    let look = |agent: &Agent, place: &Place| level(&examine(agent, place), "poll");
    assert_eq!(look(&agent, &place), Level::Ok, "by hand");
    agent.enrolment.server = Some("http://127.0.0.1:1".to_owned());
    assert_eq!(look(&agent, &place), Level::Warning, "never");
    // Without a root nothing can be believed.
    assert_eq!(level(&examine(&agent, &place), "metadata"), Level::Critical);
    Polled::note(&rig.state, 300, Some("no route".to_owned())).unwrap();
    assert_eq!(look(&agent, &place), Level::Critical, "never succeeded");
    Polled::note(&rig.state, 300, None).unwrap();
    for (seconds, expected) in [
        (0, Level::Ok),
        (1000, Level::Warning),
        (86_500, Level::Critical),
    ] {
        place.now = Timestamp::now() + SignedDuration::from_secs(seconds);
        assert_eq!(look(&agent, &place), expected, "{seconds}");
    }
    let polled = Polled::note(&rig.state, 300, Some("no route".to_owned())).unwrap();
    assert_eq!(polled.failures, 1);
    assert!(polled.last_good.is_some());
}

#[test]
fn what_went_wrong_and_a_pause_without_an_end_are_warnings() {
    let rig = Rig::new();
    let mut agent = rig.agent();
    let place = place(&rig);
    agent
        .journal
        .append(Entry::new("u", State::Quarantined, By::Agent))
        .unwrap();
    Pause::begin(&rig.state, place.now, None).unwrap();
    let checks = examine(&agent, &place);
    assert_eq!(level(&checks, "updates"), Level::Warning);
    assert_eq!(level(&checks, "pause"), Level::Warning);
    assert!(worst(&checks) >= Level::Warning);
    // What can't be found out is told, and hides nothing.
    fs::write(rig.state.path().join("pause.json"), "{").unwrap();
    let checks = examine(&agent, &place);
    assert_eq!(level(&checks, "pause"), Level::Unknown);
    assert_eq!(level(&checks, "updates"), Level::Warning);
}

#[test]
fn metrics_are_replaced_in_one_step_and_follow_no_link() {
    let rig = Rig::new();
    let agent = applied(&rig, "good");
    Polled::note(&rig.state, 300, None).unwrap();
    let path = rig.path("resplice.prom");
    let victim = rig.path("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, rig.path("resplice.prom.new")).unwrap();
    metrics::write(&agent, &path).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let text = fs::read_to_string(&path).unwrap();
    for line in [
        "resplice_updates_applied 1",
        "resplice_updates{state=\"applied\"} 1",
        "resplice_updates{state=\"quarantined\"} 0",
        "resplice_differences 0",
        "resplice_paused 0",
        "resplice_poll_failures 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    assert!(text.contains("effective_release=\"6.1.0-50-cloud-amd64+rsp1."));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o644
    );
    assert!(!rig.path("resplice.prom.new").exists());
}
