//! How updates reach hosts.

use crate::support::{Service, TARGET, new_update, problem};
use resplice_api::{
    Channel, Enrolled, HostId, NewRelease, Plan, Role, UpdateId, client::Client,
    client::PlanAnswer, package_target,
};

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
async fn signed(service: &Service, update: UpdateId) -> serde_json::Value {
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
    let key = resplice_package::SecretKey::generate().unwrap().public();
    let enrol = resplice_api::Enrol {
        name: "plain".to_owned(),
        public_key: key.to_string(),
        release: "6.1.0-50-cloud-amd64".to_owned(),
        target: TARGET.to_owned(),
        channel: None,
    };
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
