//! An identity provider (OpenID Connect) on loopback that says what a test wants.

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    hmac, rand,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};

const SECRET: &str = "of-the-provider";

/// How it signs.
#[derive(Clone, Copy, PartialEq)]
pub enum Signs {
    EdDsa,
    Rs256,
}

/// What its next tokens say, and what is wrong with them.
#[derive(Clone)]
pub struct Claims {
    pub name: String,
    pub groups: Vec<String>,
    pub audience: String,
    pub issuer: Option<String>,
    /// None is the one that was asked for, an empty one none at all.
    pub nonce: Option<String>,
    pub lasts_seconds: i64,
    pub other_key: bool,
    pub unsigned: bool,
    pub by_secret: bool,
}

enum Key {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

struct Parts {
    url: String,
    key: Key,
    other: Ed25519KeyPair,
    claims: Mutex<Claims>,
    /// Challenge and nonce of each code that was not used yet.
    codes: Mutex<HashMap<String, (String, String)>>,
}

/// The provider; it ends when this is dropped.
pub struct IdP {
    pub url: String,
    parts: Arc<Parts>,
    directory: tempfile::TempDir,
    task: JoinHandle<()>,
}

impl Drop for IdP {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl IdP {
    pub async fn start(signs: Signs) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let parts = Arc::new(Parts {
            url: url.clone(),
            key: match signs {
                Signs::EdDsa => Key::Ed25519(ed25519()),
                Signs::Rs256 => Key::Rsa(rsa()),
            },
            other: ed25519(),
            claims: Mutex::new(Claims {
                name: "alice".to_owned(),
                groups: Vec::new(),
                audience: "resplice".to_owned(),
                issuer: None,
                nonce: None,
                lasts_seconds: 300,
                other_key: false,
                unsigned: false,
                by_secret: false,
            }),
            codes: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discover))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(Arc::clone(&parts));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        fs::write(&file, format!("{SECRET}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Self {
            url,
            parts,
            directory,
            task,
        }
    }

    pub fn claims(&self) -> Claims {
        self.parts.claims.lock().unwrap().clone()
    }

    pub fn say(&self, claims: Claims) {
        *self.parts.claims.lock().unwrap() = claims;
    }

    pub fn secret_file(&self) -> PathBuf {
        self.directory.path().join("secret")
    }
}

fn ed25519() -> Ed25519KeyPair {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&rand::SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()
}

/// The crate makes no keys of RSA.
fn rsa() -> RsaKeyPair {
    let words = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER";
    let made = Command::new("openssl").args(words.split(' ')).output();
    let der = made.unwrap().stdout;
    // PKCS #8 or PKCS #1, as the version likes.
    RsaKeyPair::from_pkcs8(&der)
        .or_else(|_| RsaKeyPair::from_der(&der))
        .unwrap()
}

async fn discover(State(parts): State<Arc<Parts>>) -> Json<Value> {
    let url = &parts.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // One that says so is not believed either.
        "id_token_signing_alg_values_supported": ["EdDSA", "RS256", "HS256", "none"],
    }))
}

async fn keys(State(parts): State<Arc<Parts>>) -> Json<Value> {
    let key = match &parts.key {
        Key::Ed25519(key) => json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1",
            "x": BASE64.encode(key.public_key()),
        }),
        Key::Rsa(key) => {
            let public: ring::rsa::PublicKeyComponents<Vec<u8>> = key.public().into();
            json!({
                "kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
                "n": BASE64.encode(public.n), "e": BASE64.encode(public.e),
            })
        }
    };
    Json(json!({ "keys": [key] }))
}

/// The person is signed in there, and says yes.
async fn authorize(
    State(parts): State<Arc<Parts>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Redirect {
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["client_id"], "resplice");
    let code = uuid::Uuid::now_v7().simple().to_string();
    let kept = (asked["code_challenge"].clone(), asked["nonce"].clone());
    parts.codes.lock().unwrap().insert(code.clone(), kept);
    let (back, state) = (&asked["redirect_uri"], &asked["state"]);
    Redirect::to(&format!("{back}?state={state}&code={code}"))
}

async fn token(
    State(parts): State<Arc<Parts>>,
    headers: HeaderMap,
    Form(asked): Form<HashMap<String, String>>,
) -> Response {
    let refused = |error: &str| {
        let body = Json(json!({ "error": error }));
        (StatusCode::BAD_REQUEST, body).into_response()
    };
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("resplice:{SECRET}"));
    if headers.get(header::AUTHORIZATION).unwrap() != &format!("Basic {basic}") {
        return refused("invalid_client");
    }
    let Some((challenge, nonce)) = parts.codes.lock().unwrap().remove(&asked["code"]) else {
        return refused("invalid_grant");
    };
    if BASE64.encode(Sha256::digest(&asked["code_verifier"])) != challenge {
        return refused("invalid_grant");
    }
    Json(json!({
        "access_token": "unused",
        "token_type": "Bearer",
        "id_token": parts.id_token(&nonce),
    }))
    .into_response()
}

impl Parts {
    fn id_token(&self, nonce: &str) -> String {
        let claims = self.claims.lock().unwrap().clone();
        let now = jiff::Timestamp::now().as_second();
        let mut body = json!({
            "iss": claims.issuer.as_ref().unwrap_or(&self.url),
            "sub": "248289761001",
            "aud": claims.audience,
            "iat": now,
            "exp": now + claims.lasts_seconds,
            "preferred_username": claims.name,
            "groups": claims.groups,
        });
        match claims.nonce.as_deref() {
            None => body["nonce"] = json!(nonce),
            Some("") => {}
            Some(other) => body["nonce"] = json!(other),
        }
        let algorithm = match &self.key {
            _ if claims.unsigned => "none",
            _ if claims.by_secret => "HS256",
            Key::Ed25519(_) => "EdDSA",
            Key::Rsa(_) => "RS256",
        };
        let head = json!({ "alg": algorithm, "kid": "1", "typ": "JWT" });
        let part = |value: &Value| BASE64.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&body));
        let signature = match &self.key {
            _ if claims.unsigned => Vec::new(),
            _ if claims.by_secret => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
                hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            _ if claims.other_key => self.other.sign(signed.as_bytes()).as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(signed.as_bytes()).as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let random = rand::SystemRandom::new();
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    signed.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
        };
        format!("{signed}.{}", BASE64.encode(signature))
    }
}
