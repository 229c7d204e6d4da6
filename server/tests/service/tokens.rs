//! Tokens that an admin makes.

use crate::support::{Service, problem};
use jiff::{SignedDuration, Timestamp};
use resplice_api::{NewToken, Role, client::Client};
use sea_orm::ConnectionTrait;

fn new(role: Role, name: &str) -> NewToken {
    NewToken {
        role,
        name: name.to_owned(),
        expires_at: None,
        uses: None,
    }
}

#[tokio::test]
async fn a_token_is_shown_once_used_and_revoked() {
    let service = Service::start().await;
    let admin = service.client(Role::Admin);
    let made = admin
        .create_token(&new(Role::Vendor, "acme"))
        .await
        .unwrap();
    assert_eq!(made.info.created_by.as_deref(), Some("admin"));
    assert_eq!(made.info.last_used_at, None);

    let vendor = Client::new(&service.url, Some(made.token.clone())).unwrap();
    let who = vendor.whoami().await.unwrap();
    assert_eq!((who.role, who.name.as_str()), (Role::Vendor, "acme"));
    let listed = admin.tokens(500, None).await.unwrap();
    assert!(
        !serde_json::to_string(&listed)
            .unwrap()
            .contains(made.token.secret())
    );
    let find = |id: &str| listed.tokens.iter().find(|token| token.id == id).cloned();
    assert!(find(&made.info.id).unwrap().last_used_at.is_some());

    admin.revoke_token(&made.info.id).await.unwrap();
    assert_eq!(problem(vendor.whoami().await).0, 401);
    assert_eq!(problem(admin.revoke_token(&made.info.id).await).0, 404);
    let listed = admin.tokens(500, None).await.unwrap();
    let gone = listed.tokens.iter().find(|token| token.id == made.info.id);
    assert!(gone.unwrap().revoked_at.is_some());
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let service = Service::start().await;
    let admin = service.client(Role::Admin);
    let mut short = new(Role::Team, "alice");
    short.expires_at = Some(Timestamp::now() - SignedDuration::from_secs(1));
    assert_eq!(problem(admin.create_token(&short).await).0, 422);
    short.expires_at = Some(Timestamp::now() + SignedDuration::from_hours(1));
    let made = admin.create_token(&short).await.unwrap();
    let client = admin.with_token(made.token);
    client.whoami().await.unwrap();
    let db = &service.app.db;
    let sql = format!(
        "UPDATE tokens SET expires_at = expires_at - 3600000000 WHERE id = '{}'",
        made.info.id
    );
    db.execute_unprepared(&sql).await.unwrap();
    assert_eq!(problem(client.whoami().await).0, 401);
}

#[tokio::test]
async fn names_that_could_pass_for_another_person_are_refused() {
    let service = Service::start().await;
    let admin = service.client(Role::Admin);
    for bad in [
        "",
        "Team",
        "te am",
        ".team",
        "t\u{435}am",
        "team\n",
        &"a".repeat(65),
    ] {
        let refused = admin.create_token(&new(Role::Engineer, bad)).await;
        assert_eq!(problem(refused).0, 422, "{bad:?}");
    }
    let host = admin.create_token(&new(Role::Host, "web-1")).await;
    assert_eq!(problem(host).0, 422);
}

#[tokio::test]
async fn pages_of_tokens_hold_each_of_them_once_and_none_of_a_host() {
    let service = Service::start().await;
    service.enrol("web-1", crate::support::TARGET).await;
    let admin = service.client(Role::Admin);
    for i in 0..4 {
        admin
            .create_token(&new(Role::Worker, &format!("w{i}")))
            .await
            .unwrap();
    }
    let all = admin.tokens(500, None).await.unwrap();
    assert_eq!(all.next, None);
    assert!(all.tokens.iter().all(|token| token.role != Role::Host));
    let mut pages = Vec::new();
    let mut next = None;
    loop {
        let page = admin.tokens(2, next.as_deref()).await.unwrap();
        pages.extend(page.tokens);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let ids = |tokens: &[resplice_api::TokenInfo]| -> Vec<String> {
        tokens.iter().map(|token| token.id.clone()).collect()
    };
    assert_eq!(ids(&pages), ids(&all.tokens));
}

#[tokio::test]
async fn a_revoked_token_of_the_first_start_stays_revoked() {
    let service = Service::start().await;
    let token = service.token(Role::Team);
    let id = token.secret().split('-').nth(1).unwrap().to_owned();
    service.client(Role::Admin).revoke_token(&id).await.unwrap();
    let service = service.restart().await;
    assert_eq!(service.token(Role::Team), token);
    assert_eq!(problem(service.client(Role::Team).whoami().await).0, 401);
}
