//! The document of the API (OpenAPI 3.1). What there is, who may call it and how
//! it is audited comes from the table of operations; what goes in and out is said
//! here, operation by operation. One that is not described is not in the
//! document, and a test then fails.

mod descriptions;

use self::descriptions::descriptions;
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
        self.asks(
            "limit",
            limit,
            "Most entries of the page; more than 500 are taken for 500",
            false,
        )
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
    if operation.once().is_some() {
        parameters.push(json!({
            "name": api::IDEMPOTENCY_HEADER, "in": "header", "required": false,
            "description": "Carry this out once, however often it is sent within a day",
            "schema": {"type": "string", "minLength": 1, "maxLength": api::limits::MAX_KEY_BYTES},
        }));
    }
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
