use crate::support::{Service, finish, problem};
use resplice_api::{Channel, FinishStatus, NewRejection, Role, UpdateId};
use resplice_server::db::{
    promotions::Word,
    releases::{Outcome, release},
};

#[tokio::test]
async fn whoever_uploaded_an_update_can_not_release_it() {
    let service = Service::start().await;
    let (update, _) = service.built().await;
    // By role …
    assert_eq!(
        problem(service.client(Role::Team).release(update.id, "").await).0,
        403
    );
    // … by the person, in the statement itself …
    let word = Word {
        person: "team",
        comment: "",
        plan: None,
    };
    let outcome = release(&service.app.db, update.id, Channel::Edge, word).await;
    assert_eq!(outcome.unwrap(), Outcome::SamePerson);
    // … and whatever other token that person has.
    let second = service.new_token(Role::Engineer, "team").await;
    let second = service.client(Role::Team).with_token(second);
    assert_eq!(problem(second.release(update.id, "").await).0, 403);
    let shown = service.client(Role::Team).update(update.id).await.unwrap();
    assert_eq!(shown.released, None);
}

#[tokio::test]
async fn only_what_is_built_can_be_released_and_only_once() {
    let service = Service::start().await;
    let engineer = service.client(Role::Engineer);
    let code = async |id| problem(engineer.release(id, "").await);
    assert_eq!(code(UpdateId::new()).await.0, 404);
    let update = service.upload().await;
    assert_eq!(code(update.id).await.1, "unfinished");
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    assert_eq!(code(update.id).await.1, "unfinished");
    let failed = finish(FinishStatus::Failed);
    worker.client.finish(lease.job, 1, &failed).await.unwrap();
    assert_eq!(code(update.id).await.1, "nothing-built");
    let (built, _) = service.built().await;
    engineer.release(built.id, "").await.unwrap();
    assert_eq!(code(built.id).await.1, "already-released");
}

#[tokio::test]
async fn what_was_rejected_is_never_released_and_says_why() {
    let service = Service::start().await;
    let engineer = service.client(Role::Engineer);
    let reject = async |id, reason: &str| {
        let new = NewRejection {
            reason: reason.to_owned(),
        };
        engineer.reject(id, &new).await
    };
    assert_eq!(problem(reject(UpdateId::new(), "no").await).0, 404);
    let (update, _) = service.built().await;
    for reason in ["", " ", "two\nlines", &"x".repeat(1001)] {
        assert_eq!(problem(reject(update.id, reason).await).0, 422, "{reason}");
    }
    let rejected = reject(update.id, "the lock is taken twice").await.unwrap();
    let rejection = rejected.rejected.unwrap();
    assert_eq!(rejection.reason, "the lock is taken twice");
    assert_eq!(rejection.by, "engineer");

    assert_eq!(problem(reject(update.id, "again").await).1, "rejected");
    assert_eq!(problem(engineer.release(update.id, "").await).1, "rejected");
    let shown = service.client(Role::Team).update(update.id).await.unwrap();
    assert_eq!((shown.released, shown.rejected), (None, Some(rejection)));
    let listed = engineer.updates(10, None).await.unwrap().updates;
    assert!(listed[0].rejected && !listed[0].released);
    let fleet = engineer.fleet().await.unwrap();
    // The fleet's list is of CVEs that hosts are open to: there are no hosts here.
    assert!(fleet.updates.is_empty());

    // What is released is revoked, and what is not yet built can be rejected.
    let (update, _) = service.built().await;
    engineer.release(update.id, "").await.unwrap();
    let late = problem(reject(update.id, "late").await);
    assert_eq!(late, (409, "already-released".to_owned()));
    let queued = service.upload().await;
    reject(queued.id, "not ours").await.unwrap();
}
