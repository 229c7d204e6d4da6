//! Requests that are sent twice and carried out once.

use crate::support::{Service, TARGET, new_update};
use reqwest::Response;
use resplice_api::{IDEMPOTENCY_HEADER, Role, Update};
use serde_json::{Value, json};

async fn post(service: &Service, role: Role, path: &str, key: &str, body: &Value) -> Response {
    let request = reqwest::Client::new().post(format!("{}/api/v1{path}", service.url));
    let request = request.bearer_auth(service.token(role).secret()).json(body);
    request
        .header(IDEMPOTENCY_HEADER, key)
        .send()
        .await
        .unwrap()
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let problem: resplice_api::Problem = response.json().await.unwrap();
    (status, problem.code().to_owned())
}

#[tokio::test]
async fn an_upload_that_is_sent_again_is_the_same_update() {
    let service = Service::start().await;
    let body = json!(new_update(&[TARGET]));
    let upload =
        async |key: &str, body: &Value| post(&service, Role::Team, "/updates", key, body).await;
    let first = upload("k-1", &body).await;
    assert_eq!(first.status(), 201);
    let location = first.headers()["location"].clone();
    let first: Update = first.json().await.unwrap();
    let again = upload("k-1", &body).await;
    assert_eq!(again.status(), 201);
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.headers()["location"], location);
    assert_eq!(again.json::<Update>().await.unwrap(), first);
    let team = service.client(Role::Team);
    assert_eq!(team.updates(10, None).await.unwrap().updates.len(), 1);
    // Another body, another key, and the same key of somebody else.
    let mut other = body.clone();
    other["name"] = json!("another one");
    assert_eq!(
        code(upload("k-1", &other).await).await,
        (422, "idempotency-key-reused".to_owned())
    );
    assert_eq!(upload("k-2", &body).await.status(), 201);
    let token = service.new_token(Role::Team, "somebody-else").await;
    let request = reqwest::Client::new().post(format!("{}/api/v1/updates", service.url));
    let request = request.bearer_auth(token.secret()).json(&body);
    let theirs = request
        .header(IDEMPOTENCY_HEADER, "k-1")
        .send()
        .await
        .unwrap();
    assert_eq!(theirs.status(), 201);
    assert_ne!(theirs.json::<Update>().await.unwrap().id, first.id);
    assert_eq!(team.updates(10, None).await.unwrap().updates.len(), 3);
    for bad in ["", " ", "a b", &"k".repeat(256)] {
        assert_eq!(upload(bad, &body).await.status(), 422, "{bad:?}");
    }
}

#[tokio::test]
async fn many_at_once_make_one() {
    let service = Service::start().await;
    let body = json!(new_update(&[TARGET]));
    let all = (0..8).map(|_| post(&service, Role::Team, "/updates", "k", &body));
    let mut made = 0;
    for answer in futures_util::future::join_all(all).await {
        match answer.status().as_u16() {
            201 => made += 1,
            409 => {}
            other => panic!("{other}"),
        }
    }
    assert!(made >= 1);
    let team = service.client(Role::Team);
    assert_eq!(team.updates(10, None).await.unwrap().updates.len(), 1);
}

#[tokio::test]
async fn what_was_refused_may_be_sent_again_and_a_secret_is_not_kept() {
    let service = Service::start().await;
    let mut bad = json!(new_update(&[TARGET]));
    bad["targets"] = json!(["debian:none"]);
    for _ in 0..2 {
        let refused = post(&service, Role::Team, "/updates", "k", &bad).await;
        assert_eq!(refused.status(), 422);
        assert_ne!(code(refused).await.1, "idempotency-key-reused");
    }
    // With the same key, once it is right.
    let good = json!(new_update(&[TARGET]));
    assert_eq!(
        post(&service, Role::Team, "/updates", "k", &good)
            .await
            .status(),
        201
    );
    let new = json!({"role": "team", "name": "rack-1"});
    let made = post(&service, Role::Admin, "/tokens", "t", &new).await;
    assert_eq!(made.status(), 201);
    let again = post(&service, Role::Admin, "/tokens", "t", &new).await;
    assert_eq!(code(again).await, (409, "idempotency-secret".to_owned()));
    let tokens = service.client(Role::Admin).tokens(50, None).await.unwrap();
    let named = tokens.tokens.iter().filter(|token| token.name == "rack-1");
    assert_eq!(named.count(), 1);
}
