//! Signing in by way of an identity provider. These are pages that a browser goes
//! to: whatever happens, it ends at the web interface, with a word in the address.

use super::body::check_person;
use crate::{
    App,
    auth::{self, Caller},
    db::{self, identities},
    error::Failure,
    oidc::{Error, Person, Provider},
    password, rate, session,
    store::sha256_hex,
};
use axum::{
    Extension, Json,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use resplice_api::{IdentityProvider, Role, WaysIn};
use serde::Deserialize;

/// Longest of what comes back from the provider, in bytes.
const MAX_PARAMETER_BYTES: usize = 4096;

/// How one can sign in.
pub(super) async fn ways(State(app): State<App>) -> Json<WaysIn> {
    let name = |provider: &Provider| IdentityProvider {
        name: provider.settings.name.clone(),
    };
    Json(WaysIn {
        oidc: app.oidc.as_ref().map(name),
    })
}

/// Sends the browser to the provider. Whoever is signed in gets an identity there
/// for the own account.
pub(super) async fn begin(
    State(app): State<App>,
    Extension(auth::Address(address)): Extension<auth::Address>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let provider = provider(&app)?;
    let pause = app.sign_ins.by_address.take(rate::network(address));
    pause.map_err(|pause| Failure::too_many(pause, "too many sign-ins begin here; wait"))?;
    let caller = auth::authenticate(&app, &Method::GET, &headers).await.ok();
    let person = caller.filter(|caller: &Caller| caller.session.is_some());
    let user = person.as_ref().map(|caller| caller.name.as_str());
    let begun = match provider.begin().await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::warn!(%error, "can't begin a sign-in");
            return Ok(home("provider"));
        }
    };
    let digest = |text: &str| sha256_hex(text.as_bytes());
    let (state, browser) = (digest(&begun.state), digest(&begun.browser));
    identities::begin_sign_in(&app.db, &state, &browser, user).await?;
    let cookie = session::set_sign_in_cookie(&headers, &begun.browser)?;
    Ok(go(&begun.url, &[cookie]))
}

/// What the provider sends the browser back with.
#[derive(Deserialize)]
pub(super) struct Returned {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    /// The provider's own name (RFC 9207).
    iss: Option<String>,
}

/// Takes the browser back.
pub(super) async fn callback(
    State(app): State<App>,
    Extension(auth::Address(address)): Extension<auth::Address>,
    Query(returned): Query<Returned>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let provider = provider(&app)?;
    match sign_in(&app, provider, &returned, &headers).await? {
        Ok((name, secret)) => {
            tracing::info!(name, %address, "signed in by the identity provider");
            let own = session::set_cookie(&headers, &secret)?;
            let spent = session::set_sign_in_cookie(&headers, "")?;
            Ok(go("/?sign-in=done", &[own, spent]))
        }
        Err(Refusal { word, why }) => {
            tracing::warn!(%address, why, "refused a sign-in by the identity provider");
            let entry = db::audit::Entry {
                actor: "oidc",
                role: "account",
                action: "session.refuse",
                object: &address.to_string(),
            };
            db::audit::within(&app.db, &entry).await?;
            Ok(home(word))
        }
    }
}

/// Why not: a word for the browser, the whole for the log.
struct Refusal {
    word: &'static str,
    why: String,
}

fn refusal(word: &'static str, why: impl Into<String>) -> Refusal {
    let why = why.into();
    Refusal { word, why }
}

type Signed = Result<(String, String), Refusal>;

