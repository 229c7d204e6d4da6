//! Updates that are taken back.

use super::rollout::{HostClient, follower, plan, planned, signed};
use crate::support::{Service, TARGET, new_update, problem};
use resplice_api::{Channel, NewRevocation, Role, UpdateId};

fn revocation(undo: bool) -> NewRevocation {
    NewRevocation {
        reason: "it leaks".to_owned(),
        undo,
    }
}

async fn undone(host: &HostClient) -> Vec<UpdateId> {
    plan(host).await.undo
}

#[tokio::test]
async fn a_revoked_update_is_offered_no_more_and_its_terms_say_so() {
    let service = Service::start().await;
    let engineer = service.client(Role::Engineer);
    let host = follower(&service, "h1", Channel::Edge).await;
    let (update, _) = service.built().await;
    let early = engineer.revoke(update.id, &revocation(false)).await;
    assert_eq!(problem(early), (409, "not-released".to_owned()));
    engineer.release(update.id, "good").await.unwrap();
    assert_eq!(planned(&host).await, [update.id]);

    let revoked = engineer.revoke(update.id, &revocation(false)).await;
    let revoked = revoked.unwrap().revoked.unwrap();
    assert_eq!((revoked.reason.as_str(), revoked.undo), ("it leaks", false));
    assert!(planned(&host).await.is_empty());
    assert!(undone(&host).await.is_empty());
    let terms = &signed(&service, update.id).await["custom"]["revoked"];
    assert_eq!(terms["undo"], false);
    assert_eq!(terms["reason"], "it leaks");

    // First "no further", then "undo it"; never back.
    let further = engineer.revoke(update.id, &revocation(true)).await;
    assert!(further.unwrap().revoked.unwrap().undo);
    assert_eq!(undone(&host).await, [update.id]);
    let terms = &signed(&service, update.id).await["custom"]["revoked"];
    assert_eq!(terms["undo"], true);
    for undo in [false, true] {
        let again = engineer.revoke(update.id, &revocation(undo)).await;
        assert_eq!(problem(again), (409, "revoked".to_owned()));
    }
    let promoted = engineer.promote(update.id, Channel::Stable, "").await;
    assert_eq!(problem(promoted), (409, "revoked".to_owned()));
    let listed = engineer.updates(10, None).await.unwrap().updates;
    assert!(listed[0].revoked);
}

#[tokio::test]
async fn a_revocation_needs_a_reason_of_bounded_length() {
    let service = Service::start().await;
    let engineer = service.client(Role::Engineer);
    let (update, _) = service.built().await;
    engineer.release(update.id, "good").await.unwrap();
    for reason in [
        String::new(),
        " ".to_owned(),
        "two\nlines".to_owned(),
        "x".repeat(1001),
    ] {
        let new = NewRevocation { reason, undo: true };
        let refused = engineer.revoke(update.id, &new).await;
        assert_eq!(problem(refused).0, 422);
    }
    let missing = engineer.revoke(UpdateId::new(), &revocation(true)).await;
    assert_eq!(problem(missing).0, 404);
}

#[tokio::test]
async fn the_predecessor_of_a_revoked_update_is_wanted_again() {
    let service = Service::start().await;
    let engineer = service.client(Role::Engineer);
    let host = follower(&service, "h1", Channel::Edge).await;
    let (first, _) = service.built().await;
    engineer.release(first.id, "good").await.unwrap();
    let mut new = new_update(&[TARGET]);
    new.supersedes = vec![first.id];
    let (second, _) = service.built_from(&new).await;
    engineer.release(second.id, "better").await.unwrap();
    assert_eq!(planned(&host).await, [second.id]);
    assert!(signed(&service, first.id).await.is_null());

    engineer.revoke(second.id, &revocation(true)).await.unwrap();
    assert_eq!(planned(&host).await, [first.id]);
    assert_eq!(undone(&host).await, [second.id]);
    assert!(!signed(&service, first.id).await.is_null());
    assert!(!signed(&service, second.id).await.is_null());

    // A third one takes the place of both; the revoked one is remembered.
    new.supersedes = vec![second.id];
    let (third, _) = service.built_from(&new).await;
    engineer.release(third.id, "best").await.unwrap();
    assert_eq!(planned(&host).await, [third.id]);
    assert!(signed(&service, first.id).await.is_null());
    assert!(!signed(&service, second.id).await.is_null());
}
