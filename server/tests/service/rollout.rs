//! How updates reach hosts.

use crate::support::{Service, TARGET, enrolment, new_update, problem, sign};
use resplice_api::{
    Channel, Enrol, Enrolled, Gate, HostId, Limit, NewRelease, NewReport, Plan, ReportEvent, Role,
    RolloutState, Update, UpdateId, WavePlan, WaveStep,
    client::{Client, PlanAnswer},
    package_target,
};
use resplice_package::SecretKey;
use resplice_rollout::{Place, Terms};
use resplice_server::versions;
use sea_orm::{ConnectionTrait, Statement};

pub type HostClient = (Client, Enrolled);

pub async fn plan((client, enrolled): &HostClient) -> Plan {
    let answer = client.plan(enrolled.host_id, None).await.unwrap();
    let PlanAnswer::Plan { plan, .. } = answer else {
        panic!("there is a plan");
    };
    plan
}

pub async fn planned(host: &HostClient) -> Vec<UpdateId> {
    let updates = plan(host).await.updates;
    updates.iter().map(|planned| planned.update_id).collect()
}

/// A host that follows a channel.
pub async fn follower(service: &Service, name: &str, channel: Channel) -> HostClient {
    let host = service.enrol(name, TARGET).await;
    let engineer = service.client(Role::Engineer);
    let id = host.1.host_id;
    let set = engineer.set_channel(id, channel).await.unwrap();
    assert_eq!(set.channel, channel);
    host
}

