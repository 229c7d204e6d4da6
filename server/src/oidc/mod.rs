//! Signing in by way of an identity provider: OpenID Connect 1.0, the code flow,
//! with PKCE (S256), a nonce, and a state that is good once and in one browser.
//!
//! The browser holds one random secret in a cookie; nonce and PKCE's verifier
//! follow from it, the database has digests of it and of the state. An answer that
//! comes to another browser, late, or a second time finds nothing there.

mod ask;

use crate::{db, store::sha256_hex};
use openidconnect::{
    AdditionalClaims, AuthenticationFlow, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenClaims,
    IdTokenFields, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    StandardErrorResponse, StandardTokenResponse, TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
        CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
        CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use resplice_api::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long what the provider says of itself is good.
const FRESH: Duration = Duration::from_secs(3600);
/// An unknown key makes it be asked again, but not more often than this.
const PAUSE: Duration = Duration::from_secs(2);

/// Signatures that only the provider can make.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The identity provider, and what its people may do here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What stands on the button.
    pub name: String,
    /// Where its people come back to.
    pub redirect: String,
    issuer: String,
    client_id: String,
    secret: Option<ClientSecret>,
    scopes: Vec<String>,
    roles: Option<RoleClaim>,
}

/// The claim whose values are roles here.
#[derive(Debug, Clone)]
struct RoleClaim {
    name: String,
    roles: BTreeMap<String, Role>,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The provider does not answer as it should.
    #[error("the identity provider failed: {0}")]
    Provider(String),
    /// What it says of the person is not to be believed.
    #[error("the identity provider's token was refused: {0}")]
    Token(String),
    /// The person said no, or the provider did.
    #[error("the identity provider refused: {0}")]
    Refused(String),
}

/// All other claims.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Others {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Others {}

type Fields = IdTokenFields<
    Others,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Party = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What the settings say of a provider.
#[derive(Debug, Clone, Default)]
pub struct Named<'a> {
    /// Its URL, to which `/.well-known/openid-configuration` is added.
    pub issuer: &'a str,
    /// Who the server is to it.
    pub client_id: &'a str,
    /// File of mode 0600 with the server's secret there, if it has one.
    pub secret_file: Option<&'a Path>,
    /// What stands on the button.
    pub name: Option<&'a str>,
    /// Scopes beside `openid`, `profile` and `email`.
    pub scopes: &'a [String],
    /// The claim with roles.
    pub role_claim: Option<&'a str>,
    /// `VALUE=ROLE` for each value of it that means something.
    pub roles: &'a [String],
    /// The server's own address, as browsers see it.
    pub public_url: &'a str,
}

impl Settings {
    /// Takes what the settings say.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(named: &Named<'_>) -> anyhow::Result<Self> {
        use anyhow::{Context, bail, ensure};
        ask::check_url(named.issuer).context("oidc_issuer can't be used")?;
        ensure!(!named.client_id.is_empty(), "oidc_client_id is not set");
        let read = |path: &Path| {
            let text = crate::secret_file::read(path)
                .with_context(|| format!("can't read the secret in {}", path.display()))?;
            anyhow::Ok(ClientSecret::new(text.trim().to_owned()))
        };
        let mut roles = BTreeMap::new();
        for pair in named.roles {
            let (value, role) = pair
                .rsplit_once('=')
                .with_context(|| format!("oidc_roles: {pair:?} is not VALUE=ROLE"))?;
            let role: Role = role
                .parse()
                .with_context(|| format!("oidc_roles: {pair:?}"))?;
            if !crate::auth::PERSONS.contains(&role) {
                bail!("oidc_roles: {role} is no role of a person");
            }
            roles.insert(value.to_owned(), role);
        }
        let claim = named.role_claim.map(|name| RoleClaim {
            name: name.to_owned(),
            roles,
        });
        ensure!(
            claim.is_some() || named.roles.is_empty(),
            "oidc_roles needs oidc_role_claim"
        );
        let base = named.public_url.trim_end_matches('/');
        Ok(Self {
            name: named.name.unwrap_or("single sign-on").to_owned(),
            redirect: format!("{base}{}{CALLBACK}", resplice_api::BASE_PATH),
            issuer: named.issuer.to_owned(),
            client_id: named.client_id.to_owned(),
            secret: named.secret_file.map(read).transpose()?,
            scopes: named.scopes.to_vec(),
            roles: claim,
        })
    }
}

/// Where the provider sends people back to, behind the API's base.
pub const CALLBACK: &str = "/sessions/oidc/callback";

/// The identity provider.
#[derive(Debug)]
pub struct Provider {
    /// How it is set up.
    pub settings: Settings,
    http: reqwest::Client,
    known: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

/// A sign-in that begins.
pub struct Begin {
    /// Where the browser goes.
    pub url: String,
    /// What only this browser holds.
    pub browser: String,
    /// What comes back with it.
    pub state: String,
}

/// Who signed in, as the provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider.
    pub issuer: String,
    /// The person there, for good.
    pub subject: String,
    /// What the account could be called.
    pub name: Option<String>,
    /// The person's roles; none if the provider has no say in that.
    pub roles: Option<Vec<Role>>,
}

