//! The document of the API (OpenAPI 3.1). What there is, who may call it and how
//! it is audited comes from the table of operations; what goes in and out is said
//! here, operation by operation. One that is not described is not in the
//! document, and a test then fails.

use super::{Access, Audit, Operation, operations};
use axum::{
    http::{Method, header},
    response::{IntoResponse, Response},
};
use resplice_api::{self as api, BASE_PATH, PROBLEM_JSON, Role};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::LazyLock};
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

const BYTES: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const ENVELOPE: &str = super::provenance::ENVELOPE;

type Schemas = Vec<(String, RefOr<Schema>)>;

/// What a body is.
#[derive(Clone, Copy)]
struct Body {
    media_type: &'static str,
    /// Its name among the schemas; none for bytes.
    name: Option<fn() -> String>,
    collect: fn(&mut Schemas),
}

fn of<T: ToSchema>() -> Body {
    Body {
        media_type: JSON,
        name: Some(|| T::name().into_owned()),
        collect: |all| {
            all.push((T::name().into_owned(), T::schema()));
            T::schemas(all);
        },
    }
}

fn bytes(media_type: &'static str) -> Body {
    Body {
        media_type,
        name: None,
        collect: |_| {},
    }
}

impl Body {
    fn content(self) -> Value {
        let schema = match (self.name, self.media_type) {
            (Some(name), _) => json!({"$ref": format!("#/components/schemas/{}", name())}),
            (None, TEXT) => json!({"type": "string"}),
            (None, _) => json!({}),
        };
        json!({self.media_type: {"schema": schema}})
    }
}

/// What is said of an operation beyond its row.
struct Description {
    method: Method,
    path: &'static str,
    summary: &'static str,
    query: Vec<Value>,
    takes: Option<Body>,
    gives: Vec<(u16, &'static str, Option<Body>)>,
}

fn on(method: Method, path: &'static str, summary: &'static str) -> Description {
    Description {
        method,
        path,
        summary,
        query: Vec::new(),
        takes: None,
        gives: Vec::new(),
    }
}

fn got(path: &'static str, summary: &'static str) -> Description {
    on(Method::GET, path, summary)
}

fn posted(path: &'static str, summary: &'static str) -> Description {
    on(Method::POST, path, summary)
}

impl Description {
    fn takes(mut self, body: Body) -> Self {
        self.takes = Some(body);
        self
    }

    fn gives(self, status: u16, body: Body) -> Self {
        self.answers(status, "Done", Some(body))
    }

    fn answers(mut self, status: u16, words: &'static str, body: Option<Body>) -> Self {
        self.gives.push((status, words, body));
        self
    }

    fn asks(mut self, name: &str, schema: Value, words: &str, required: bool) -> Self {
        self.query.push(json!({
            "name": name, "in": "query", "required": required,
            "description": words, "schema": schema,
        }));
        self
    }

