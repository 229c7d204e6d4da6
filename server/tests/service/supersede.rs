use crate::support::{OTHER_TARGET, Service, TARGET, finish, new_update, problem};
use resplice_api::{
    Enrolled, FinishStatus, Role, Update, UpdateId, client::Client, client::PlanAnswer,
};

async fn release(service: &Service, update: &Update) {
    let engineer = service.client(Role::Engineer);
    engineer.release(update.id, "good").await.unwrap();
}

async fn planned((client, enrolled): &(Client, Enrolled)) -> Vec<UpdateId> {
    let answer = client.plan(enrolled.host_id, None).await.unwrap();
    let PlanAnswer::Plan { plan, .. } = answer else {
        panic!("there is a plan");
    };
    plan.updates
        .iter()
        .map(|planned| planned.update_id)
        .collect()
}

fn kernel_id(update: &Update) -> String {
    update.jobs[0].package.as_ref().unwrap().kernel_id.clone()
}

#[tokio::test]
async fn a_released_successor_takes_the_older_updates_place_in_plans() {
    let service = Service::start().await;
    let host = service.enrol("h1", TARGET).await;
    let (first, _) = service.built().await;
    release(&service, &first).await;
    assert_eq!(planned(&host).await, [first.id]);

    let mut new = new_update(&[TARGET]);
    new.supersedes = vec![first.id];
    let (second, _) = service.built_from(&new).await;
    // Built, not released: nothing changes for hosts.
    assert_eq!(planned(&host).await, [first.id]);
    release(&service, &second).await;
    assert_eq!(planned(&host).await, [second.id]);

    // Whoever missed the second gets the third instead of the first.
    new.supersedes = vec![second.id];
    let (third, _) = service.built_from(&new).await;
    assert_eq!(third.supersedes, [first.id, second.id]);
    release(&service, &third).await;
    assert_eq!(planned(&host).await, [third.id]);
    let team = service.client(Role::Team);
    let first = team.update(first.id).await.unwrap();
    assert_eq!(first.superseded_by, [second.id, third.id]);
}

#[tokio::test]
async fn a_target_without_a_successor_keeps_the_older_update() {
    let service = Service::start().await;
    let team = service.client(Role::Team);
    let worker = service.worker("w1").await;
    let older = team
        .upload(&new_update(&[TARGET, OTHER_TARGET]))
        .await
        .unwrap();
    for _ in 0..2 {
        let lease = worker.lease(&[]).await.unwrap();
        let package = worker.package(&lease);
        let client = &worker.client;
        worker.store(&lease, &package).await;
        let built = finish(FinishStatus::Built);
        client
            .finish(lease.job, lease.attempt, &built)
            .await
            .unwrap();
    }
    release(&service, &older).await;
    let mut new = new_update(&[TARGET]);
    new.supersedes = vec![older.id];
    let (newer, _) = service.built_from(&new).await;
    release(&service, &newer).await;
    let host = service.enrol("h1", TARGET).await;
    let other = service.enrol("h2", OTHER_TARGET).await;
    assert_eq!(planned(&host).await, [newer.id]);
    assert_eq!(planned(&other).await, [older.id]);
}

#[tokio::test]
async fn a_package_must_take_the_place_that_its_lease_says() {
    let service = Service::start().await;
    let (first, _) = service.built().await;
    let mut new = new_update(&[TARGET]);
    new.supersedes = vec![first.id];
    let team = service.client(Role::Team);
    team.upload(&new).await.unwrap();
    let worker = service.worker("w1").await;
    let lease = worker.lease(&[]).await.unwrap();
    assert_eq!(lease.supersedes, [kernel_id(&first)]);
    let wrong = worker.package_superseding(&lease, &[]);
    let put = worker.client.put_package(lease.job, lease.attempt, wrong);
    assert_eq!(problem(put.await).0, 422);
}

#[tokio::test]
async fn what_is_unknown_or_still_builds_cannot_be_superseded() {
    let service = Service::start().await;
    let team = service.client(Role::Team);
    let mut new = new_update(&[TARGET]);
    new.supersedes = vec![UpdateId::new()];
    assert_eq!(problem(team.upload(&new).await).0, 422);
    let queued = service.upload().await;
    new.supersedes = vec![queued.id];
    assert_eq!(
        problem(team.upload(&new).await),
        (409, "unfinished".to_owned())
    );
}