/// What the public targets file says about an update.
pub async fn signed(service: &Service, update: UpdateId) -> serde_json::Value {
    let get = async |file: String| -> serde_json::Value {
        let address = format!("{}/repo/metadata/{file}", service.url);
        let answer = reqwest::get(address).await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let stamp = get("timestamp.json".to_owned()).await;
    let version = &stamp["signed"]["meta"]["snapshot.json"]["version"];
    let snapshot = get(format!("{version}.snapshot.json")).await;
    let version = &snapshot["signed"]["meta"]["targets.json"]["version"];
    let targets = get(format!("{version}.targets.json")).await;
    targets["signed"]["targets"][package_target(update, TARGET)].clone()
}

#[tokio::test]
async fn an_update_goes_from_edge_to_stable_and_hosts_get_it_in_their_channel() {
    let service = Service::start().await;
    let engineer = service.client(Role::Engineer);
    let mut hosts = Vec::new();
    for channel in Channel::ALL {
        hosts.push(follower(&service, channel.as_str(), channel).await);
    }
    let seen = async || {
        let mut seen = Vec::new();
        for host in &hosts {
            seen.push(planned(host).await.len());
        }
        seen
    };
    let (update, _) = service.built().await;
    let early = engineer.promote(update.id, Channel::Stable, "").await;
    assert_eq!(problem(early), (409, "not-released".to_owned()));

    let released = engineer.release(update.id, "good").await.unwrap();
    assert_eq!(released.channel, Some(Channel::Edge));
    assert_eq!(seen().await, [1, 0, 0]);
    assert_eq!(
        signed(&service, update.id).await["custom"]["channel"],
        "edge"
    );

    engineer
        .promote(update.id, Channel::Candidate, "quiet on edge")
        .await
        .unwrap();
    assert_eq!(seen().await, [1, 1, 0]);
    let back = engineer.promote(update.id, Channel::Candidate, "").await;
    assert_eq!(problem(back), (409, "already-there".to_owned()));
    let promoted = engineer
        .promote(update.id, Channel::Stable, "")
        .await
        .unwrap();
    assert_eq!(seen().await, [1, 1, 1]);
    let signed = signed(&service, update.id).await;
    assert_eq!(signed["custom"]["channel"], "stable");
    let steps: Vec<_> = promoted.promotions.iter().map(|p| p.channel).collect();
    assert_eq!(steps, Channel::ALL);
    assert_eq!(promoted.promotions[1].comment, "quiet on edge");
    assert_eq!(plan(&hosts[1]).await.channel, Channel::Candidate);
}

#[tokio::test]
async fn a_release_may_enter_another_channel_and_hosts_follow_stable_by_default() {
    let service = Service::start().await;
    let (update, _) = service.built().await;
    let key = SecretKey::generate().unwrap();
    let enrol = Enrol {
        channel: None,
        ..enrolment(&key, "plain", TARGET)
    };
    let enrol = sign(&key, enrol);
    let client = service.client(Role::Enrol);
    let enrolled = client.enrol(&enrol).await.unwrap();
    let token = client.with_token(enrolled.token.clone());
    let host = (token, enrolled);
    assert_eq!(plan(&host).await.channel, Channel::Stable);
    let engineer = service.client(Role::Engineer);
    let body = NewRelease {
        channel: Some(Channel::Stable),
        ..NewRelease::default()
    };
    engineer.release_with(update.id, &body).await.unwrap();
    assert_eq!(planned(&host).await, [update.id]);
    let nobody = engineer.set_channel(HostId::new(), Channel::Edge).await;
    assert_eq!(problem(nobody).0, 404);
}

#[tokio::test]
async fn a_successor_takes_an_updates_place_only_in_the_channels_that_it_has_got_to() {
    let service = Service::start().await;
    let engineer = service.client(Role::Engineer);
    let edge = follower(&service, "e", Channel::Edge).await;
    let stable = follower(&service, "s", Channel::Stable).await;
    let (first, _) = service.built().await;
    engineer.release(first.id, "").await.unwrap();
    engineer
        .promote(first.id, Channel::Stable, "")
        .await
        .unwrap();
    let mut new = new_update(&[TARGET]);
    new.supersedes = vec![first.id];
    let (second, _) = service.built_from(&new).await;
    engineer.release(second.id, "").await.unwrap();
    assert_eq!(planned(&edge).await, [second.id]);
    assert_eq!(planned(&stable).await, [first.id]);
    assert!(signed(&service, first.id).await.is_object());
    engineer
        .promote(second.id, Channel::Stable, "")
        .await
        .unwrap();
    assert_eq!(planned(&stable).await, [second.id]);
    assert!(signed(&service, first.id).await.is_null());
}

pub fn wave_plan(steps: &[(u32, u32)], gate: Gate) -> WavePlan {
    let step = |&(after_s, share): &(u32, u32)| WaveStep { after_s, share };
    WavePlan {
        name: "careful".to_owned(),
        steps: steps.iter().map(step).collect(),
        jitter_s: 0,
        gate,
    }
}

/// A release in waves to hosts that were enrolled before.
async fn in_waves(service: &Service, plan: &WavePlan) -> Update {
    let engineer = service.client(Role::Engineer);
    let (update, _) = service.built().await;
    engineer.put_wave_plan(plan).await.unwrap();
    let body = NewRelease {
        plan: Some(plan.name.clone()),
        ..NewRelease::default()
    };
    engineer.release_with(update.id, &body).await.unwrap()
}

async fn report(host: &HostClient, update: UpdateId, event: ReportEvent, code: Option<&str>) {
    let report = NewReport {
        update_id: update,
        event,
        detail: String::new(),
        code: code.map(str::to_owned),
        pause_ns: None,
        timeline: Vec::new(),
    };
    host.0.report(host.1.host_id, &report).await.unwrap();
}

async fn hosts(service: &Service, count: usize) -> Vec<HostClient> {
    let mut hosts = Vec::new();
    for number in 0..count {
        hosts.push(service.enrol(&format!("h{number}"), TARGET).await);
    }
    hosts
}

/// Which of the hosts have the update in their plans.
async fn reached(hosts: &[HostClient], update: UpdateId) -> Vec<HostId> {
    let mut reached = Vec::new();
    for host in hosts {
        if planned(host).await.contains(&update) {
            reached.push(host.1.host_id);
        }
    }
    reached
}

#[tokio::test]
async fn a_wave_takes_the_hosts_with_the_lowest_places_and_is_signed() {
    let service = Service::start().await;
    let hosts = hosts(&service, 10).await;
    let careful = wave_plan(&[(0, 300), (3600, 1000)], Gate::default());
    let update = in_waves(&service, &careful).await;
    let terms = signed(&service, update.id).await["custom"].clone();
    let wave = Terms::read(Some(&terms)).unwrap().wave.unwrap();
    let mut ids: Vec<HostId> = hosts.iter().map(|host| host.1.host_id).collect();
    ids.sort_by_key(|id| Place::of(&wave.seed, *id));
    let mut first = reached(&hosts, update.id).await;
    first.sort_by_key(|id| Place::of(&wave.seed, *id));
    assert_eq!(first, ids[..3]);
    let waits = hosts.iter().find(|host| host.1.host_id == ids[3]).unwrap();
    let held = &plan(waits).await.held[0];
    assert_eq!(held.update_id, update.id);
    assert_eq!(held.from, wave.opens_at(ids[3]));
    let engineer = service.client(Role::Engineer);
    let rollout = engineer.rollout(update.id).await.unwrap();
    assert_eq!((rollout.tally.offered, rollout.plan), (3, careful));
}

#[tokio::test]
async fn a_halt_holds_at_every_hosts_next_poll_and_what_runs_stays() {
    let service = Service::start().await;
    let hosts = hosts(&service, 3).await;
    let engineer = service.client(Role::Engineer);
    let update = in_waves(&service, &wave_plan(&[(0, 1000)], Gate::default())).await;
    assert_eq!(planned(&hosts[0]).await, [update.id]);
    report(&hosts[0], update.id, ReportEvent::Applied, None).await;
    let halted = engineer.halt(update.id, "odd logs").await.unwrap();
    assert_eq!(halted.state, RolloutState::Halted);
    assert_eq!(reached(&hosts, update.id).await, [hosts[0].1.host_id]);
    let held = plan(&hosts[1]).await.held;
    assert_eq!(held[0].reason.as_deref(), Some("halted: odd logs"));
    let again = engineer.halt(update.id, "").await;
    assert_eq!(problem(again), (409, "not-running".to_owned()));
    engineer.resume(update.id, "").await.unwrap();
    assert_eq!(reached(&hosts, update.id).await.len(), 3);
    assert_eq!(problem(engineer.resume(update.id, "").await).0, 409);
}

#[tokio::test]
async fn too_many_failures_pause_a_rollout_with_a_reason_and_an_audit_row() {
    let service = Service::start().await;
    let hosts = hosts(&service, 4).await;
    let gate = Gate {
        failed: Some(Limit {
            hosts: 2,
            share: 500,
        }),
        crashed: Some(Limit { hosts: 1, share: 0 }),
        ..Gate::default()
    };
    let update = in_waves(&service, &wave_plan(&[(0, 1000)], gate)).await;
    let engineer = service.client(Role::Engineer);
    assert_eq!(reached(&hosts[..3], update.id).await.len(), 3);
    report(&hosts[0], update.id, ReportEvent::Refused, Some("mismatch")).await;
    let state = engineer.rollout(update.id).await.unwrap().state;
    assert_eq!(state, RolloutState::Running);
    report(&hosts[1], update.id, ReportEvent::Failed, None).await;
    let rollout = engineer.rollout(update.id).await.unwrap();
    assert_eq!(rollout.state, RolloutState::Paused);
    assert!(
        rollout.reason.contains("2 of 3 hosts"),
        "{}",
        rollout.reason
    );
    assert_eq!(reached(&hosts, update.id).await, []);
    assert_eq!(audited(&service, "rollout.pause").await, 1);

    // Once resumed, what was accepted counts no more; a crash does.
    engineer.resume(update.id, "a bad disk").await.unwrap();
    assert_eq!(planned(&hosts[3]).await, [update.id]);
    let code = Some("quarantined");
    report(&hosts[3], update.id, ReportEvent::Failed, code).await;
    let rollout = engineer.rollout(update.id).await.unwrap();
    assert_eq!(rollout.state, RolloutState::Paused);
    assert!(rollout.reason.contains("went down"), "{}", rollout.reason);
    assert_eq!(audited(&service, "rollout.pause").await, 2);
}

#[tokio::test]
async fn hosts_that_fall_silent_pause_a_rollout() {
    let service = Service::start().await;
    let hosts = hosts(&service, 3).await;
    let limit = Some(Limit { hosts: 1, share: 0 });
    for (event, gate) in [
        (
            None,
            Gate {
                lost: limit,
                ..Gate::default()
            },
        ),
        (
            Some(ReportEvent::Applied),
            Gate {
                crashed: limit,
                ..Gate::default()
            },
        ),
    ] {
        let update = in_waves(&service, &wave_plan(&[(0, 1000)], gate)).await;
        planned(&hosts[0]).await;
        service.app.polls.write(&service.app.db).await;
        if let Some(event) = event {
            report(&hosts[0], update.id, event, None).await;
        }
        let state = async || {
            resplice_server::waves::watch(&service.app).await;
            let engineer = service.client(Role::Engineer);
            engineer.rollout(update.id).await.unwrap().state
        };
        assert_eq!(state().await, RolloutState::Running);
        silence(&service, hosts[0].1.host_id).await;
        assert_eq!(state().await, RolloutState::Paused);
        // It comes back; nothing resumes by itself.
        planned(&hosts[0]).await;
        assert_eq!(state().await, RolloutState::Paused);
    }
}

/// As if nothing had been heard of a host for two hours: the server forgets when it
/// noted that, too.
async fn silence(service: &Service, host: HostId) {
    let db = &service.app.db;
    let ago =
        format!("UPDATE hosts SET last_seen_at = last_seen_at - 7200000000 WHERE id = '{host}'");
    let changed = "UPDATE callers_version SET number = number + 1".to_owned();
    for sql in [ago, changed] {
        let statement = Statement::from_string(db.get_database_backend(), sql);
        db.execute_raw(statement).await.unwrap();
    }
    versions::settle().await;
}

async fn audited(service: &Service, action: &str) -> i64 {
    let db = &service.app.db;
    let sql =
        format!("SELECT COUNT(*) AS n FROM audit WHERE action = '{action}' AND actor = 'server'");
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

#[tokio::test]
async fn a_frozen_group_is_offered_nothing_new() {
    let service = Service::start().await;
    let hosts = hosts(&service, 2).await;
    let engineer = service.client(Role::Engineer);
    let id = hosts[0].1.host_id;
    engineer.set_groups(id, &["db", "paris"]).await.unwrap();
    let groups = engineer.freeze("db", "quarter's end").await.unwrap().groups;
    assert_eq!((groups[0].name.as_str(), groups[0].hosts), ("db", 1));
    let (update, _) = service.built().await;
    engineer.release(update.id, "").await.unwrap();
    assert_eq!(reached(&hosts, update.id).await, [hosts[1].1.host_id]);
    let held = plan(&hosts[0]).await.held;
    let reason = held[0].reason.as_deref().unwrap();
    assert_eq!(reason, "the group db is frozen: quarter's end");
    engineer.thaw("db").await.unwrap();
    assert_eq!(problem(engineer.thaw("db").await).0, 409);
    assert_eq!(reached(&hosts, update.id).await.len(), 2);
}

#[tokio::test]
async fn a_wave_plan_must_grow_to_the_whole() {
    let service = Service::start().await;
    let engineer = service.client(Role::Engineer);
    for steps in [
        &[][..],
        &[(0, 500)],
        &[(0, 0), (1, 1000)],
        &[(0, 500), (0, 1000)],
        &[(5, 900), (9, 800), (10, 1000)],
        &[(100_000_000, 1000)],
    ] {
        let plan = wave_plan(steps, Gate::default());
        assert_eq!(
            problem(engineer.put_wave_plan(&plan).await).0,
            422,
            "{steps:?}"
        );
    }
    let (update, _) = service.built().await;
    let body = NewRelease {
        plan: Some("nowhere".to_owned()),
        ..NewRelease::default()
    };
    assert_eq!(
        problem(engineer.release_with(update.id, &body).await).0,
        422
    );
}