impl Person {
    /// As the database knows them.
    #[must_use]
    pub fn identity(&self) -> db::identities::Identity<'_> {
        db::identities::Identity {
            issuer: &self.issuer,
            subject: &self.subject,
        }
    }
}

/// Follows from the browser's secret: whoever has it knows both, nobody else does.
fn derived(browser: &str, what: &str) -> String {
    sha256_hex(format!("resplice oidc {what} {browser}").as_bytes())
}

fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system's random generator failed: {error}"))?;
    Ok(hex::encode(bytes))
}

impl Provider {
    /// A provider that is set up like this; it is asked when somebody signs in.
    ///
    /// # Errors
    /// If TLS can't be set up.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        Ok(Self {
            settings,
            http: ask::client()?,
            known: Mutex::default(),
        })
    }

    /// Whether this is its name.
    #[must_use]
    pub fn is(&self, issuer: &str) -> bool {
        self.settings.issuer == issuer
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub async fn begin(&self) -> Result<Begin, Error> {
        let provider = |error: anyhow::Error| Error::Provider(error.to_string());
        let browser = random().map_err(provider)?;
        let state = random().map_err(provider)?;
        let party = self.party(FRESH).await?;
        let verifier = PkceCodeVerifier::new(derived(&browser, "verifier"));
        let nonce = Nonce::new(derived(&browser, "nonce"));
        let token = CsrfToken::new(state.clone());
        let mut request = party
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                || token,
                || nonce,
            )
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        let own = self.settings.scopes.iter().map(String::as_str);
        for scope in ["profile", "email"].into_iter().chain(own) {
            request = request.add_scope(Scope::new(scope.to_owned()));
        }
        let (url, _, _) = request.url();
        Ok(Begin {
            url: url.into(),
            browser,
            state,
        })
    }

    /// Takes the code that came back, and asks the provider who that is.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn finish(&self, code: &str, browser: &str) -> Result<Person, Error> {
        let party = self.party(FRESH).await?;
        let provider = |error: &dyn std::error::Error| Error::Provider(ask::chain(error));
        let answer = party
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| provider(&error))?
            .set_pkce_verifier(PkceCodeVerifier::new(derived(browser, "verifier")))
            .request_async(&|request| ask::ask(self.http.clone(), request))
            .await
            .map_err(|error| provider(&error))?;
        let missing = || Error::Token("there is none in the answer".to_owned());
        let token = answer.id_token().ok_or_else(missing)?;
        let nonce = Nonce::new(derived(browser, "nonce"));
        let verify = |party: &Party| {
            let verifier = party.id_token_verifier().set_allowed_algs(ALGORITHMS);
            token.claims(&verifier, &nonce).cloned()
        };
        let mut claims = verify(&party);
        if matches!(
            claims,
            Err(openidconnect::ClaimsVerificationError::SignatureVerification(_))
        ) {
            // It may have changed its keys.
            claims = verify(&self.party(PAUSE).await?);
        }
        let claims = claims.map_err(|error| Error::Token(ask::chain(&error)))?;
        Ok(self.person(&claims))
    }

    fn person(&self, claims: &IdTokenClaims<Others, CoreGenderClaim>) -> Person {
        let preferred = claims.preferred_username().map(|name| name.as_str());
        let email = claims.email().map(|email| email.as_str());
        Person {
            issuer: claims.issuer().as_str().to_owned(),
            subject: claims.subject().as_str().to_owned(),
            name: preferred.or(email).map(str::to_ascii_lowercase),
            roles: self.settings.roles.as_ref().map(|claim| {
                let value = claims.additional_claims().all.get(&claim.name);
                let values = match value {
                    Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
                    Some(Value::String(one)) => vec![one.as_str()],
                    _ => Vec::new(),
                };
                let has = |role: &Role| values.iter().any(|v| claim.roles.get(*v) == Some(role));
                crate::auth::PERSONS.into_iter().filter(has).collect()
            }),
        }
    }

    /// What the provider says of itself, not older than `age`.
    async fn party(&self, age: Duration) -> Result<Party, Error> {
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.clone().filter(|(at, _)| at.elapsed() < age)
        };
        let metadata = match known {
            Some((_, metadata)) => metadata,
            None => {
                let failed = |error: &dyn std::error::Error| Error::Provider(ask::chain(error));
                let issuer =
                    IssuerUrl::new(self.settings.issuer.clone()).map_err(|error| failed(&error))?;
                let http = |request| ask::ask(self.http.clone(), request);
                let metadata = CoreProviderMetadata::discover_async(issuer, &http)
                    .await
                    .map_err(|error| failed(&error))?;
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Some((Instant::now(), metadata.clone()));
                metadata
            }
        };
        let redirect = RedirectUrl::new(self.settings.redirect.clone())
            .map_err(|error| Error::Provider(error.to_string()))?;
        let id = ClientId::new(self.settings.client_id.clone());
        let party = Client::from_provider_metadata(metadata, id, self.settings.secret.clone());
        Ok(party.set_redirect_uri(redirect))
    }
}
