//! `resplice-server serve`.

use super::{
    output::{bold, dim},
    place::ServerPlace,
};
use crate::{
    App, Config,
    auth::{FIRST_ADMIN, TokenFiles},
    catalogue::Imported,
    feeds, oidc, serve,
    settings::Settings,
    webhooks,
};
use anyhow::Context;
use clap::Args;
use ipnet::IpNet;
use resplice_target::Cache;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::net::TcpListener;

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    place: ServerPlace,
    /// Address and port to listen on; port 0 takes any free one [default: 127.0.0.1:8440]
    #[arg(long, env = "RESPLICE_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Cache with the imported targets
    #[arg(long, env = "RESPLICE_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Seconds that a worker has a job without a heartbeat [default: 30]
    #[arg(long, env = "RESPLICE_LEASE_SECONDS", value_name = "N")]
    lease_seconds: Option<u64>,
    /// Times that a job's worker may vanish until the job is set aside as poison [default: 3]
    #[arg(long, env = "RESPLICE_MAX_LOSSES", value_name = "N")]
    max_losses: Option<u32>,
    /// Seconds that a job waits after its worker has vanished; twice as long each time
    /// [default: 5]
    #[arg(long, env = "RESPLICE_PAUSE_SECONDS", value_name = "N")]
    pause_seconds: Option<u64>,
    /// Most jobs that run at the same time for one team: for one name that uploads
    #[arg(long, env = "RESPLICE_TEAM_LIMIT", value_name = "N")]
    team_limit: Option<u32>,
    #[command(flatten)]
    feeds: Feeds,
    /// Requests a second of one token or session; 0 sets no limit [default: 100]
    #[arg(long, env = "RESPLICE_REQUESTS_PER_SECOND", value_name = "N")]
    requests_per_second: Option<u32>,
    #[command(flatten)]
    oidc: Oidc,
    #[command(flatten)]
    webhooks: Webhooks,
    /// Logs as JSON
    #[arg(long, env = "RESPLICE_JSON_LOGS", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    json_logs: Option<bool>,
}

/// How the feeds are published.
#[derive(Args)]
struct Feeds {
    /// Let anyone read the feeds, without a token
    #[arg(long, env = "RESPLICE_PUBLIC_FEEDS", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    public_feeds: Option<bool>,
    /// The server's address as others see it, for links in feeds and advisories
    #[arg(long, env = "RESPLICE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Who publishes, for feeds and advisories
    #[arg(long, env = "RESPLICE_PUBLISHER", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    publisher: Option<String>,
    /// How the publisher is reached
    #[arg(long, env = "RESPLICE_PUBLISHER_CONTACT", value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    publisher_contact: Option<String>,
}

/// The identity provider that people may sign in with.
#[derive(Args)]
struct Oidc {
    /// URL of an identity provider (OpenID Connect) that people may sign in with
    #[arg(long, env = "RESPLICE_OIDC_ISSUER", value_name = "URL")]
    oidc_issuer: Option<String>,
    /// Who the server is to it
    #[arg(long, env = "RESPLICE_OIDC_CLIENT_ID", value_name = "ID")]
    oidc_client_id: Option<String>,
    /// File with the server's secret there, mode 0600
    #[arg(long, env = "RESPLICE_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    oidc_client_secret_file: Option<PathBuf>,
    /// What people call it
    #[arg(long, env = "RESPLICE_OIDC_NAME", value_name = "NAME")]
    oidc_name: Option<String>,
    /// Scopes beside openid, profile and email
    #[arg(
        long,
        env = "RESPLICE_OIDC_SCOPES",
        value_name = "SCOPE",
        value_delimiter = ','
    )]
    oidc_scopes: Option<Vec<String>>,
    /// The claim that says what people may do
    #[arg(long, env = "RESPLICE_OIDC_ROLE_CLAIM", value_name = "NAME")]
    oidc_role_claim: Option<String>,
    /// What its values mean
    #[arg(
        long,
        env = "RESPLICE_OIDC_ROLES",
        value_name = "VALUE=ROLE",
        value_delimiter = ','
    )]
    oidc_roles: Option<Vec<String>>,
}

/// What the settings say of the provider; it needs the server's own address.
fn oidc(settings: &Settings) -> anyhow::Result<Option<oidc::Settings>> {
    let Some(issuer) = &settings.oidc_issuer else {
        return Ok(None);
    };
    let public_url = settings.public_url.as_deref();
    let named = oidc::Named {
        issuer,
        client_id: settings.oidc_client_id.as_deref().unwrap_or_default(),
        secret_file: settings.oidc_client_secret_file.as_deref(),
        name: settings.oidc_name.as_deref(),
        scopes: settings.oidc_scopes.as_deref().unwrap_or_default(),
        role_claim: settings.oidc_role_claim.as_deref(),
        roles: settings.oidc_roles.as_deref().unwrap_or_default(),
        public_url: public_url.context("oidc_issuer needs public_url: people come back to it")?,
    };
    Ok(Some(oidc::Settings::new(&named)?))
}

