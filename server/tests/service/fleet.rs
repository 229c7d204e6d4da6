//! The fleet as people look at it.

use super::{
    rollout::{HostClient, follower, plan},
    support::{OTHER_TARGET, Service, TARGET, enrolment, finish, new_update, problem},
};
use resplice_api::{
    Channel, CveStage, FinishStatus, Fleet, Host, NewReport, NewRevocation, ReportEvent, Role,
    Update, UpdateId,
};

async fn say(host: &HostClient, update: UpdateId, event: ReportEvent, code: Option<&str>) {
    let report = NewReport {
        update_id: update,
        event,
        detail: "as the test says".to_owned(),
        code: code.map(str::to_owned),
        pause_ns: Some(70_000),
        timeline: Vec::new(),
    };
    host.0.report(host.1.host_id, &report).await.unwrap();
}

async fn released(service: &Service, cves: &[&str]) -> Update {
    let mut new = new_update(&[TARGET]);
    new.cves = cves.iter().map(|&cve| cve.to_owned()).collect();
    let (update, _) = service.built_from(&new).await;
    let engineer = service.client(Role::Engineer);
    engineer.release(update.id, "good").await.unwrap()
}

/// The numbers as they are now: what was counted just before may still be given out.
async fn fleet(service: &Service, until: impl Fn(&Fleet) -> bool) -> Fleet {
    let team = service.client(Role::Team);
    let mut fleet = team.fleet().await.unwrap();
    for _ in 0..500 {
        if until(&fleet) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        fleet = team.fleet().await.unwrap();
    }
    fleet
}

async fn like(service: &Service, query: &str) -> Vec<String> {
    let page = service.client(Role::Team).hosts_page(query).await.unwrap();
    page.hosts.into_iter().map(|host| host.name).collect()
}

#[tokio::test]
async fn each_host_counts_once_by_its_latest_word() {
    let service = Service::start().await;
    let first = released(&service, &["CVE-2026-1001"]).await;
    let mut hosts = Vec::new();
    for name in ["a", "b", "c", "d"] {
        hosts.push(service.enrol(name, TARGET).await);
    }
    service.enrol("other", OTHER_TARGET).await;
    follower(&service, "late", Channel::Stable).await;
    say(&hosts[0], first.id, ReportEvent::Busy, Some("busy")).await;
    say(&hosts[0], first.id, ReportEvent::Applied, None).await;
    say(&hosts[0], first.id, ReportEvent::Applied, None).await;
    say(&hosts[1], first.id, ReportEvent::Refused, Some("stacked")).await;
    say(&hosts[2], first.id, ReportEvent::Refused, Some("stacked")).await;
    say(&hosts[3], first.id, ReportEvent::Applied, None).await;
    say(&hosts[3], first.id, ReportEvent::Undone, None).await;

    let fleet = fleet(&service, |f| f.hosts == 6 && f.troubles.len() == 1).await;
    assert_eq!((fleet.hosts, fleet.silent), (6, 0));
    let shown = &fleet.updates[0];
    assert_eq!((shown.update_id, shown.superseded), (first.id, false));
    // The one of another target and the one that follows stable do not get it.
    assert_eq!(
        (shown.hosts, shown.applied, shown.failed, shown.busy),
        (4, 1, 2, 0)
    );
    let trouble = &fleet.troubles[0];
    assert_eq!(
        (trouble.hosts, trouble.code.as_deref()),
        (2, Some("stacked"))
    );
    let cve = &fleet.cves[0];
    assert_eq!(
        (cve.cve.as_str(), cve.hosts, cve.open),
        ("CVE-2026-1001", 5, 4)
    );
    assert_eq!(cve.targets[0].stage, CveStage::Released);
    assert_eq!(fleet.days.last().unwrap().applied, 1);
    let paused: Vec<u64> = fleet.pauses.iter().map(|pause| pause.hosts).collect();
    assert_eq!(paused, [0, 1, 0, 0, 0, 0]);

    let engineer = service.client(Role::Engineer);
    let taken_back = NewRevocation {
        reason: "it is slow".to_owned(),
        undo: false,
    };
    engineer.revoke(first.id, &taken_back).await.unwrap();
    let fleet = self::fleet(&service, |f| f.updates[0].revoked).await;
    assert!(fleet.updates[0].revoked);
    assert_eq!(fleet.cves[0].targets[0].stage, CveStage::Revoked);

    let progress = service.client(Role::Team).progress(first.id).await.unwrap();
    let last = progress.points.last().unwrap();
    assert_eq!((progress.hosts, last.applied, last.failed), (4, 1, 2));
}

#[tokio::test]
async fn a_host_is_open_to_a_cve_until_it_runs_one_of_its_fixes() {
    let service = Service::start().await;
    let older = released(&service, &["CVE-2026-1001", "CVE-2026-1002"]).await;
    let newer = released(&service, &["CVE-2026-1001"]).await;
    let hosts = [
        service.enrol("a", TARGET).await,
        service.enrol("b", TARGET).await,
    ];
    say(&hosts[0], older.id, ReportEvent::Applied, None).await;
    say(&hosts[0], newer.id, ReportEvent::Applied, None).await;
    let mut new = new_update(&[OTHER_TARGET]);
    new.cves = vec!["CVE-2026-1003".to_owned()];
    service.client(Role::Team).upload(&new).await.unwrap();
    service.enrol("c", OTHER_TARGET).await;

    let open = |fleet: &Fleet| -> Vec<(String, u64, u64)> {
        let cve = |c: &resplice_api::FleetCve| (c.cve.clone(), c.hosts, c.open);
        fleet.cves.iter().map(cve).collect()
    };
    let expected = [
        ("CVE-2026-1003".to_owned(), 1, 1),
        ("CVE-2026-1002".to_owned(), 2, 1),
        ("CVE-2026-1001".to_owned(), 2, 1),
    ];
    let fleet = fleet(&service, |f| open(f) == expected).await;
    assert_eq!(open(&fleet), expected);
    assert_eq!(fleet.cves[0].targets[0].stage, CveStage::Building);
    assert_eq!(like(&service, "open_to=CVE-2026-1001").await, ["b"]);
    assert_eq!(like(&service, "open_to=CVE-2026-1003").await, ["c"]);
    assert!(like(&service, "open_to=CVE-2026-9").await.is_empty());
    assert!(like(&service, "open_to=%25").await.is_empty());
}

