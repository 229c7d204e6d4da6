//! Every operation of the API's document, every role. The document is made from
//! the router's own table of operations, so a new one is tested here as soon as
//! it exists, and fails until it is described.

use crate::support::{OTHER_TARGET, Service, TARGET, enrolment, problem, sign};
use reqwest::StatusCode;
use resplice_api::{Enrol, HostId, JobId, NewToken, Role};
use resplice_package::SecretKey;
use resplice_server::oidc;
use resplice_server::routes::{Access, Audit, Operation, document, operations};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;
use std::collections::BTreeSet;

fn address(service: &Service, operation: &Operation, host: HostId) -> String {
    let id = if operation.path.starts_with("/hosts/") {
        host.to_string()
    } else {
        JobId::new().to_string()
    };
    let path = operation
        .path
        .replace("{id}", &id)
        .replace("{target}", "debian:6.1.0-1-amd64")
        .replace("{attempt}", "1")
        .replace("{sha256}", &"0".repeat(64))
        .replace("{token}", &"0".repeat(16))
        .replace("{delivery}", "msg_0")
        .replace("{name}", "nobody")
        .replace("{level}", "0")
        .replace("{*index}", "000.p/1");
    format!("{}/api/v1{path}?offset=0", service.url)
}

async fn call(
    http: &reqwest::Client,
    operation: &Operation,
    address: &str,
    token: Option<&str>,
) -> reqwest::Response {
    let request = http.request(operation.method.clone(), address);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.body("{}").send().await.unwrap()
}

