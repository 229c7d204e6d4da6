//! How often somebody may ask, and what they need not be told twice.

use crate::support::Service;
use resplice_api::Role;

#[tokio::test]
async fn whoever_asks_too_often_is_told_how_long_to_wait_and_nobody_else_is() {
    let service = Service::with(|config| config.requests_per_second = Some(1)).await;
    let http = reqwest::Client::new();
    let address = format!("{}/api/v1/whoami", service.url);
    let get = |token: String| {
        let request = http.get(&address).bearer_auth(token);
        async move { request.send().await.unwrap() }
    };
    let team = service.token(Role::Team).secret().to_owned();
    let mut refused = None;
    // Ten at once, then one a second: these take no ten seconds.
    for _ in 0..50 {
        let answer = get(team.clone()).await;
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status(), 200);
    }
    let refused = refused.expect("fifty requests were let in");
    let pause: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=2).contains(&pause), "{pause}");
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    let other = service.token(Role::Engineer).secret().to_owned();
    assert_eq!(get(other).await.status(), 200);
}

#[tokio::test]
async fn strangers_are_held_up_and_those_with_a_token_are_not() {
    let service = Service::start().await;
    let http = reqwest::Client::new();
    let address = format!("{}/api/v1/whoami", service.url);
    let mut held_up = false;
    for _ in 0..3000 {
        let answer = http.get(&address).bearer_auth("rsp-0000000000000000-00");
        let status = answer.send().await.unwrap().status().as_u16();
        assert!(status == 401 || status == 429, "{status}");
        held_up |= status == 429;
        if held_up {
            break;
        }
    }
    assert!(held_up);
    service.client(Role::Team).whoami().await.unwrap();
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let service = Service::start().await;
    let update = service.upload().await;
    let http = reqwest::Client::new();
    let token = service.token(Role::Team);
    let get = |path: String, known: Option<String>| {
        let mut request = http
            .get(format!("{}/api/v1{path}", service.url))
            .bearer_auth(token.secret());
        if let Some(known) = known {
            request = request.header("if-none-match", known);
        }
        async move { request.send().await.unwrap() }
    };
    for path in [
        "/updates".to_owned(),
        format!("/updates/{}", update.id),
        "/jobs".to_owned(),
    ] {
        let first = get(path.clone(), None).await;
        assert_eq!(first.status(), 200, "{path}");
        let etag = first.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(
            first.headers()["cache-control"],
            "private, no-cache",
            "{path}"
        );
        let again = get(path.clone(), Some(etag.clone())).await;
        assert_eq!(
            (again.status().as_u16(), &again.headers()["etag"]),
            (304, &etag.parse().unwrap())
        );
        assert!(again.bytes().await.unwrap().is_empty(), "{path}");
        service.upload().await;
        let later = get(path.clone(), Some(etag)).await.status();
        let own = path.ends_with(&update.id.to_string());
        assert_eq!(later, if own { 304 } else { 200 }, "{path}");
    }
}
