//! Webhooks, received and checked by others than our own code.

use crate::support::{Service, TARGET, new_update, problem, run, tool};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;
use resplice_api::{
    Channel, Delivery, DeliveryState, NewRevocation, NewWebhook, Role, Update, WebhookEvent,
    WebhookSecrets, client::Client,
};
use resplice_server::{Config, webhooks::Settings};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// What somebody's server was told.
#[derive(Clone)]
struct Told {
    id: String,
    headers: Value,
    body: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

type Answers = Arc<Mutex<Box<dyn FnMut() -> Response + Send>>>;

/// Somebody's server.
#[derive(Clone)]
struct Receiver {
    url: String,
    told: Arc<Mutex<Vec<Told>>>,
    answers: Answers,
}

impl Receiver {
    async fn start() -> Self {
        Self::answering(|| StatusCode::NO_CONTENT.into_response()).await
    }

    async fn answering(answer: impl FnMut() -> Response + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            told: Arc::default(),
            answers: Arc::new(Mutex::new(Box::new(answer))),
        };
        let router = Router::new().route("/hook", post(take));
        let router = router.with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until it was told so often.
    async fn told_times(&self, count: usize) -> Vec<Told> {
        until(async || Some(self.told()).filter(|told| told.len() >= count)).await
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let told = Told {
        id: text("webhook-id"),
        headers: names
            .iter()
            .map(|&name| (name.to_owned(), json!(text(name))))
            .collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    receiver.told.lock().unwrap().push(told);
    receiver.answers.lock().unwrap()()
}

/// Waits until there is something.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn allowing(config: &mut Config) {
    config.webhooks = Settings {
        http: true,
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        attempts: 3,
        pause: Duration::from_millis(5),
    };
}

async fn service() -> Service {
    Service::with(allowing).await
}

async fn vendor(service: &Service, name: &str) -> Client {
    let token = service.new_token(Role::Vendor, name).await;
    Client::new(&service.url, Some(token)).unwrap()
}

fn hook(url: &str) -> NewWebhook {
    NewWebhook {
        url: url.to_owned(),
        events: Vec::new(),
        channel: Channel::Edge,
    }
}

async fn released(service: &Service) -> Update {
    let (update, _) = service.built_from(&new_update(&[TARGET])).await;
    let engineer = service.client(Role::Engineer);
    engineer.release(update.id, "").await.unwrap()
}

/// Waits until the only delivery has ended.
async fn ended(vendor: &Client, webhook: &str) -> Delivery {
    until(async || {
        let found = vendor.deliveries(webhook).await.unwrap().deliveries;
        found
            .into_iter()
            .find(|d| d.state != DeliveryState::Waiting)
    })
    .await
}

/// Which signatures others find to be good: `v1`, `v1a`.
async fn verified(told: &Told, secrets: &WebhookSecrets) -> String {
    let mut check = Command::new(tool("feeds/bin/python"));
    let given = json!({
        "secret": secrets.secret,
        "public_key": secrets.public_key,
        "headers": told.headers,
        "body": told.body,
    });
    check
        .args(["-B", "tests/python/webhook.py"])
        .arg(given.to_string());
    run(check).await.unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_reference_library_verifies_what_a_vendor_is_told() {
    let (service, receiver) = (service().await, Receiver::start().await);
    let vendor = vendor(&service, "acme").await;
    let made = vendor.create_webhook(&hook(&receiver.url)).await.unwrap();
    let update = released(&service).await;
    let engineer = service.client(Role::Engineer);
    engineer
        .promote(update.id, Channel::Stable, "")
        .await
        .unwrap();
    let revocation = NewRevocation {
        reason: "it loses packets".to_owned(),
        undo: true,
    };
    engineer.revoke(update.id, &revocation).await.unwrap();
    let told = receiver.told_times(3).await;
    let of = |event: &str| {
        let mut told = told.iter();
        told.find(|told| told.json()["type"] == event).unwrap()
    };
    let (release, promotion) = (of("update.released"), of("update.promoted"));
    let data = &release.json()["data"];
    assert_eq!(data["update_id"], update.id.to_string());
    assert_eq!(data["cves"], json!(["CVE-2026-72400"]));
    assert_eq!(data["targets"], json!([TARGET]));
    assert_eq!(data["channel"], "edge");
    assert_eq!(promotion.json()["data"]["channel"], "stable");
    assert_ne!(release.id, promotion.id);
    let revoked = of("update.revoked");
    let data = &revoked.json()["data"];
    assert_eq!(
        (&data["reason"], &data["undo"]),
        (&json!("it loses packets"), &json!(true))
    );
    assert_eq!(data["channel"], "stable");
    for told in [release, promotion, revoked] {
        assert_eq!(verified(told, &made).await, "v1 v1a");
    }
    let mut altered = release.clone();
    altered.body = altered.body.replace("edge", "stable");
    assert_eq!(verified(&altered, &made).await, "");
    let listed = serde_json::to_string(&vendor.webhooks().await.unwrap()).unwrap();
    assert!(!listed.contains("whsec_"), "secrets are shown once");
}

#[tokio::test]
async fn old_and_new_secrets_sign_for_a_day_after_a_rotation() {
    let (service, receiver) = (service().await, Receiver::start().await);
    let vendor = vendor(&service, "acme").await;
    let old = vendor.create_webhook(&hook(&receiver.url)).await.unwrap();
    let new = vendor.rotate_webhook(&old.webhook.id).await.unwrap();
    assert_ne!(old.secret, new.secret);
    assert!(new.webhook.old_secrets_until.unwrap() > Timestamp::now());
    released(&service).await;
    let told = receiver.told_times(1).await;
    assert_eq!(verified(&told[0], &old).await, "v1 v1a");
    assert_eq!(verified(&told[0], &new).await, "v1 v1a");
    let later = "UPDATE webhooks SET rotated_at = rotated_at - 86400000000";
    service.app.db.execute_unprepared(later).await.unwrap();
    released(&service).await;
    let told = receiver.told_times(2).await;
    assert_eq!(verified(&told[1], &old).await, "");
    assert_eq!(verified(&told[1], &new).await, "v1 v1a");
}

#[tokio::test]
async fn what_fails_is_tried_again_and_too_often_disables_the_webhook() {
    let service = service().await;
    let receiver = Receiver::answering(|| StatusCode::BAD_GATEWAY.into_response()).await;
    let vendor = vendor(&service, "acme").await;
    let made = vendor.create_webhook(&hook(&receiver.url)).await.unwrap();
    let id = &made.webhook.id;
    released(&service).await;
    let delivery = ended(&vendor, id).await;
    assert_eq!(delivery.state, DeliveryState::Failed);
    assert_eq!((delivery.attempts, delivery.last_status), (3, Some(502)));
    let told = receiver.told();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|told| told.id == delivery.id));
    let webhook = vendor.webhooks().await.unwrap().webhooks.remove(0);
    let reason = webhook.disabled.unwrap().reason;
    assert!(
        reason.contains("3 attempts") && reason.contains("502"),
        "{reason}"
    );
    // What happens meanwhile is not told, then or later.
    released(&service).await;
    assert_eq!(problem(vendor.redeliver(id, &delivery.id).await).0, 409);
    *receiver.answers.lock().unwrap() = Box::new(|| StatusCode::OK.into_response());
    let enabled = vendor.enable_webhook(id).await.unwrap();
    assert_eq!(enabled.disabled, None);
    vendor.redeliver(id, &delivery.id).await.unwrap();
    let delivery = until(async || {
        let found = vendor.deliveries(id).await.unwrap().deliveries;
        assert_eq!(found.len(), 1);
        let mut found = found.into_iter();
        found.find(|d| d.state == DeliveryState::Delivered)
    })
    .await;
    assert_eq!(receiver.told().last().unwrap().id, delivery.id);
}

#[tokio::test]
async fn a_receiver_that_is_gone_or_leads_elsewhere_is_told_nothing_more() {
    let service = service().await;
    let vendor = vendor(&service, "acme").await;
    let elsewhere = Receiver::start().await;
    let target = elsewhere.url.clone();
    let leading = Receiver::answering(move || {
        let location = [(header::LOCATION, target.clone())];
        (StatusCode::TEMPORARY_REDIRECT, location).into_response()
    });
    let leading = leading.await;
    let gone = Receiver::answering(|| StatusCode::GONE.into_response()).await;
    let leads = vendor.create_webhook(&hook(&leading.url)).await.unwrap();
    let left = vendor.create_webhook(&hook(&gone.url)).await.unwrap();
    released(&service).await;
    assert_eq!(
        ended(&vendor, &leads.webhook.id).await.last_status,
        Some(307)
    );
    assert_eq!(ended(&vendor, &left.webhook.id).await.attempts, 1);
    assert!(elsewhere.told().is_empty(), "a redirect was followed");
    let webhooks = vendor.webhooks().await.unwrap().webhooks;
    assert!(webhooks.iter().all(|webhook| webhook.disabled.is_some()));
}

#[tokio::test]
async fn an_endless_answer_ends_the_attempt() {
    let service = service().await;
    let receiver = Receiver::answering(|| {
        let piece = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 4096]));
        let endless = futures_util::stream::repeat_with(piece);
        axum::body::Body::from_stream(endless).into_response()
    });
    let receiver = receiver.await;
    let vendor = vendor(&service, "acme").await;
    let made = vendor.create_webhook(&hook(&receiver.url)).await.unwrap();
    released(&service).await;
    let delivery = ended(&vendor, &made.webhook.id).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn what_only_the_server_reaches_is_not_reached_through_it() {
    let receiver = Receiver::start().await;
    let port = receiver.url.rsplit(':').next().unwrap().to_owned();
    let service = Service::with(|config| {
        allowing(config);
        config.webhooks.allow.clear();
    });
    let service = service.await;
    let vendor = vendor(&service, "acme").await;
    for address in [
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "0x7f000001",
    ] {
        let literal = hook(&format!("http://{address}:{port}"));
        let refused = vendor.create_webhook(&literal).await;
        assert_eq!(problem(refused).0, 422, "{address}");
    }
    // What a name stands for shows when something is sent there.
    let named = hook(&format!("http://localhost:{port}"));
    let made = vendor.create_webhook(&named).await.unwrap();
    released(&service).await;
    let delivery = ended(&vendor, &made.webhook.id).await;
    let error = delivery.last_error.unwrap();
    assert!(
        error.contains("not an address of the public network"),
        "{error}"
    );
    assert!(receiver.told().is_empty());
    let strict = Service::start().await;
    let vendor = self::vendor(&strict, "acme").await;
    let plain = vendor
        .create_webhook(&hook("http://hooks.example.org/"))
        .await;
    assert_eq!(problem(plain).0, 422);
}

