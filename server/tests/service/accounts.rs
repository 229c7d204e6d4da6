//! People: accounts, passwords, sessions.

use crate::support::{Service, TARGET, new_update, problem};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use resplice_api::{ChangeUser, NewUser, Role, SESSION_HEADER, User, Whoami};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

/// A browser with at most one session.
struct Browser {
    http: reqwest::Client,
    api: String,
    cookie: Option<String>,
}

impl Browser {
    fn new(service: &Service) -> Self {
        Self {
            http: reqwest::Client::new(),
            api: format!("{}/api/v1", service.url),
            cookie: None,
        }
    }

    /// A request as a form or a picture of another site could make it.
    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.api));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Response {
        let request = self.bare(method, path).header(SESSION_HEADER, "1");
        request.json(&body).send().await.unwrap()
    }

    async fn try_sign_in(&mut self, name: &str, password: &str) -> Response {
        let body = json!({"name": name, "password": password});
        let answer = self.send(Method::POST, "/sessions", body).await;
        if let Some(cookie) = answer.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"));
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        answer
    }

    async fn sign_in(&mut self, name: &str, password: &str) -> Whoami {
        let answer = self.try_sign_in(name, password).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json().await.unwrap()
    }

    async fn change_password(&self, old: &str, new: &str) -> StatusCode {
        let body = json!({"old": old, "new": new});
        let answer = self.send(Method::PUT, "/account/password", body).await;
        answer.status()
    }

    async fn whoami(&self) -> StatusCode {
        let answer = self.bare(Method::GET, "/whoami").send().await.unwrap();
        answer.status()
    }
}

const PASSWORD: &str = "correct horse battery";

/// A person who has signed in and changed the first password.
async fn person(service: &Service, name: &str, roles: &[Role]) -> Browser {
    let new = NewUser {
        name: name.to_owned(),
        roles: roles.to_vec(),
    };
    let admin = service.client(Role::Admin);
    let made = admin.create_user(&new).await.unwrap();
    let mut browser = Browser::new(service);
    let first = made.password.secret();
    browser.sign_in(name, first).await;
    assert_eq!(browser.change_password(first, PASSWORD).await, 204);
    browser
}

#[tokio::test]
async fn the_first_start_makes_an_admin_whose_password_goes_once_it_is_changed() {
    use std::os::unix::fs::PermissionsExt;
    let service = Service::start().await;
    let file = service.data().join("tokens/admin.password");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = std::fs::read_to_string(&file).unwrap().trim().to_owned();

    let service = service.restart().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), first);
    let mut browser = Browser::new(&service);
    let who = browser.sign_in("admin", &first).await;
    assert_eq!(
        (who.roles, who.must_change_password),
        (vec![Role::Admin], true)
    );

    // Until then, nothing else goes.
    let answer = browser.bare(Method::GET, "/users").send().await.unwrap();
    assert_eq!(answer.status(), 403);
    let problem: resplice_api::Problem = answer.json().await.unwrap();
    assert_eq!(problem.code(), "password-change-required");
    assert_eq!(browser.whoami().await, 200);

    assert_eq!(browser.change_password("wrong", PASSWORD).await, 422);
    assert_eq!(browser.change_password(&first, "short").await, 422);
    assert_eq!(browser.change_password(&first, &first).await, 422);
    assert_eq!(browser.change_password(&first, PASSWORD).await, 204);
    assert!(!file.exists());
    let answer = browser.bare(Method::GET, "/users").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer = Browser::new(&service).try_sign_in("admin", &first).await;
    assert_eq!(answer.status(), 401);

    // It is not made again.
    let service = service.restart().await;
    assert!(!file.exists());
    Browser::new(&service).sign_in("admin", PASSWORD).await;
}