#[test]
fn the_document_is_the_table_and_the_snapshot() {
    let text = document();
    assert!(
        text == include_str!("../../api/openapi.json"),
        "the API has changed: run `resplice-server openapi > server/api/openapi.json` and look at the difference"
    );
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let table: BTreeSet<String> = operations()
        .iter()
        .map(|operation| format!("{} {}", operation.method, operation.path.replace("{*", "{")))
        .collect();
    assert_eq!(
        described, table,
        "describe the operation in routes/openapi.rs"
    );
    let mut references = Vec::new();
    find_references(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn find_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| find_references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| find_references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_is_for_its_roles_only() {
    let service = Service::start().await;
    let http = reqwest::Client::new();
    let (_, enrolled) = service.enrol("web-1", TARGET).await;
    for operation in operations() {
        let address = address(&service, &operation, enrolled.host_id);
        let what = format!("{} {}", operation.method, operation.path);
        let allowed: &[Role] = match operation.access {
            Access::Roles(allowed) => allowed,
            Access::Known => &Role::ALL,
            Access::Anyone => {
                let open = [
                    "/healthz",
                    "/openapi.json",
                    "/readyz",
                    "/sessions",
                    "/sign-in",
                ];
                let is_open =
                    open.contains(&operation.path) || operation.path.starts_with("/sessions/oidc");
                assert!(is_open, "{what} is open");
                continue;
            }
        };
        for bad in [None, Some("rsp-0000000000000000-00"), Some("x")] {
            let answer = call(&http, &operation, &address, bad).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{what}");
            let content_type = answer.headers()["content-type"].to_str().unwrap();
            assert_eq!(content_type, "application/problem+json", "{what}");
        }
        for role in Role::ALL {
            let token = match role {
                Role::Host => enrolled.token.clone(),
                other => service.any_token(other).await,
            };
            let status = call(&http, &operation, &address, Some(token.secret()))
                .await
                .status();
            if allowed.contains(&role) {
                assert_ne!(status, StatusCode::UNAUTHORIZED, "{what} as {role}");
                assert_ne!(status, StatusCode::FORBIDDEN, "{what} as {role}");
                assert!(!status.is_server_error(), "{what} as {role}: {status}");
            } else {
                assert_eq!(status, StatusCode::FORBIDDEN, "{what} as {role}");
            }
        }
    }
}

#[tokio::test]
async fn every_change_is_audited_and_no_refused_call_is() {
    let service = Service::start().await;
    let http = reqwest::Client::new();
    let (_, enrolled) = service.enrol("web-1", TARGET).await;
    service.any_token(Role::Vendor).await;
    let mut expected = count(&service).await;
    for operation in operations() {
        let what = format!("{} {}", operation.method, operation.path);
        // A browser comes back from an identity provider by GET.
        // What a patch reaches is asked by POST, since an address can't hold a patch.
        let reads = (operation.method == reqwest::Method::GET && operation.path != oidc::CALLBACK)
            || operation.path == "/patches/reach";
        assert_eq!(reads, operation.audit == Audit::Reads, "{what}");
        match operation.audit {
            // The tests of that have their own (oidc.rs).
            _ if operation.path == oidc::CALLBACK => continue,
            Audit::Reads => continue,
            Audit::Before(_) => {}
            Audit::Within => {
                within(&service, &operation).await;
                let before = std::mem::replace(&mut expected, count(&service).await);
                assert!(expected > before, "{what}");
                continue;
            }
            // What a leased job does is audited with its lease and its end.
            Audit::Continues => {
                let known = ["heartbeat", "log"];
                let last = operation.path.rsplit('/').next().unwrap();
                assert!(known.contains(&last), "{what} changes something unaudited");
                continue;
            }
        }
        let role = match operation.access {
            Access::Roles(&[role, ..]) => role,
            Access::Known => Role::Team,
            other => panic!("{what} is for {other:?}"),
        };
        let address = address(&service, &operation, enrolled.host_id);
        call(&http, &operation, &address, None).await;
        assert_eq!(count(&service).await, expected, "{what} without a token");
        let token = match role {
            Role::Host => enrolled.token.clone(),
            other => service.any_token(other).await,
        };
        call(&http, &operation, &address, Some(token.secret())).await;
        expected += 1;
        assert_eq!(count(&service).await, expected, "{what}");
    }
}

/// Calls an operation that writes its own entry, so that it has one to write.
async fn within(service: &Service, operation: &Operation) {
    match operation.path {
        "/leases" => {
            service.upload().await;
            let worker = service.worker("w-audit").await;
            worker.lease(&[]).await.unwrap();
        }
        "/sessions" => {
            let address = format!("{}/api/v1/sessions", service.url);
            let body = serde_json::json!({"name": "nobody", "password": "wrong"});
            let request = reqwest::Client::new().post(address).json(&body);
            let request = request.header(resplice_api::SESSION_HEADER, "1");
            assert_eq!(request.send().await.unwrap().status(), 401);
        }
        other => panic!("{other} has no row here: say how it is made to write its entry"),
    }
}

/// Completed entries of the audit log.
async fn count(service: &Service) -> i64 {
    let db = &service.app.db;
    let sql = "SELECT COUNT(*) AS n FROM audit WHERE completed_at IS NOT NULL";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

#[tokio::test]
async fn a_host_can_not_act_as_another_one() {
    let service = Service::start().await;
    let (host, _) = service.enrol("web-1", TARGET).await;
    let (_, other) = service.enrol("web-2", TARGET).await;
    assert_eq!(problem(host.plan(other.host_id, None).await).0, 403);
}

#[tokio::test]
async fn a_host_that_enrols_again_is_the_same_host_with_a_new_token() {
    let service = Service::start().await;
    let key = SecretKey::generate().unwrap();
    let enrol = enrolment(&key, "web-1", TARGET);
    let client = service.client(Role::Enrol);
    let first = client.enrol(&enrol).await.unwrap();
    let again = enrolment(&key, "web-1", TARGET);
    let second = client.enrol(&again).await.unwrap();
    assert_eq!(first.host_id, second.host_id);
    let old = client.with_token(first.token);
    assert_eq!(problem(old.plan(first.host_id, None).await).0, 401);
    let new = client.with_token(second.token);
    new.plan(first.host_id, None).await.unwrap();
}

#[tokio::test]
async fn a_replayed_enrolment_is_refused_and_the_host_keeps_its_token() {
    let service = Service::start().await;
    let client = service.client(Role::Enrol);
    let key = SecretKey::generate().unwrap();
    let recorded = enrolment(&key, "web-1", TARGET);
    let first = client.enrol(&recorded).await.unwrap();
    let replayed = client.enrol(&recorded).await;
    assert_eq!(problem(replayed), (409, "replayed".to_owned()));
    let host = client.with_token(first.token);
    host.plan(first.host_id, None).await.unwrap();
    // With another time, name or target it is not what the key has signed.
    let at = jiff::Timestamp::now();
    let forgeries = [
        Enrol {
            at,
            ..recorded.clone()
        },
        Enrol {
            name: "evil".to_owned(),
            ..recorded.clone()
        },
        Enrol {
            target: OTHER_TARGET.to_owned(),
            ..recorded.clone()
        },
        Enrol {
            channel: None,
            ..recorded.clone()
        },
        Enrol {
            signature: String::new(),
            ..recorded.clone()
        },
        // Nor can whoever has another key take this one's place.
        sign(&SecretKey::generate().unwrap(), Enrol { at, ..recorded }),
    ];
    for forged in forgeries {
        assert_eq!(problem(client.enrol(&forged).await).0, 403);
    }
    host.plan(first.host_id, None).await.unwrap();
    // A clock far ahead would shut the host out later.
    let at = at + jiff::SignedDuration::from_hours(1);
    let early = sign(
        &key,
        Enrol {
            at,
            ..enrolment(&key, "web-1", TARGET)
        },
    );
    assert_eq!(problem(client.enrol(&early).await).0, 422);
}

#[tokio::test]
async fn a_token_enrols_as_many_hosts_as_it_may() {
    let service = Service::start().await;
    let admin = service.client(Role::Admin);
    let token = |role, uses| NewToken {
        role,
        name: "rack-1".to_owned(),
        expires_at: None,
        uses: Some(uses),
    };
    for wrong in [token(Role::Team, 1), token(Role::Enrol, 0)] {
        assert_eq!(problem(admin.create_token(&wrong).await).0, 422);
    }
    let made = admin.create_token(&token(Role::Enrol, 2)).await.unwrap();
    assert_eq!(made.info.uses_left, Some(2));
    let client = admin.with_token(made.token);
    let enrol = async || {
        let key = SecretKey::generate().unwrap();
        client.enrol(&enrolment(&key, "h", TARGET)).await
    };
    // What is refused costs nothing.
    let key = SecretKey::generate().unwrap();
    let unsigned = Enrol {
        signature: String::new(),
        ..enrolment(&key, "h", TARGET)
    };
    assert_eq!(problem(client.enrol(&unsigned).await).0, 403);
    enrol().await.unwrap();
    // Two come at once for the last one.
    let (one, two) = tokio::join!(enrol(), enrol());
    let failed = [one.map(drop), two.map(drop)]
        .into_iter()
        .filter_map(Result::err);
    let failed: Vec<_> = failed.map(|error| problem::<()>(Err(error)).0).collect();
    assert_eq!(failed, [401]);
    assert_eq!(problem(enrol().await).0, 401);
}

#[tokio::test]
async fn what_is_no_operation_is_a_problem_and_pages_have_a_strict_policy() {
    let service = Service::start().await;
    let http = reqwest::Client::new();
    let answer = http
        .get(format!("{}/api/v1/nope", service.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    for path in ["/", "/updates/x", "/api/v1/healthz"] {
        let answer = http
            .get(format!("{}{path}", service.url))
            .send()
            .await
            .unwrap();
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    let answer = http
        .get(format!("{}/missing.js", service.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
}