#[tokio::test]
async fn a_delivery_outlives_a_restart() {
    let service = Service::with(|config| {
        allowing(config);
        config.webhooks.attempts = 1000;
    });
    let service = service.await;
    let vendor = vendor(&service, "acme").await;
    // Nobody listens there yet.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let made = vendor
        .create_webhook(&hook(&format!("http://{address}/hook")))
        .await
        .unwrap();
    let update = released(&service).await;
    until(async || {
        let found = vendor
            .deliveries(&made.webhook.id)
            .await
            .unwrap()
            .deliveries;
        found.into_iter().find(|delivery| delivery.attempts > 0)
    })
    .await;
    let service = service.restart().await;
    let receiver = Receiver::start().await;
    let there = format!("UPDATE webhooks SET url = '{}'", receiver.url);
    service.app.db.execute_unprepared(&there).await.unwrap();
    let told = receiver.told_times(1).await;
    assert_eq!(told[0].json()["data"]["update_id"], update.id.to_string());
    assert_eq!(verified(&told[0], &made).await, "v1 v1a");
}

#[tokio::test]
async fn two_servers_on_one_database_send_each_attempt_once() {
    let (first, receiver) = (service().await, Receiver::start().await);
    let second = first.beside().await;
    let vendor = vendor(&first, "acme").await;
    for _ in 0..10 {
        vendor.create_webhook(&hook(&receiver.url)).await.unwrap();
    }
    for _ in 0..3 {
        released(&first).await;
    }
    receiver.told_times(30).await;
    for webhook in vendor.webhooks().await.unwrap().webhooks {
        until(async || {
            let found = vendor.deliveries(&webhook.id).await.unwrap().deliveries;
            let done = |d: &Delivery| d.state == DeliveryState::Delivered;
            assert!(found.iter().all(|delivery| delivery.attempts <= 1));
            Some(()).filter(|()| found.len() == 3 && found.iter().all(done))
        })
        .await;
    }
    second.stop().await;
    first.stop().await;
    let told = receiver.told();
    let ids: std::collections::BTreeSet<_> = told.iter().map(|told| &told.id).collect();
    assert_eq!((told.len(), ids.len()), (30, 30));
}