/// Where webhooks may go.
#[derive(Args)]
struct Webhooks {
    /// Let webhooks go to addresses of this network, which is not public; may be given several times
    #[arg(
        long,
        env = "RESPLICE_WEBHOOK_ALLOW",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    webhook_allow: Option<Vec<IpNet>>,
    /// Let webhooks go over plain HTTP
    #[arg(long, env = "RESPLICE_WEBHOOK_HTTP", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    webhook_http: Option<bool>,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings()?;
        start_logs(
            settings.log.as_deref().unwrap_or_default(),
            settings.json_logs.unwrap_or_default(),
        )?;
        let cache = settings.cache.as_ref();
        let cache = cache.map_or_else(Cache::from_env, Cache::new);
        let config = self.config(&settings)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("can't listen on {}", config.listen))?;
        let address = listener.local_addr().context("can't tell the port")?;
        let (app, tokens) = App::open(config, Arc::new(Imported(cache))).await?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "plain HTTP on a network: put a TLS proxy in front, tokens go over it");
        }
        banner(address, &tokens);
        serve::serve(app, listener, serve::stop_signal()).await?;
        Ok(ExitCode::SUCCESS)
    }

    /// From flags and variables, from the file, and by default.
    fn settings(&self) -> anyhow::Result<Settings> {
        let given = Settings {
            listen: self.listen,
            cache: self.cache.clone(),
            lease_seconds: self.lease_seconds,
            max_losses: self.max_losses,
            pause_seconds: self.pause_seconds,
            team_limit: self.team_limit,
            requests_per_second: self.requests_per_second,
            log: std::env::var("RESPLICE_LOG").ok(),
            json_logs: self.json_logs,
            public_feeds: self.feeds.public_feeds,
            public_url: self.feeds.public_url.clone(),
            publisher: self.feeds.publisher.clone(),
            publisher_contact: self.feeds.publisher_contact.clone(),
            oidc_issuer: self.oidc.oidc_issuer.clone(),
            oidc_client_id: self.oidc.oidc_client_id.clone(),
            oidc_client_secret_file: self.oidc.oidc_client_secret_file.clone(),
            oidc_name: self.oidc.oidc_name.clone(),
            oidc_scopes: self.oidc.oidc_scopes.clone(),
            oidc_role_claim: self.oidc.oidc_role_claim.clone(),
            oidc_roles: self.oidc.oidc_roles.clone(),
            webhook_allow: self.webhooks.webhook_allow.clone(),
            webhook_http: self.webhooks.webhook_http,
            ..Settings::default()
        };
        let all = given.or(self.place.file()?).or(Settings::defaults());
        all.check()?;
        Ok(all)
    }

    fn config(&self, settings: &Settings) -> anyhow::Result<Config> {
        let unset = "a setting without a default is not set";
        Ok(Config {
            database: self.place.database()?,
            data: self.place.data()?,
            store: self.place.store()?,
            listen: settings.listen.context(unset)?,
            lease: Duration::from_secs(settings.lease_seconds.context(unset)?),
            max_losses: settings.max_losses.context(unset)?,
            pause: Duration::from_secs(settings.pause_seconds.context(unset)?),
            team_limit: settings.team_limit,
            requests_per_second: settings.requests_per_second.filter(|rate| *rate > 0),
            feeds: feeds::Settings {
                public: settings.public_feeds.unwrap_or_default(),
                address: settings
                    .public_url
                    .as_deref()
                    .map(feeds::address)
                    .transpose()?,
                publisher: settings.publisher.clone(),
                contact: settings.publisher_contact.clone(),
            },
            oidc: oidc(settings)?,
            webhooks: webhooks::Settings {
                http: settings.webhook_http.unwrap_or_default(),
                allow: settings.webhook_allow.clone().unwrap_or_default(),
                ..webhooks::Settings::default()
            },
        })
    }
}

/// Says where it listens and where the tokens lie, if anyone wants to know: a
/// closed standard output must not stop a server.
fn banner(address: SocketAddr, tokens: &TokenFiles) {
    use std::io::{IsTerminal, Write};
    let mut text = format!("listening on {}\n", bold(format!("http://{address}")));
    for (role, file) in &tokens.files {
        text.push_str(&dim(format!("  {role:<9} {}", file.display())));
        text.push('\n');
    }
    if let Some((password, file)) = &tokens.admin_password {
        text.push_str(&format!(
            "  first sign-in: {FIRST_ADMIN} with the password "
        ));
        // What is no terminal may be a log.
        if std::io::stdout().is_terminal() {
            text.push_str(&format!("{}, also ", bold(password.secret())));
        }
        text.push_str("in ");
        text.push_str(&dim(format!("{}", file.display())));
        text.push('\n');
    }
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn start_logs(filter: &str, json: bool) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(filter).with_context(|| format!("can't log {filter:?}"))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(super::output::stderr_has_colour())
        .with_writer(std::io::stderr);
    if json {
        logs.json().init();
    } else {
        logs.init();
    }
    Ok(())
}
