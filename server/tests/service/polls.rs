//! What a poll costs, and that it is never told something old.

use crate::{
    rollout::{HostClient, plan, planned, wave_plan},
    support::{OTHER_TARGET, Service, TARGET, new_update},
};
use futures_util::future::join_all;
use resplice_api::{Channel, Gate, NewRelease, NewRevocation, Role, UpdateId, client::Client};
use resplice_server::versions::{self, Current};
use sea_orm::{ConnectionTrait, Statement};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

async fn execute(service: &Service, sql: &str) {
    let db = &service.app.db;
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.execute_raw(statement).await.unwrap();
    versions::settle().await;
}

async fn number(service: &Service, sql: &str) -> i64 {
    let db = &service.app.db;
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

async fn version(service: &Service) -> i64 {
    number(service, "SELECT number AS n FROM offers_version").await
}

/// An update that is released in waves and supersedes an older one.
async fn offered(service: &Service) -> (UpdateId, UpdateId) {
    let engineer = service.client(Role::Engineer);
    let (older, _) = service.built().await;
    engineer.release(older.id, "").await.unwrap();
    let mut new = new_update(&[TARGET]);
    new.supersedes = vec![older.id];
    let (newer, _) = service.built_from(&new).await;
    let plan = wave_plan(&[(0, 1000)], Gate::default());
    engineer.put_wave_plan(&plan).await.unwrap();
    let release = NewRelease {
        plan: Some(plan.name),
        ..NewRelease::default()
    };
    engineer.release_with(newer.id, &release).await.unwrap();
    (older.id, newer.id)
}

#[tokio::test]
async fn every_statement_that_changes_an_offer_is_counted_and_no_other() {
    let service = Service::start().await;
    offered(&service).await;
    let team = service.client(Role::Team);
    team.upload(&new_update(&[OTHER_TARGET])).await.unwrap();
    // What the offers are read from, one by one, and each row's coming and going.
    let counted = [
        "UPDATE updates SET name = 'another'",
        "UPDATE updates SET released_at = released_at + 1",
        "UPDATE updates SET channel = 'candidate'",
        "UPDATE updates SET revoked_at = 1, revoke_reason = '', revoke_undo = 0",
        "UPDATE updates SET revoke_reason = 'wrong'",
        "UPDATE updates SET revoke_undo = 1",
        "UPDATE jobs SET package_sha256 = '22' WHERE status = 'built'",
        "UPDATE jobs SET package_bytes = 7 WHERE status = 'built'",
        "UPDATE jobs SET target = 'debian:other' WHERE status = 'built'",
        "UPDATE jobs SET status = 'failed' WHERE status = 'built'",
        "UPDATE jobs SET status = 'built' WHERE status = 'failed'",
        "UPDATE promotions SET promoted_at = promoted_at + 1",
        "DELETE FROM promotions",
        "UPDATE rollouts SET plan = plan",
        "UPDATE rollouts SET wave = wave",
        "UPDATE rollouts SET state = 'paused', reason = 'why', held_since = 1",
        "UPDATE rollouts SET held_us = 5",
        "DELETE FROM rollouts",
        "DELETE FROM supersedes",
    ];
    for sql in counted {
        let before = version(&service).await;
        execute(&service, sql).await;
        assert!(version(&service).await > before, "{sql}");
    }
    // What is written at every heartbeat, poll and upload.
    let others = [
        "UPDATE jobs SET lease_expires_at = 1, steps = steps, attempt = attempt",
        "UPDATE jobs SET status = 'running' WHERE status = 'queued'",
        "UPDATE jobs SET status = 'queued' WHERE status = 'running'",
        "UPDATE hosts SET last_seen_at = 1",
        "UPDATE updates SET notes = 'more', release_seq = release_seq",
    ];
    for sql in others {
        let before = version(&service).await;
        execute(&service, sql).await;
        assert_eq!(version(&service).await, before, "{sql}");
    }
    let before = version(&service).await;
    team.upload(&new_update(&[TARGET])).await.unwrap();
    assert_eq!(version(&service).await, before);
}

/// Runs each statement, and looks whether a version has grown.
async fn each_counts(service: &Service, table: &str, counts: bool, statements: &[String]) {
    let sql = format!("SELECT number AS n FROM {table}");
    for statement in statements {
        let before = number(service, &sql).await;
        execute(service, statement).await;
        assert_eq!(number(service, &sql).await > before, counts, "{statement}");
    }
}

#[tokio::test]
async fn every_statement_that_changes_who_a_host_is_is_counted_and_no_other() {
    let service = Service::start().await;
    let host = service.enrol("web-1", TARGET).await.1.host_id;
    let of_host = format!("WHERE host_id = '{host}'");
    let others = [
        "UPDATE hosts SET last_seen_at = 1".to_owned(),
        format!("UPDATE tokens SET last_used_at = 1 {of_host}"),
        "UPDATE tokens SET revoked_at = 1 WHERE host_id IS NULL".to_owned(),
        "DELETE FROM tokens WHERE host_id IS NULL AND role = 'vendor'".to_owned(),
        format!(
            "INSERT INTO tokens (id, role, name, host_id, sha256, created_at)
             VALUES ('new', 'host', 'web-1', '{host}', 'aa', 1)"
        ),
        "UPDATE updates SET name = 'another'".to_owned(),
    ];
    each_counts(&service, "callers_version", false, &others).await;
    let mut counted = vec![
        format!("INSERT INTO host_groups (host_id, name) VALUES ('{host}', 'db')"),
        "UPDATE host_groups SET name = 'web'".to_owned(),
        "DELETE FROM host_groups".to_owned(),
        "INSERT INTO frozen_groups (name, reason, frozen_by, frozen_at) VALUES ('web', '', '', 1)"
            .to_owned(),
        "UPDATE frozen_groups SET reason = 'why'".to_owned(),
        "DELETE FROM frozen_groups".to_owned(),
    ];
    // What is read of a host and its token, but for when they were seen and used.
    for column in ["name", "target", "kernel_release", "channel", "public_key"] {
        counted.push(format!("UPDATE hosts SET {column} = 'other'"));
    }
    counted.push("UPDATE hosts SET enrolled_at = 1".to_owned());
    for column in ["role", "name", "sha256"] {
        counted.push(format!(
            "UPDATE tokens SET {column} = 'other' {of_host} AND id <> 'new'"
        ));
    }
    for column in ["expires_at", "revoked_at", "uses_left"] {
        counted.push(format!("UPDATE tokens SET {column} = 1 {of_host}"));
    }
    counted.push(format!(
        "UPDATE tokens SET host_id = NULL {of_host} AND id <> 'new'"
    ));
    counted.push("UPDATE tokens SET id = 'newer' WHERE id = 'new'".to_owned());
    counted.push(format!("DELETE FROM tokens {of_host}"));
    counted.push(format!("DELETE FROM hosts WHERE id = '{host}'"));
    each_counts(&service, "callers_version", true, &counted).await;
}

#[tokio::test]
async fn what_is_kept_of_a_host_is_never_told_after_it_has_changed() {
    let service = Service::start().await;
    let host = service.enrol("web-1", TARGET).await;
    let id = host.1.host_id;
    let engineer = service.client(Role::Engineer);
    let (_, newer) = offered(&service).await;
    for _ in 0..3 {
        engineer.set_channel(id, Channel::Edge).await.unwrap();
        assert_eq!(planned(&host).await, [newer]);
        // It has not got so far.
        engineer.set_channel(id, Channel::Stable).await.unwrap();
        assert!(planned(&host).await.is_empty());
    }
    let revoked = format!("UPDATE tokens SET revoked_at = 1 WHERE host_id = '{id}'");
    execute(&service, &revoked).await;
    let refused = host.0.plan(id, None).await.unwrap_err();
    assert!(format!("{refused:?}").contains("revoked"), "{refused:?}");
    // The same token cannot be had for another secret.
    let wrong =
        format!("UPDATE tokens SET revoked_at = NULL, sha256 = '00' WHERE host_id = '{id}'");
    execute(&service, &wrong).await;
    assert!(host.0.plan(id, None).await.is_err());
}

#[tokio::test]
async fn another_server_of_the_database_says_at_once_what_has_changed() {
    let one = Service::start().await;
    let two = one.beside().await;
    let mut host = one.enrol("web-1", TARGET).await;
    host.0 = Client::new(&two.url, Some(host.1.token.clone())).unwrap();
    let engineer = one.client(Role::Engineer);
    let (older, newer) = offered(&one).await;
    assert_eq!(planned(&host).await, [newer]);
    engineer.halt(newer, "a look at it").await.unwrap();
    assert_eq!(planned(&host).await, [older]);
    engineer.resume(newer, "").await.unwrap();
    assert_eq!(planned(&host).await, [newer]);
    let id = host.1.host_id;
    engineer.set_groups(id, &["db"]).await.unwrap();
    engineer.freeze("db", "quarter's end").await.unwrap();
    assert!(planned(&host).await.is_empty());
    engineer.thaw("db").await.unwrap();
    assert_eq!(planned(&host).await, [newer]);
    let revocation = NewRevocation {
        reason: "it is wrong".to_owned(),
        undo: true,
    };
    engineer.revoke(newer, &revocation).await.unwrap();
    let plan = plan(&host).await;
    assert_eq!(plan.undo, [newer]);
    assert_eq!(plan.updates[0].update_id, older);
    // Whoever enrols again has a new token; the old one is void at once.
    let sql = format!("DELETE FROM tokens WHERE host_id = '{id}'");
    execute(&one, &sql).await;
    assert!(host.0.plan(id, None).await.is_err());
    two.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_made_a_change_hears_of_it_when_no_server_answers_from_before_it() {
    let service = Service::start().await;
    let (_, newer) = offered(&service).await;
    let engineer = service.client(Role::Engineer);
    // What another server answers from.
    let current = Current::new(&service.app.db);
    let said = async || current.get().await.unwrap().unwrap().offers;
    for _ in 0..30 {
        let halted = AtomicBool::new(false);
        let halting = async {
            engineer.halt(newer, "a look at it").await.unwrap();
            halted.store(true, Ordering::SeqCst);
        };
        // It is asked again and again, so that what it holds is fresh when the change is made.
        let asking = async {
            while !halted.load(Ordering::SeqCst) {
                said().await;
                tokio::task::yield_now().await;
            }
            said().await
        };
        let ((), said) = tokio::join!(halting, asking);
        assert_eq!(said, version(&service).await);
        engineer.resume(newer, "").await.unwrap();
    }
    service.stop().await;
}

#[tokio::test]
async fn when_a_host_was_seen_is_noted_a_little_later() {
    let service = Service::start().await;
    let host = service.enrol("web-1", TARGET).await;
    execute(&service, "UPDATE hosts SET last_seen_at = 5").await;
    planned(&host).await;
    let seen = "SELECT last_seen_at AS n FROM hosts";
    for _ in 0..100 {
        if number(&service, seen).await > 5 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the poll was never noted");
}

#[tokio::test]
async fn a_server_that_stops_notes_first_which_hosts_it_has_seen() {
    let service = Service::start().await;
    let host = service.enrol("web-1", TARGET).await;
    execute(&service, "UPDATE hosts SET last_seen_at = 5").await;
    planned(&host).await;
    let service = Service::on(service.stop().await).await;
    assert!(number(&service, "SELECT last_seen_at AS n FROM hosts").await > 5);
}

#[tokio::test]
async fn a_host_that_cannot_be_read_is_no_other_hosts_trouble() {
    let service = Service::start().await;
    let good = service.enrol("web-1", TARGET).await;
    let bad = service.enrol("web-2", TARGET).await;
    let id = bad.1.host_id;
    let sql = format!("UPDATE hosts SET channel = 'no such channel' WHERE id = '{id}'");
    execute(&service, &sql).await;
    // So many that they wait for the same query.
    let ask = async |(client, enrolled): &HostClient| {
        let polls = (0..20).map(|_| client.plan(enrolled.host_id, None));
        join_all(polls)
            .await
            .into_iter()
            .filter(Result::is_ok)
            .count()
    };
    assert_eq!(tokio::join!(ask(&good), ask(&bad)), (20, 0));
}