#[tokio::test]
async fn vendors_see_their_own_webhooks_and_hear_what_they_asked_for() {
    let (service, receiver) = (service().await, Receiver::start().await);
    let (acme, other) = (
        vendor(&service, "acme").await,
        vendor(&service, "other").await,
    );
    let mut narrow = hook(&receiver.url);
    narrow.channel = Channel::Stable;
    narrow.events = vec![WebhookEvent::Promoted];
    let made = acme.create_webhook(&narrow).await.unwrap();
    let id = &made.webhook.id;
    assert!(other.webhooks().await.unwrap().webhooks.is_empty());
    assert_eq!(problem(other.rotate_webhook(id).await).0, 404);
    assert_eq!(problem(other.deliveries(id).await).0, 404);
    assert_eq!(problem(other.remove_webhook(id).await).0, 404);
    let engineer = service.client(Role::Engineer);
    let update = released(&service).await;
    for channel in [Channel::Candidate, Channel::Stable] {
        engineer.promote(update.id, channel, "").await.unwrap();
    }
    let told = receiver.told_times(1).await;
    assert_eq!(told[0].json()["data"]["channel"], "stable");
    ended(&acme, id).await;
    assert_eq!(acme.deliveries(id).await.unwrap().deliveries.len(), 1);
    acme.remove_webhook(id).await.unwrap();
    assert!(acme.webhooks().await.unwrap().webhooks.is_empty());
    assert_eq!(problem(acme.remove_webhook(id).await).0, 404);
}