#[tokio::test]
async fn hosts_come_in_pages_and_are_found_by_what_people_know() {
    let service = Service::start().await;
    let update = released(&service, &[]).await;
    let mut hosts = Vec::new();
    for name in ["Web_1", "web-2", "db-1", "db-2", "db-3"] {
        hosts.push(service.enrol(name, TARGET).await);
    }
    service.enrol("other", OTHER_TARGET).await;
    say(&hosts[2], update.id, ReportEvent::Failed, Some("crashed")).await;
    let engineer = service.client(Role::Engineer);
    let id = hosts[3].1.host_id;
    engineer.set_groups(id, &["databases"]).await.unwrap();
    engineer.set_channel(id, Channel::Candidate).await.unwrap();

    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let query = format!("limit=2{after}");
        let page = service.client(Role::Team).hosts_page(&query).await.unwrap();
        seen.extend(page.hosts.into_iter().map(|host: Host| host.name));
        let Some(next) = page.next else { break };
        after = format!("&after={next}");
    }
    let mut all = ["Web_1", "web-2", "db-1", "db-2", "db-3", "other"];
    all.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, all);
    assert_eq!(service.client(Role::Team).hosts().await.unwrap().len(), 6);

    assert_eq!(like(&service, "q=WEB").await.len(), 2);
    assert_eq!(like(&service, "q=b_1").await, ["Web_1"]);
    assert_eq!(like(&service, "q=%25").await.len(), 0);
    assert_eq!(like(&service, "group=databases").await, ["db-2"]);
    assert_eq!(like(&service, "channel=candidate").await, ["db-2"]);
    assert_eq!(
        like(&service, &format!("target={OTHER_TARGET}")).await,
        ["other"]
    );
    assert_eq!(like(&service, "state=failing").await, ["db-1"]);
    assert_eq!(
        like(&service, &format!("failed={}", update.id)).await,
        ["db-1"]
    );
    assert!(like(&service, "state=silent").await.is_empty());
    let wrong = service.client(Role::Team).hosts_page("state=odd").await;
    assert_eq!(problem(wrong).0, 400);
}

#[tokio::test]
async fn a_host_is_shown_with_what_it_should_run_and_what_it_said() {
    let service = Service::start().await;
    let update = released(&service, &["CVE-2026-1001"]).await;
    let host = service.enrol("a", TARGET).await;
    say(&host, update.id, ReportEvent::Busy, Some("busy")).await;
    say(&host, update.id, ReportEvent::Applied, None).await;
    let team = service.client(Role::Team);
    let shown = team.host(host.1.host_id).await.unwrap();
    assert_eq!(shown.host.applied, [update.id]);
    assert_eq!(shown.updates.len(), 1);
    assert!(shown.updates[0].in_effect);
    assert_eq!(shown.updates[0].cves, ["CVE-2026-1001"]);
    let events: Vec<_> = shown.reports.iter().map(|report| report.event).collect();
    assert_eq!(events, [ReportEvent::Applied, ReportEvent::Busy]);
    assert_eq!(shown.plan, plan(&host).await);
}

#[tokio::test]
async fn what_ran_on_another_kernel_is_not_said_to_run() {
    let service = Service::start().await;
    let update = released(&service, &["CVE-2026-1001"]).await;
    let key = resplice_package::SecretKey::generate().unwrap();
    let client = service.client(Role::Enrol);
    let first = enrolment(&key, "a", TARGET);
    let enrolled = client.enrol(&first).await.unwrap();
    let host = (client.with_token(enrolled.token.clone()), enrolled);
    say(&host, update.id, ReportEvent::Applied, None).await;
    let team = service.client(Role::Team);
    assert_eq!(team.hosts().await.unwrap()[0].applied, [update.id]);
    let again = enrolment(&key, "a", TARGET);
    client.enrol(&again).await.unwrap();
    assert_eq!(team.hosts().await.unwrap()[0].applied, [update.id]);
    let moved = enrolment(&key, "a", OTHER_TARGET);
    client.enrol(&moved).await.unwrap();
    assert!(team.hosts().await.unwrap()[0].applied.is_empty());
}

#[tokio::test]
async fn a_build_that_gave_nothing_fixes_nobody() {
    let service = Service::start().await;
    service.enrol("a", TARGET).await;
    let update = service.upload().await;
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let failed = finish(FinishStatus::Failed);
    worker.client.finish(lease.job, 1, &failed).await.unwrap();
    let failed = |f: &Fleet| {
        f.cves
            .first()
            .is_some_and(|c| c.targets[0].stage == CveStage::Failed)
    };
    let fleet = fleet(&service, failed).await;
    assert_eq!((fleet.cves[0].open, fleet.updates.len()), (1, 0));
    assert_eq!(fleet.cves[0].targets[0].stage, CveStage::Failed);
    let unreleased = service.client(Role::Team).progress(update.id).await;
    assert_eq!(problem(unreleased).0, 404);
}
