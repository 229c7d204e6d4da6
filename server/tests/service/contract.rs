//! The API does what its document says, as a reader of the document sees it:
//! schemathesis sends what it allows and what it forbids, as each role. There is no
//! 5xx, nothing forbidden is taken, and each answer is one that the document has.
//! What a role may not do at all is `access`'s to try.
//!
//! That all that it allows is taken is not asked for: the document does not say which
//! names are in use, or that a time lies ahead.

use crate::{
    rollout::wave_plan,
    support::{Service, TARGET, run, tool},
};
use resplice_api::{Gate, NewRelease, Role};
use serde_json::Value;
use std::process::Command;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    unsupported_method,ignored_auth";

/// Things of each kind that are there, so that not all answers are 404: the
/// parameters of paths, as schemathesis reads them from its file.
async fn inhabited(service: &Service) -> String {
    let engineer = service.client(Role::Engineer);
    let (update, _) = service.built().await;
    let plan = wave_plan(&[(0, 500), (3600, 1000)], Gate::default());
    engineer.put_wave_plan(&plan).await.unwrap();
    let release = NewRelease {
        plan: Some(plan.name),
        ..NewRelease::default()
    };
    engineer.release_with(update.id, &release).await.unwrap();
    let (_, host) = service.enrol("web-1", TARGET).await;
    engineer.set_groups(host.host_id, &["db"]).await.unwrap();
    let job = update.jobs[0].id;
    let package = update.jobs[0].package.as_ref().unwrap().sha256.clone();
    let of = |path: &str, parameters: &str| {
        format!(
            "[[operations]]\ninclude-path-regex = \"^{path}\"\nparameters = {{ {parameters} }}\n\n"
        )
    };
    [
        of("/updates/.id", &format!("id = \"{}\"", update.id)),
        of("/jobs/.id", &format!("id = \"{job}\", attempt = 1")),
        of("/hosts/.id", &format!("id = \"{}\"", host.host_id)),
        of("/packages/", &format!("sha256 = \"{package}\"")),
        of("/groups/", "name = \"db\""),
        of("/targets/", &format!("target = \"{TARGET}\"")),
        of("/log/tile/.level", "level = 0, index = \"000\""),
    ]
    .concat()
}

/// The document with the operations that are open to a role.
fn document_for(role: Role) -> Value {
    let mut document: Value = serde_json::from_str(include_str!("../../api/openapi.json")).unwrap();
    let open = |operation: &Value| {
        let roles = operation["x-resplice-roles"].as_array().unwrap();
        roles
            .iter()
            .any(|open| open == role.as_str() || open == "anyone")
    };
    let paths = document["paths"].as_object_mut().unwrap();
    for path in paths.values_mut() {
        path.as_object_mut()
            .unwrap()
            .retain(|_, operation| open(operation));
    }
    document
}

/// Has schemathesis try all operations that are open to one role.
async fn tried_as(role: Role) {
    let service = Service::start().await;
    let parameters = inhabited(&service).await;
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    let token = service.any_token(role).await;
    let headers = format!(
        "headers = {{ Authorization = \"Bearer {}\" }}\n",
        token.secret()
    );
    write("schemathesis.toml", &(headers + &parameters));
    write("openapi.json", &document_for(role).to_string());
    let mut try_all = Command::new(tool("schemathesis/bin/schemathesis"));
    try_all
        .current_dir(home.path())
        .args(["run", "openapi.json", "--url"])
        .arg(format!("{}/api/v1", service.url))
        .args(["--checks", CHECKS, "--seed", "1", "--max-examples", "5"])
        .args(["--continue-on-failure", "--no-color"]);
    if let Err(said) = run(try_all).await {
        panic!("as {role}:\n{said}");
    }
}

macro_rules! roles {
    ($($name:ident: $role:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                tried_as(Role::$role).await;
            }
        )*
    };
}

roles! {
    the_api_is_as_its_document_says_to_a_team: Team,
    the_api_is_as_its_document_says_to_an_engineer: Engineer,
    the_api_is_as_its_document_says_to_a_vendor: Vendor,
    the_api_is_as_its_document_says_to_an_admin: Admin,
    the_api_is_as_its_document_says_to_a_worker: Worker,
    the_api_is_as_its_document_says_to_who_enrols_hosts: Enrol,
}