/// The account's name and a session's secret.
async fn sign_in(
    app: &App,
    provider: &Provider,
    returned: &Returned,
    headers: &HeaderMap,
) -> Result<Signed, Failure> {
    let browser = session::sign_in_cookie(headers).unwrap_or_default();
    let digest = |text: &str| sha256_hex(text.as_bytes());
    let (state, holder) = (digest(&returned.state), digest(browser));
    let begun = identities::end_sign_in(&app.db, &state, &holder).await?;
    let Some(begun) = begun else {
        let why = "this browser began no such sign-in, or too long ago, or ended it before";
        return Ok(Err(refusal("state", why)));
    };
    let person = match ask(provider, returned, browser).await {
        Ok(person) => person,
        Err(error) => {
            let word = match error {
                Error::Provider(_) => "provider",
                Error::Token(_) => "token",
                Error::Refused(_) => "refused",
            };
            return Ok(Err(refusal(word, error.to_string())));
        }
    };
    let name = match account(app, &person, begun.user_name).await? {
        Ok(name) => name,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Some(roles) = &person.roles {
        identities::set_roles(&app.db, &name, roles).await?;
    }
    let user = db::users::find(&app.db, &name).await?;
    let user = user
        .ok_or_else(|| Failure::not_found("account", &name))?
        .read()?;
    if user.disabled_at.is_some() {
        return Ok(Err(refusal(
            "closed",
            format!("the account {name} is closed"),
        )));
    }
    if user.roles.is_empty() {
        return Ok(Err(refusal(
            "no-role",
            format!("the account {name} has no role"),
        )));
    }
    let minted = auth::mint().map_err(Failure::internal("begin a session"))?;
    db::sessions::begin_session(&app.db, &minted.id, &minted.sha256, &name).await?;
    Ok(Ok((name, minted.token.secret().to_owned())))
}

async fn ask(provider: &Provider, returned: &Returned, browser: &str) -> Result<Person, Error> {
    if let Some(error) = &returned.error {
        let word: String = error.chars().take(80).collect();
        return Err(Error::Refused(word));
    }
    if returned.iss.as_deref().is_some_and(|iss| !provider.is(iss)) {
        return Err(Error::Token("it comes from another provider".to_owned()));
    }
    match returned.code.as_deref() {
        Some(code) if code.len() <= MAX_PARAMETER_BYTES => provider.finish(code, browser).await,
        _ => Err(Error::Refused("there is no code".to_owned())),
    }
}

/// The person's account: the one it was begun for, the one it has, or a new one,
/// whose roles an admin gives if the provider does not.
async fn account(
    app: &App,
    person: &Person,
    own: Option<String>,
) -> Result<Result<String, Refusal>, Failure> {
    let identity = person.identity();
    if let Some(own) = own {
        if identities::link(&app.db, identity, &own).await? {
            return Ok(Ok(own));
        }
        return Ok(Err(refusal("taken", "the identity is another account's")));
    }
    if let Some(name) = identities::account(&app.db, identity).await? {
        return Ok(Ok(name));
    }
    let name = person.name.clone().unwrap_or_default();
    if check_person("account's name", &name).is_err() {
        return Ok(Err(refusal(
            "name",
            "it names nobody as accounts are named here",
        )));
    }
    let none: &[Role] = &[];
    let roles = person.roles.as_deref().unwrap_or(none);
    let password = password::one_time().map_err(Failure::internal("make a password"))?;
    let hash = app.passwords.hash(&password).await?;
    if identities::create_account(&app.db, identity, &name, roles, &hash).await? {
        return Ok(Ok(name));
    }
    // Names are not given twice: whoever has it signs in as before, then comes here.
    Ok(Err(refusal("taken", format!("the name {name} is taken"))))
}

fn provider(app: &App) -> Result<&Provider, Failure> {
    let none = || Failure::not_found("identity provider", "here");
    app.oidc.as_ref().ok_or_else(none)
}

/// Back to the web interface, with why.
fn home(word: &'static str) -> Response {
    go(&format!("/?sign-in={word}"), &[])
}

fn go(place: &str, cookies: &[HeaderValue]) -> Response {
    let headers = [
        (header::LOCATION, place.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let mut response = (StatusCode::SEE_OTHER, headers).into_response();
    for cookie in cookies {
        response
            .headers_mut()
            .append(header::SET_COOKIE, cookie.clone());
    }
    response
}