#[tokio::test]
async fn a_vendor_whose_token_was_revoked_is_told_nothing_more() {
    let (service, receiver) = (service().await, Receiver::start().await);
    let gone = vendor(&service, "gone").await;
    let stays = vendor(&service, "stays").await;
    gone.create_webhook(&hook(&receiver.url)).await.unwrap();
    let made = stays.create_webhook(&hook(&receiver.url)).await.unwrap();
    let admin = service.client(Role::Admin);
    let tokens = admin.tokens(500, None).await.unwrap().tokens;
    let token = tokens
        .into_iter()
        .find(|token| token.name == "gone")
        .unwrap();
    admin.revoke_token(&token.id).await.unwrap();
    released(&service).await;
    ended(&stays, &made.webhook.id).await;
    assert_eq!(receiver.told().len(), 1);
}

#[tokio::test]
async fn there_is_a_limit_to_the_webhooks_of_one_vendor() {
    let service = service().await;
    let vendor = vendor(&service, "acme").await;
    for _ in 0..20 {
        vendor
            .create_webhook(&hook("http://127.0.0.1:9/"))
            .await
            .unwrap();
    }
    let refused = vendor.create_webhook(&hook("http://127.0.0.1:9/")).await;
    assert_eq!(problem(refused), (409, "too-many-webhooks".to_owned()));
}