#[tokio::test]
async fn a_change_with_the_cookie_alone_is_refused() {
    let service = Service::start().await;
    let browser = person(&service, "alice", &[Role::Team]).await;
    let body = serde_json::to_string(&new_update(&[TARGET])).unwrap();
    let form = browser.bare(Method::POST, "/updates").body(body.clone());
    assert_eq!(form.send().await.unwrap().status(), 403);
    let foreign = browser
        .bare(Method::POST, "/updates")
        .header(SESSION_HEADER, "1")
        .header("sec-fetch-site", "cross-site")
        .body(body.clone());
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let own = browser
        .bare(Method::POST, "/updates")
        .header(SESSION_HEADER, "1")
        .header("sec-fetch-site", "same-origin")
        .body(body);
    assert_eq!(own.send().await.unwrap().status(), 201);
    // Signing a browser in unasked is one, too.
    let planted = browser.bare(Method::POST, "/sessions").json(&json!({
        "name": "alice", "password": PASSWORD
    }));
    assert_eq!(planted.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn signing_out_ends_the_session_itself_and_no_secret_is_stored() {
    let service = Service::start().await;
    let browser = person(&service, "alice", &[Role::Team]).await;
    let secret = browser
        .cookie
        .as_deref()
        .unwrap()
        .rsplit('-')
        .next()
        .unwrap();
    for file in ["resplice.db", "resplice.db-wal"] {
        // On PostgreSQL there is no such file.
        let bytes = std::fs::read(service.data().join(file)).unwrap_or_default();
        for text in [secret, PASSWORD] {
            let mut parts = bytes.windows(text.len());
            assert!(!parts.any(|part| part == text.as_bytes()), "{file}");
        }
    }
    let answer = browser
        .send(Method::DELETE, "/sessions/current", json!(null))
        .await;
    assert_eq!(answer.status(), 204);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("resplice-session=;") && cookie.ends_with("Max-Age=0"));
    assert_eq!(browser.whoami().await, 401);
}

#[tokio::test]
async fn one_person_can_not_release_what_was_uploaded_by_any_of_ones_tokens_or_sessions() {
    let service = Service::start().await;
    let both = [Role::Team, Role::Engineer];
    let alice = person(&service, "alice", &both).await;
    let bob = person(&service, "bob", &both).await;
    // Uploaded in the browser.
    let body = serde_json::to_value(new_update(&[TARGET])).unwrap();
    let answer = alice.send(Method::POST, "/updates", body).await;
    assert_eq!(answer.status(), 201);
    let update: resplice_api::Update = answer.json().await.unwrap();
    assert_eq!(update.uploaded_by, "alice");
    let worker = service.worker("w").await;
    let lease = worker.lease(&[]).await.unwrap();
    let package = worker.package(&lease);
    let client = &worker.client;
    worker.store(&lease, &package).await;
    let end = crate::support::finish(resplice_api::FinishStatus::Built);
    client.finish(lease.job, 1, &end).await.unwrap();

    let path = format!("/updates/{}/release", update.id);
    let own = alice.send(Method::POST, &path, json!({})).await;
    assert_eq!(own.status(), 403);
    let token = service.new_token(Role::Engineer, "alice").await;
    let by_token = service.client(Role::Team).with_token(token);
    assert_eq!(problem(by_token.release(update.id, "").await).0, 403);
    let other = bob.send(Method::POST, &path, json!({})).await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn guessing_is_slowed_down_for_an_account_and_tells_nothing_of_others() {
    let service = Service::start().await;
    let alice = person(&service, "alice", &[Role::Team]).await;
    let mut answers = Vec::new();
    for name in ["alice", "nobody"] {
        let mut browser = Browser::new(&service);
        let mut tries = 0;
        let last = loop {
            let answer = browser.try_sign_in(name, "not the password").await;
            assert_eq!(browser.cookie, None);
            match answer.status().as_u16() {
                401 => tries += 1,
                _ => break answer,
            }
            answers.push(answer.text().await.unwrap());
        };
        assert!((5..=20).contains(&tries), "{name}: {tries}");
        assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
        let seconds: u64 = last.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=30).contains(&seconds));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Even the right password has to wait, but who is signed in stays so.
    let answer = Browser::new(&service).try_sign_in("alice", PASSWORD).await;
    assert_eq!(answer.status(), 429);
    assert_eq!(alice.whoami().await, 200);
}

#[tokio::test]
async fn a_closed_account_has_no_session_no_token_and_no_sign_in() {
    let service = Service::start().await;
    let admin = service.client(Role::Admin);
    let alice = person(&service, "alice", &[Role::Team]).await;
    let token = service.new_token(Role::Team, "alice").await;
    let change = ChangeUser {
        roles: None,
        disabled: Some(true),
    };
    let closed = admin.change_user("alice", &change).await.unwrap();
    assert!(closed.disabled_at.is_some());
    assert_eq!(alice.whoami().await, 401);
    assert_eq!(problem(admin.with_token(token).whoami().await).0, 401);
    let mut again = Browser::new(&service);
    assert_eq!(again.try_sign_in("alice", PASSWORD).await.status(), 401);
    let token = resplice_api::NewToken {
        role: Role::Team,
        name: "alice".to_owned(),
        expires_at: None,
        uses: None,
    };
    assert_eq!(problem(admin.create_token(&token).await).1, "user-disabled");
    // The name is not given to another person.
    let new = NewUser {
        name: "alice".to_owned(),
        roles: vec![Role::Team],
    };
    assert_eq!(problem(admin.create_user(&new).await).1, "user-exists");
    let change = ChangeUser {
        roles: Some(vec![Role::Engineer]),
        disabled: Some(false),
    };
    admin.change_user("alice", &change).await.unwrap();
    let who = again.sign_in("alice", PASSWORD).await;
    assert_eq!(who.roles, [Role::Engineer]);
}

#[tokio::test]
async fn a_reset_password_ends_all_sessions_and_a_change_the_other_ones() {
    let service = Service::start().await;
    let first = person(&service, "alice", &[Role::Team]).await;
    let mut second = Browser::new(&service);
    second.sign_in("alice", PASSWORD).await;
    let new = "another horse battery";
    assert_eq!(second.change_password(PASSWORD, new).await, 204);
    assert_eq!(
        (first.whoami().await, second.whoami().await),
        (401.try_into().unwrap(), 200.try_into().unwrap())
    );
    let reset = service
        .client(Role::Admin)
        .reset_password("alice")
        .await
        .unwrap();
    assert_eq!(second.whoami().await, 401);
    let who = second.sign_in("alice", reset.password.secret()).await;
    assert!(who.must_change_password);
}

#[tokio::test]
async fn roles_change_at_once_and_an_admin_can_not_lock_himself_out() {
    let service = Service::start().await;
    let boss = person(&service, "boss", &[Role::Admin]).await;
    let alice = person(&service, "alice", &[Role::Admin]).await;
    for body in [json!({"disabled": true}), json!({"roles": ["team"]})] {
        let answer = boss.send(Method::PATCH, "/users/boss", body).await;
        assert_eq!(answer.status(), 409);
    }
    for roles in [
        json!([]),
        json!(["worker"]),
        json!(["host", "team"]),
        json!(["boss"]),
    ] {
        let body = json!({"roles": roles});
        let answer = boss.send(Method::PATCH, "/users/alice", body).await;
        assert_eq!(answer.status(), 422);
    }
    assert_eq!(
        alice
            .bare(Method::GET, "/users")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let body = json!({"roles": ["team", "team"]});
    let answer = boss.send(Method::PATCH, "/users/alice", body).await;
    let changed: User = answer.json().await.unwrap();
    assert_eq!(changed.roles, [Role::Team]);
    assert_eq!(
        alice
            .bare(Method::GET, "/users")
            .send()
            .await
            .unwrap()
            .status(),
        403
    );
}

#[tokio::test]
async fn two_admins_who_shut_each_other_out_leave_one() {
    let service = Service::start().await;
    let mut ann = person(&service, "ann", &[Role::Admin]).await;
    let mut bob = person(&service, "bob", &[Role::Admin]).await;
    let db = &service.app.db;
    let admins = "UPDATE users SET disabled_at = 1 WHERE name NOT IN ('ann', 'bob')";
    db.execute_unprepared(admins).await.unwrap();
    for round in 0..12 {
        let out = if round % 2 == 0 {
            json!({"disabled": true})
        } else {
            json!({"roles": ["team"]})
        };
        let (first, second) = tokio::join!(
            ann.send(Method::PATCH, "/users/bob", out.clone()),
            bob.send(Method::PATCH, "/users/ann", out)
        );
        let done = [first.status(), second.status()].map(|status| status == 200);
        assert!(done[0] != done[1], "{first:?} {second:?}");
        let again = "UPDATE users SET disabled_at = NULL, roles = '[\"admin\"]'
                     WHERE name IN ('ann', 'bob')";
        db.execute_unprepared(again).await.unwrap();
        ann.sign_in("ann", PASSWORD).await;
        bob.sign_in("bob", PASSWORD).await;
    }
    // Nobody but a token is left to do it.
    let admin = service.client(Role::Admin);
    let out = ChangeUser {
        disabled: Some(true),
        roles: None,
    };
    admin.change_user("ann", &out).await.unwrap();
    let refused = admin.change_user("bob", &out).await.unwrap_err();
    assert!(refused.to_string().contains("the last admin"), "{refused}");
}

#[tokio::test]
async fn a_session_ends_after_its_time_and_when_it_is_idle() {
    use sea_orm::ConnectionTrait;
    let service = Service::start().await;
    for (sql, name) in [
        ("UPDATE sessions SET expires_at = 1", "alice"),
        (
            "UPDATE sessions SET last_used_at = last_used_at - 7200000000",
            "bob",
        ),
    ] {
        let browser = person(&service, name, &[Role::Team]).await;
        assert_eq!(browser.whoami().await, 200);
        service.app.db.execute_unprepared(sql).await.unwrap();
        assert_eq!(browser.whoami().await, 401);
    }
}

#[tokio::test]
async fn every_try_to_sign_in_is_in_the_audit_log() {
    use sea_orm::{ConnectionTrait, Statement};
    let service = Service::start().await;
    person(&service, "alice", &[Role::Team]).await;
    Browser::new(&service)
        .try_sign_in("alice", "not the password")
        .await;
    let db = &service.app.db;
    let sql = "SELECT actor, action FROM audit WHERE action LIKE 'session.%' ORDER BY id";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    let entries: Vec<(String, String)> = rows
        .iter()
        .map(|row| {
            (
                row.try_get("", "actor").unwrap(),
                row.try_get("", "action").unwrap(),
            )
        })
        .collect();
    let expected = ["session.begin", "session.refuse"];
    assert_eq!(
        entries,
        expected.map(|action| ("alice".to_owned(), action.to_owned()))
    );
}
