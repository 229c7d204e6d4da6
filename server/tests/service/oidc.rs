//! Signing in by way of an identity provider: one of our own, over real HTTP, whose
//! tokens are really signed.

use super::provider::{Claims, IdP, Signs};
use crate::support::Service;
use reqwest::{StatusCode, header, redirect};
use resplice_api::{ChangeUser, Role, SESSION_HEADER, Whoami};
use resplice_server::oidc::{Named, Settings};
use sea_orm::ConnectionTrait;

/// A browser, as far as it matters here: it keeps cookies and goes nowhere by itself.
struct Browser {
    http: reqwest::Client,
    cookies: Vec<(String, String)>,
    base: String,
}

impl Browser {
    fn new(service: &Service) -> Self {
        let builder = reqwest::Client::builder().redirect(redirect::Policy::none());
        Self {
            http: builder.build().unwrap(),
            cookies: Vec::new(),
            base: service.url.clone(),
        }
    }

    /// Goes to a page; where that leads.
    async fn go(&mut self, url: &str) -> String {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let request = self
            .http
            .get(url)
            .header(header::COOKIE, cookies.join("; "));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{url}");
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            assert!(text.contains("HttpOnly"), "{text}");
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// From our sign-in page to the provider's; where that sends back to.
    async fn go_to_provider(&mut self) -> String {
        let there = self
            .go(&format!("{}/api/v1/sessions/oidc", self.base))
            .await;
        let answer = self.http.get(there).send().await.unwrap();
        let back = answer.headers()[header::LOCATION].to_str().unwrap();
        // The server's address as others see it is no matter of this test's.
        let (_, path) = back.split_once("/api/").unwrap();
        format!("{}/api/{path}", self.base)
    }

    /// The whole way; the word at its end.
    async fn sign_in(&mut self) -> String {
        let back = self.go_to_provider().await;
        self.go(&back).await
    }

    async fn whoami(&self) -> Option<Whoami> {
        let cookie = self
            .cookies
            .iter()
            .find(|(name, _)| name == "resplice-session")?;
        let request = self.http.get(format!("{}/api/v1/whoami", self.base));
        let request = request.header(header::COOKIE, format!("{}={}", cookie.0, cookie.1));
        request.send().await.unwrap().json().await.ok()
    }
}

async fn start(provider: &IdP) -> Service {
    with(provider, None).await
}

async fn with(provider: &IdP, role_claim: Option<&str>) -> Service {
    let named = Named {
        issuer: &provider.url,
        client_id: "resplice",
        secret_file: Some(&provider.secret_file()),
        name: Some("Test ID"),
        role_claim,
        roles: &["kernel=team".to_owned(), "release=engineer".to_owned()]
            [..if role_claim.is_some() { 2 } else { 0 }],
        public_url: "https://resplice.example.org/",
        ..Named::default()
    };
    let settings = Settings::new(&named).unwrap();
    Service::with(|config| config.oidc = Some(settings)).await
}

const DONE: &str = "/?sign-in=done";

#[tokio::test]
async fn whoever_the_provider_knows_gets_an_account_and_from_an_admin_a_role() {
    for signs in [Signs::EdDsa, Signs::Rs256] {
        let provider = IdP::start(signs).await;
        let service = start(&provider).await;
        let mut browser = Browser::new(&service);
        assert_eq!(browser.sign_in().await, "/?sign-in=no-role");
        assert!(browser.whoami().await.is_none());
        let admin = service.client(Role::Admin);
        let change = ChangeUser {
            roles: Some(vec![Role::Team]),
            disabled: None,
        };
        admin.change_user("alice", &change).await.unwrap();
        assert_eq!(browser.sign_in().await, DONE);
        let who = browser.whoami().await.unwrap();
        assert_eq!(
            (who.name.as_str(), &who.roles[..]),
            ("alice", &[Role::Team][..])
        );
        assert!(!who.must_change_password);
        // The person is known by issuer and subject, whatever else changes.
        provider.say(Claims {
            name: "al".to_owned(),
            ..provider.claims()
        });
        let mut other = Browser::new(&service);
        assert_eq!(other.sign_in().await, DONE);
        assert_eq!(other.whoami().await.unwrap().name, "alice");
        let change = ChangeUser {
            roles: None,
            disabled: Some(true),
        };
        admin.change_user("alice", &change).await.unwrap();
        assert!(
            browser.whoami().await.is_none(),
            "a closed account's sessions end"
        );
        assert_eq!(other.sign_in().await, "/?sign-in=closed");
    }
}

#[tokio::test]
async fn the_provider_can_say_what_its_people_may_do() {
    let provider = IdP::start(Signs::EdDsa).await;
    let service = with(&provider, Some("groups")).await;
    let mut browser = Browser::new(&service);
    let groups = |all: &[&str]| Claims {
        groups: all.iter().map(|&group| group.to_owned()).collect(),
        ..provider.claims()
    };
    provider.say(groups(&["staff", "release", "kernel"]));
    assert_eq!(browser.sign_in().await, DONE);
    let roles = browser.whoami().await.unwrap().roles;
    assert_eq!(roles, [Role::Team, Role::Engineer]);
    // Also to those who have a session, once they sign in again.
    provider.say(groups(&["release"]));
    assert_eq!(Browser::new(&service).sign_in().await, DONE);
    assert_eq!(browser.whoami().await.unwrap().roles, [Role::Engineer]);
    provider.say(groups(&["admin", "staff"]));
    assert_eq!(browser.sign_in().await, "/?sign-in=no-role");
}

#[tokio::test]
async fn nobody_gets_an_account_by_having_its_name_elsewhere() {
    let provider = IdP::start(Signs::EdDsa).await;
    let service = start(&provider).await;
    for name in ["admin", "engineer", "Not A Name", "../x", ""] {
        provider.say(Claims {
            name: name.to_owned(),
            ..provider.claims()
        });
        let mut browser = Browser::new(&service);
        let word = browser.sign_in().await;
        assert!(
            ["/?sign-in=taken", "/?sign-in=name"].contains(&word.as_str()),
            "{name}: {word}"
        );
        assert!(browser.whoami().await.is_none());
    }
}

/// The browser of bob, who was given a role by an admin, and has come by the provider since.
async fn linked(service: &Service, provider: &IdP, role: Role) -> Browser {
    let admin = service.client(Role::Admin);
    let new = resplice_api::NewUser {
        name: "bob".to_owned(),
        roles: vec![role],
    };
    let made = admin.create_user(&new).await.unwrap();
    let mut browser = Browser::new(service);
    let body = serde_json::json!({"name": "bob", "password": made.password});
    let request = browser
        .http
        .post(format!("{}/api/v1/sessions", service.url))
        .json(&body);
    let answer = request.header(SESSION_HEADER, "1").send().await.unwrap();
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
    browser.cookies.push((name.to_owned(), value.to_owned()));
    provider.say(Claims {
        name: "whatever".to_owned(),
        groups: vec!["release".to_owned()],
        ..provider.claims()
    });
    assert_eq!(browser.sign_in().await, DONE);
    browser
}

#[tokio::test]
async fn the_last_admin_stays_one_whatever_the_provider_says() {
    let provider = IdP::start(Signs::EdDsa).await;
    let service = with(&provider, Some("groups")).await;
    let admin = service.client(Role::Admin);
    // There is another one, the first.
    let mut bob = linked(&service, &provider, Role::Admin).await;
    assert_eq!(bob.whoami().await.unwrap().roles, [Role::Engineer]);
    let change = ChangeUser {
        roles: Some(vec![Role::Admin]),
        ..ChangeUser::default()
    };
    admin.change_user("bob", &change).await.unwrap();
    let closed = "UPDATE users SET disabled_at = 1 WHERE name = 'admin'";
    service.app.db.execute_unprepared(closed).await.unwrap();
    assert_eq!(bob.sign_in().await, DONE);
    let roles = bob.whoami().await.unwrap().roles;
    assert_eq!(roles, [Role::Engineer, Role::Admin]);
}

#[tokio::test]
async fn whoever_is_signed_in_links_the_own_account() {
    let provider = IdP::start(Signs::EdDsa).await;
    let service = start(&provider).await;
    let admin = service.client(Role::Admin);
    let browser = linked(&service, &provider, Role::Team).await;
    let mut elsewhere = Browser::new(&service);
    assert_eq!(elsewhere.sign_in().await, DONE);
    assert_eq!(elsewhere.whoami().await.unwrap().name, "bob");

    // An admin sees it, and can take it away again.
    let bob = |users: Vec<resplice_api::User>| users.into_iter().find(|u| u.name == "bob");
    let listed = bob(admin.users(100, None).await.unwrap().users).unwrap();
    let [identity] = &listed.identities[..] else {
        panic!("{listed:?}");
    };
    assert_eq!(identity.issuer, provider.url);
    let unlinked = admin.unlink_identities("bob").await.unwrap();
    assert_eq!(unlinked.identities, []);
    assert!(browser.whoami().await.is_none());
    assert!(elsewhere.whoami().await.is_none());
    assert_eq!(elsewhere.sign_in().await, "/?sign-in=no-role");
    assert_eq!(elsewhere.whoami().await.map(|who| who.name), None);
    let again = admin.unlink_identities("bob").await;
    assert_eq!(
        crate::support::problem(again),
        (409, "not-linked".to_owned())
    );
}

#[tokio::test]
async fn a_token_that_is_not_to_be_believed_signs_nobody_in() {
    let provider = IdP::start(Signs::EdDsa).await;
    let service = with(&provider, Some("groups")).await;
    let good = Claims {
        groups: vec!["kernel".to_owned()],
        ..provider.claims()
    };
    let bad: [(&str, Claims); 8] = [
        (
            "another nonce",
            Claims {
                nonce: Some("x".to_owned()),
                ..good.clone()
            },
        ),
        (
            "no nonce",
            Claims {
                nonce: Some(String::new()),
                ..good.clone()
            },
        ),
        (
            "another audience",
            Claims {
                audience: "somebody".to_owned(),
                ..good.clone()
            },
        ),
        (
            "another issuer",
            Claims {
                issuer: Some("http://127.0.0.1:1".to_owned()),
                ..good.clone()
            },
        ),
        (
            "expired",
            Claims {
                lasts_seconds: -60,
                ..good.clone()
            },
        ),
        (
            "another key",
            Claims {
                other_key: true,
                ..good.clone()
            },
        ),
        (
            "no signature",
            Claims {
                unsigned: true,
                ..good.clone()
            },
        ),
        (
            "signed with the client's secret",
            Claims {
                by_secret: true,
                ..good.clone()
            },
        ),
    ];
    for (what, claims) in bad {
        provider.say(claims);
        let mut browser = Browser::new(&service);
        assert_eq!(browser.sign_in().await, "/?sign-in=token", "{what}");
        assert!(browser.whoami().await.is_none(), "{what}");
    }
    let users = service.client(Role::Admin).users(50, None).await.unwrap();
    assert_eq!(users.users.len(), 1, "there is the first admin alone");
    provider.say(good);
    assert_eq!(Browser::new(&service).sign_in().await, DONE);
}

#[tokio::test]
async fn what_comes_back_is_good_once_and_in_one_browser() {
    let provider = IdP::start(Signs::EdDsa).await;
    let service = with(&provider, Some("groups")).await;
    provider.say(Claims {
        groups: vec!["kernel".to_owned()],
        ..provider.claims()
    });
    let mut browser = Browser::new(&service);
    let back = browser.go_to_provider().await;
    // Somebody lures another browser there, which has begun one, too.
    let mut victim = Browser::new(&service);
    assert_eq!(victim.go(&back).await, "/?sign-in=state");
    victim.go_to_provider().await;
    assert_eq!(victim.go(&back).await, "/?sign-in=state");
    assert!(victim.whoami().await.is_none());
    let cookies = browser.cookies.clone();
    assert_eq!(browser.go(&back).await, DONE);
    // Again, with what the browser had.
    let mut again = Browser::new(&service);
    again.cookies = cookies;
    assert_eq!(again.go(&back).await, "/?sign-in=state");
    // A code of another sign-in has another PKCE challenge.
    let old = back
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let fresh = again.go_to_provider().await;
    let code = fresh
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    assert_eq!(
        again.go(&fresh.replace(code, old)).await,
        "/?sign-in=provider"
    );
    let fresh = again.go_to_provider().await;
    let stranger = Browser::new(&service).go_to_provider().await;
    let stolen = stranger
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let code = fresh
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    assert_eq!(
        again.go(&fresh.replace(code, stolen)).await,
        "/?sign-in=provider"
    );
    for wrong in [
        fresh.split('?').next().unwrap().to_owned(),
        format!(
            "{}&error=access_denied",
            again.go_to_provider().await.split("&code").next().unwrap()
        ),
        format!("{}&iss=https://evil.example", again.go_to_provider().await),
    ] {
        let word = again.go(&wrong).await;
        assert!(
            ["/?sign-in=state", "/?sign-in=refused", "/?sign-in=token"].contains(&word.as_str()),
            "{wrong}: {word}"
        );
    }
    assert!(again.whoami().await.is_none());
}

#[tokio::test]
async fn a_provider_that_is_gone_stops_nobody_else() {
    let provider = IdP::start(Signs::EdDsa).await;
    let service = start(&provider).await;
    let ways = format!("{}/api/v1/sign-in", service.url);
    let said: serde_json::Value = reqwest::get(&ways).await.unwrap().json().await.unwrap();
    assert_eq!(said["oidc"]["name"], "Test ID");
    drop(provider);
    assert_eq!(
        Browser::new(&service)
            .go(&format!("{}/api/v1/sessions/oidc", service.url))
            .await,
        "/?sign-in=provider"
    );
    service.upload().await;
    let other = Service::start().await;
    let ways = format!("{}/api/v1/sign-in", other.url);
    let said: serde_json::Value = reqwest::get(&ways).await.unwrap().json().await.unwrap();
    assert!(said["oidc"].is_null());
    let begin = reqwest::get(format!("{}/api/v1/sessions/oidc", other.url))
        .await
        .unwrap();
    assert_eq!(begin.status(), 404);
}