    /// A page of a list.
    fn paged(self, cursor: &str, schema: Value) -> Self {
        let limit = json!({"type": "integer", "minimum": 1, "default": 50});
        self.asks("limit", limit, "Most entries of the page", false)
            .asks(cursor, schema, "What the page before gave as `next`", false)
    }
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn number(least: u64) -> Value {
    json!({"type": "integer", "format": "int64", "minimum": least})
}

fn word() -> Value {
    json!({"type": "string"})
}

fn descriptions() -> Vec<Description> {
    let mut all = vec![
        got("/healthz", "Whether the server runs").gives(200, bytes(TEXT)),
        got("/readyz", "Whether requests may be sent here")
            .gives(200, bytes(TEXT))
            .answers(503, "Why not", Some(bytes(TEXT))),
        got("/openapi.json", "This document").gives(200, bytes(JSON)),
        got("/whoami", "Who calls, and what they may do").gives(200, of::<api::Whoami>()),
    ];
    all.extend(of_accounts());
    all.extend(of_updates());
    all.extend(of_builds());
    all.extend(of_hosts());
    all.extend(of_rollouts());
    all.extend(of_webhooks());
    all.extend(of_log());
    all
}

fn of_accounts() -> Vec<Description> {
    vec![
        posted("/sessions", "Sign in; the session is a cookie")
            .takes(of::<api::SignIn>())
            .gives(201, of::<api::Whoami>()),
        on(Method::DELETE, "/sessions/current", "Sign out").answers(204, "Signed out", None),
        on(Method::PUT, "/account/password", "Change the own password")
            .takes(of::<api::ChangePassword>())
            .answers(204, "Changed", None),
        posted("/users", "Make an account")
            .takes(of::<api::NewUser>())
            .gives(201, of::<api::OneTimePassword>()),
        got("/users", "The accounts, by name")
            .paged("after", word())
            .gives(200, of::<api::Users>()),
        got("/users/{name}", "An account").gives(200, of::<api::User>()),
        on(Method::PATCH, "/users/{name}", "Change or close an account")
            .takes(of::<api::ChangeUser>())
            .gives(200, of::<api::User>()),
        posted(
            "/users/{name}/password",
            "Give an account a one-time password",
        )
        .gives(200, of::<api::OneTimePassword>()),
        posted("/tokens", "Make a token")
            .takes(of::<api::NewToken>())
            .gives(201, of::<api::NewTokenAnswer>()),
        got("/tokens", "The tokens but those of hosts, by id")
            .paged("after", word())
            .gives(200, of::<api::Tokens>()),
        on(Method::DELETE, "/tokens/{token}", "Revoke a token").answers(204, "Revoked", None),
    ]
}

fn of_updates() -> Vec<Description> {
    let follow = json!({"type": "integer", "enum": [0, 1], "default": 0});
    vec![
        got("/targets", "The kernels that can be built for").gives(200, of::<api::Targets>()),
        posted("/updates", "Upload a patch, and queue its builds")
            .takes(of::<api::NewUpdate>())
            .gives(201, of::<api::Update>()),
        got("/updates", "The updates, newest first")
            .paged("before", uuid())
            .gives(200, of::<api::Updates>()),
        got(
            "/updates/{id}",
            "An update, its jobs and what hosts say of it",
        )
        .gives(200, of::<api::Update>()),
        got("/updates/{id}/patch", "Its patch").gives(200, bytes(TEXT)),
        posted(
            "/updates/{id}/release",
            "Let hosts have it; not for who uploaded it",
        )
        .takes(of::<api::NewRelease>())
        .gives(200, of::<api::Update>()),
        got("/jobs", "The jobs, newest first")
            .asks("status", word(), "Only those that stand so", false)
            .paged("before", uuid())
            .gives(200, of::<api::Jobs>()),
        got("/jobs/{id}", "A job").gives(200, of::<api::Job>()),
        got("/jobs/{id}/attempts", "The attempts at a job, oldest first")
            .gives(200, of::<api::Attempts>()),
        posted(
            "/jobs/{id}/cancel",
            "Cancel a job; its worker hears at its next heartbeat",
        )
        .takes(of::<api::Cancel>())
        .gives(200, of::<api::Job>()),
        posted(
            "/jobs/{id}/retry",
            "Run a job that has ended again, as a new attempt",
        )
        .gives(200, of::<api::Job>()),
        posted("/jobs/{id}/priority", "Put a job before others, or behind")
            .takes(of::<api::Priority>())
            .gives(200, of::<api::Job>()),
        got(
            "/jobs/{id}/log",
            "The bytes of an attempt's log from an offset",
        )
        .asks("offset", number(0), "First byte that is wanted", false)
        .asks(
            "attempt",
            number(1),
            "Which attempt; the latest without",
            false,
        )
        .asks(
            "follow",
            follow,
            "1 waits for bytes if there are none",
            false,
        )
        .gives(200, bytes(TEXT)),
    ]
}

fn of_builds() -> Vec<Description> {
    vec![
        posted("/workers", "Register the key that a worker signs with")
            .takes(of::<api::NewWorker>())
            .gives(200, of::<api::Worker>()),
        got("/workers", "The registered workers").gives(200, of::<api::Workers>()),
        posted("/leases", "Take a job")
            .takes(of::<api::LeaseRequest>())
            .gives(200, of::<api::Lease>())
            .answers(204, "There is none", None),
        posted("/jobs/{id}/attempts/{attempt}/heartbeat", "Keep a lease")
            .takes(of::<api::Heartbeat>())
            .gives(200, of::<api::HeartbeatAnswer>()),
        posted(
            "/jobs/{id}/attempts/{attempt}/log",
            "Append to the attempt's log",
        )
        .asks(
            "offset",
            number(0),
            "Where the bytes begin: where the log ends",
            true,
        )
        .takes(bytes(BYTES))
        .answers(204, "Appended", None),
        on(
            Method::PUT,
            "/jobs/{id}/attempts/{attempt}/package",
            "Store the package",
        )
        .takes(bytes(BYTES))
        .gives(200, of::<api::PackageInfo>()),
        on(
            Method::PUT,
            "/jobs/{id}/attempts/{attempt}/provenance",
            "Store where the package comes from",
        )
        .takes(bytes(ENVELOPE))
        .gives(200, of::<api::PackageInfo>()),
        posted(
            "/jobs/{id}/attempts/{attempt}/finish",
            "End the attempt and its job",
        )
        .takes(of::<api::Finish>())
        .gives(200, of::<api::Job>()),
    ]
}

fn of_hosts() -> Vec<Description> {
    vec![
        posted("/hosts/enrol", "Make a host known")
            .takes(of::<api::Enrol>())
            .gives(200, of::<api::Enrolled>()),
        hosts(),
        got(
            "/hosts/{id}",
            "A host, what it should run, and what it said",
        )
        .gives(200, of::<api::HostDetail>()),
        got("/fleet", "Numbers about all hosts").gives(200, of::<api::Fleet>()),
        got("/hosts/{id}/plan", "What a host should run")
            .gives(200, of::<api::Plan>())
            .answers(304, "As `If-None-Match` says", None),
        posted("/hosts/{id}/reports", "What a host did")
            .takes(of::<api::NewReport>())
            .gives(201, of::<api::HostReport>()),
        got("/packages/{sha256}", "A package, whole or a part")
            .gives(200, bytes(BYTES))
            .answers(206, "The range that was asked for", Some(bytes(BYTES)))
            .answers(416, "No such range", None),
        got(
            "/packages/{sha256}/provenance",
            "Where a package comes from: an in-toto statement in a signed envelope (DSSE)",
        )
        .gives(200, bytes(ENVELOPE)),
    ]
}

fn hosts() -> Description {
    let channel = json!({"type": "string", "enum": ["edge", "candidate", "stable"]});
    let state = json!({"type": "string", "enum": ["silent", "failing"]});
    got("/hosts", "The hosts, by name")
        .paged("after", uuid())
        .asks("q", word(), "A part of their name, kernel or id", false)
        .asks("target", word(), "Their target", false)
        .asks("channel", channel, "The channel that they follow", false)
        .asks("group", word(), "A group that they are in", false)
        .asks(
            "state",
            state,
            "Silent, or failing to apply something",
            false,
        )
        .asks("failed", uuid(), "They could not apply this update", false)
        .asks(
            "open_to",
            word(),
            "A CVE that an update for their target fixes, and that they run none for",
            false,
        )
        .gives(200, of::<api::Hosts>())
}

fn of_rollouts() -> Vec<Description> {
    vec![
        posted("/updates/{id}/promote", "Take a release to another channel")
            .takes(of::<api::NewPromotion>())
            .gives(200, of::<api::Update>()),
        posted("/updates/{id}/revoke", "Take a release back")
            .takes(of::<api::NewRevocation>())
            .gives(200, of::<api::Update>()),
        got("/updates/{id}/rollout", "How a rollout in waves stands")
            .gives(200, of::<api::Rollout>()),
        got(
            "/updates/{id}/progress",
            "What became of an update over time",
        )
        .gives(200, of::<api::Progress>()),
        posted("/updates/{id}/halt", "Let no further host have an update")
            .takes(of::<api::Because>())
            .gives(200, of::<api::Rollout>()),
        posted("/updates/{id}/resume", "Let a rollout go on")
            .takes(of::<api::Because>())
            .gives(200, of::<api::Rollout>()),
        posted("/wave-plans", "Keep a wave plan under its name")
            .takes(of::<api::WavePlan>())
            .gives(200, of::<api::WavePlan>()),
        got("/wave-plans", "The wave plans, by name").gives(200, of::<api::WavePlans>()),
        posted("/hosts/{id}/groups", "Put a host into groups")
            .takes(of::<api::SetGroups>())
            .gives(200, of::<api::Groups>()),
        got("/groups", "The groups of hosts, by name").gives(200, of::<api::Groups>()),
        posted("/groups/{name}/freeze", "Offer a group's hosts nothing new")
            .takes(of::<api::Because>())
            .gives(200, of::<api::Groups>()),
        posted("/groups/{name}/thaw", "Let a group's hosts go on")
            .takes(of::<api::Because>())
            .gives(200, of::<api::Groups>()),
        posted("/hosts/{id}/channel", "Let a host follow another channel")
            .takes(of::<api::SetChannel>())
            .gives(200, of::<api::Host>()),
    ]
}

fn of_webhooks() -> Vec<Description> {
    vec![
        posted(
            "/webhooks",
            "Have an address told what happens to updates; the secrets are shown once",
        )
        .takes(of::<api::NewWebhook>())
        .gives(201, of::<api::WebhookSecrets>()),
        got("/webhooks", "The own webhooks, oldest first").gives(200, of::<api::Webhooks>()),
        got("/webhooks/{id}", "A webhook").gives(200, of::<api::Webhook>()),
        on(
            Method::DELETE,
            "/webhooks/{id}",
            "Remove a webhook, with its deliveries",
        )
        .answers(204, "Removed", None),
        posted(
            "/webhooks/{id}/rotate",
            "Give a webhook new secrets; the old ones sign for another day",
        )
        .gives(200, of::<api::WebhookSecrets>()),
        posted(
            "/webhooks/{id}/enable",
            "Let a webhook that was disabled be told again",
        )
        .gives(200, of::<api::Webhook>()),
        got(
            "/webhooks/{id}/deliveries",
            "The latest deliveries of a webhook, newest first",
        )
        .gives(200, of::<api::Deliveries>()),
        posted(
            "/webhooks/{id}/deliveries/{delivery}/redeliver",
            "Send a delivery that has ended again",
        )
        .gives(200, of::<api::Delivery>()),
    ]
}

fn of_log() -> Vec<Description> {
    vec![
        got("/metrics", "What the server counts, for Prometheus").gives(200, bytes(TEXT)),
        got("/audit", "The audit log, newest first")
            .paged("before", word())
            .asks("q", word(), "A part of who, what, or to what", false)
            .asks("actor", word(), "Who did it", false)
            .asks(
                "action",
                word(),
                "What begins like this, as `update.`",
                false,
            )
            .asks(
                "failed",
                json!({"type": "boolean"}),
                "What was refused or failed",
                false,
            )
            .gives(200, of::<api::AuditEntries>()),
        got("/keys", "The keys that the server's word rests on").gives(200, of::<api::Keys>()),
        got(
            "/log/key",
            "The key that signs the transparency log's checkpoints",
        )
        .gives(200, bytes(TEXT)),
        got(
            "/log/checkpoint",
            "The newest checkpoint (C2SP tlog-checkpoint)",
        )
        .gives(200, bytes(TEXT)),
        got(
            "/log/consistency",
            "That the log began as it was at another size",
        )
        .asks(
            "size",
            number(1),
            "Size of the checkpoint that is known",
            true,
        )
        .gives(200, of::<api::ConsistencyProof>()),
        got(
            "/log/tile/{level}/{*index}",
            "Hashes of the tree (C2SP tlog-tiles)",
        )
        .gives(200, bytes(BYTES)),
        got(
            "/log/tile/entries/{*index}",
            "Entries of the log, in bundles",
        )
        .gives(200, bytes(BYTES)),
        got(
            "/updates/{id}/proof",
            "That the release of an update is in the log",
        )
        .gives(200, of::<api::ReleaseProof>()),
    ]
}

/// The document, as JSON with a line end.
#[must_use]
pub fn document() -> String {
    let mut schemas: Schemas = Vec::new();
    (of::<api::Problem>().collect)(&mut schemas);
    let mut paths: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    let descriptions = descriptions();
    for operation in operations() {
        let is = |d: &&Description| d.method == operation.method && d.path == operation.path;
        let Some(description) = descriptions.iter().find(is) else {
            continue;
        };
        let bodies = description.gives.iter().filter_map(|(_, _, body)| *body);
        for body in bodies.chain(description.takes) {
            (body.collect)(&mut schemas);
        }
        let method = operation.method.as_str().to_ascii_lowercase();
        let path = paths.entry(documented(operation.path)).or_default();
        path.insert(method, item(&operation, description));
    }
    let schemas: BTreeMap<_, _> = schemas.into_iter().collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Resplice",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": BASE_PATH}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "resplice-session",
                    "description": "`__Host-resplice-session` over https; a change also needs the header x-resplice-session",
                },
            },
        },
    });
    // A JSON value always has a text.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The path as the document writes it: a parameter may hold slashes or not.
