use crate::support::{PATCH, Service, TARGET, new_update, problem};
use resplice_api::{Check, CheckFile, NewUpdate, Role, limits};

async fn refused(service: &Service, change: impl FnOnce(&mut NewUpdate)) -> String {
    let mut new = new_update(&[TARGET]);
    change(&mut new);
    let error = service.client(Role::Team).upload(&new).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(problem.status, 422, "{problem:?}");
    problem.detail.clone()
}

#[tokio::test]
async fn a_bad_patch_is_refused_with_its_line_and_nothing_is_kept() {
    let service = Service::start().await;
    let cases = [
        ("hello\n".to_owned(), 1),
        (PATCH.replace("a/net", "/net"), 1),
        (PATCH.replace("b/net", "b/../net"), 6),
        (PATCH.replace("+c\n", ""), 6),
        ("diff --git a/x b/x\nGIT binary patch\n".to_owned(), 2),
    ];
    let team = service.client(Role::Team);
    for (patch, line) in cases {
        let mut new = new_update(&[TARGET]);
        new.patch = patch.clone();
        let error = team.upload(&new).await.unwrap_err();
        let problem = error.problem().unwrap();
        assert_eq!(
            (problem.status, problem.code()),
            (422, "bad-patch"),
            "{patch:?}"
        );
        assert!(
            problem
                .detail
                .contains(&format!("line {}", problem.line.unwrap()))
        );
        assert!(
            problem.line.unwrap().abs_diff(line) <= 1,
            "{patch:?}: {problem:?}"
        );
    }
    assert!(team.updates(10, None).await.unwrap().updates.is_empty());
    assert_eq!(service.app.store.list().await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_unknown_target_is_refused_with_the_command_that_imports_it() {
    let service = Service::start().await;
    let target = "debian:6.1.0-99-cloud-amd64";
    let detail = refused(&service, |new| new.targets.push(target.to_owned())).await;
    assert!(
        detail.contains(&format!("resplice-server target import {target}")),
        "{detail}"
    );
}

#[tokio::test]
async fn fields_out_of_their_limits_are_refused() {
    let service = Service::start().await;
    refused(&service, |new| new.name.clear()).await;
    refused(&service, |new| new.name = "a\nb".to_owned()).await;
    refused(&service, |new| new.name = "\u{202e}x".to_owned()).await;
    refused(&service, |new| new.targets.clear()).await;
    refused(&service, |new| new.cves = vec!["CVE-1".to_owned()]).await;
    refused(&service, |new| {
        new.patch = "x".repeat(limits::MAX_PATCH_BYTES + 1)
    })
    .await;
    let file = |name: &str, mode, base64: &str| CheckFile {
        name: name.to_owned(),
        mode,
        base64: base64.to_owned(),
    };
    for files in [
        vec![file("../x", 0o644, "")],
        vec![file(".x", 0o644, "")],
        vec![file("x", 0o4755, "")],
        vec![file("x", 0o755, "no base64!")],
        vec![file("check", 0o755, ""), file("check", 0o755, "")],
        vec![file("x", 0o755, "")],
        vec![],
    ] {
        let check = Check {
            script: None,
            files,
        };
        refused(&service, |new| new.check = Some(check)).await;
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_json_are_refused() {
    let service = Service::start().await;
    let http = reqwest::Client::new();
    let token = service.token(Role::Team);
    let post = async |body: Vec<u8>| {
        let request = http.post(format!("{}/api/v1/updates", service.url));
        request.bearer_auth(token.secret()).body(body).send().await
    };
    let answer = post(b"{\"name\": 1".to_vec()).await.unwrap();
    assert_eq!(answer.status(), 422);
    // The server may close the connection before it has read all of it.
    if let Ok(answer) = post(vec![b' '; limits::MAX_UPDATE_BODY_BYTES + 1]).await {
        assert_eq!(answer.status(), 413);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let answer = http
        .get(format!("{}/api/v1/updates/not-an-id", service.url))
        .bearer_auth(token.secret())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn names_that_could_drive_a_terminal_are_refused() {
    let service = Service::start().await;
    let new = resplice_api::NewWorker {
        name: "w\u{1b}[2J".to_owned(),
        public_key: "00".repeat(32),
    };
    let client = service.client(Role::Worker);
    assert_eq!(problem(client.register_worker(&new).await).0, 422);
}

/// PostgreSQL has no NUL in its texts, and fails at a comparison with one.
#[tokio::test]
async fn a_nul_in_an_address_is_refused() {
    let service = Service::start().await;
    let token = service.token(Role::Admin);
    for path in [
        "/api/v1/audit?q=a%00",
        "/api/v1/audit?actor=%00",
        "/api/v1/hosts?q=%00",
        "/api/v1/users/%00",
        "/api/v1/users?after=%00",
        "/repo/targets/%00",
        "/feeds/osv/%00",
        "/%00",
    ] {
        let address = format!("{}{path}", service.url);
        let request = reqwest::Client::new().get(address);
        let answer = request.bearer_auth(token.secret()).send().await.unwrap();
        assert_eq!(answer.status(), 422, "{path}");
    }
}