fn documented(path: &str) -> String {
    path.replace("{*", "{")
}

fn item(operation: &Operation, description: &Description) -> Value {
    let roles: Vec<&str> = match operation.access {
        Access::Anyone => vec!["anyone"],
        Access::Known => Role::ALL.iter().map(|role| role.as_str()).collect(),
        Access::Roles(roles) => roles.iter().map(|role| role.as_str()).collect(),
    };
    let audit = match operation.audit {
        Audit::Reads => "reads",
        Audit::Before(action) => action,
        Audit::Within => "within",
        Audit::Continues => "continues",
    };
    let mut parameters = description.query.clone();
    parameters.extend(path_parameters(operation.path));
    let mut responses = serde_json::Map::new();
    for (status, words, body) in &description.gives {
        let mut response = json!({"description": words});
        if let Some(body) = body {
            response["content"] = body.content();
        }
        responses.insert(status.to_string(), response);
    }
    let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
    let refused = json!({"description": "Why not", "content": {PROBLEM_JSON: problem}});
    responses.insert("default".to_owned(), refused);
    let mut item = json!({
        "operationId": operation_id(operation),
        "summary": description.summary,
        "parameters": parameters,
        "responses": responses,
        "security": match operation.access {
            Access::Anyone => json!([]),
            _ => json!([{"token": []}, {"session": []}]),
        },
        "x-resplice-roles": roles,
        "x-resplice-audit": audit,
        "x-resplice-body-bytes": operation.body_bytes,
    });
    if let Some(body) = description.takes {
        item["requestBody"] = json!({"content": body.content(), "required": true});
    }
    item
}

/// `get_updates_id_patch` for `GET /updates/{id}/patch`.
fn operation_id(operation: &Operation) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let path: String = operation.path.chars().map(word).collect();
    let words: Vec<&str> = path.split('_').filter(|word| !word.is_empty()).collect();
    let method = operation.method.as_str().to_ascii_lowercase();
    format!("{method}_{}", words.join("_"))
}

fn path_parameters(path: &str) -> Vec<Value> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
        .map(|name| {
            let schema = match name {
                "id" => uuid(),
                "attempt" => number(1),
                "level" => number(0),
                "sha256" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
                _ => word(),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect()
}

static DOCUMENT: LazyLock<String> = LazyLock::new(document);

pub(super) async fn serve() -> Response {
    ([(header::CONTENT_TYPE, JSON)], DOCUMENT.as_str()).into_response()
}
