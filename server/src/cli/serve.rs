//! `resplice-server serve`.

use super::{
    output::{bold, dim},
    place::ServerPlace,
};
use crate::{
    App, Config,
    auth::{FIRST_ADMIN, TokenFiles},
    catalogue::Imported,
    feeds, serve,
};
use anyhow::Context;
use clap::Args;
use resplice_target::Cache;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::net::TcpListener;

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    place: ServerPlace,
    /// Address and port to listen on; port 0 takes any free one
    #[arg(
        long,
        env = "RESPLICE_LISTEN",
        default_value = "127.0.0.1:8440",
        value_name = "ADDR"
    )]
    listen: SocketAddr,
    /// Cache with the imported targets
    #[arg(long, env = "RESPLICE_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Seconds that a worker has a job without a heartbeat
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=3600))]
    lease_seconds: u64,
    /// Times that a job's worker may vanish until the job is set aside as poison
    #[arg(long, default_value_t = Config::MAX_LOSSES, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    max_losses: u32,
    /// Seconds that a job waits after its worker has vanished; twice as long each time
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(..=3600))]
    pause_seconds: u64,
    /// Most jobs that run at the same time for one team: for one name that uploads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    team_limit: Option<u32>,
    #[command(flatten)]
    feeds: Feeds,
    /// Logs as JSON
    #[arg(long)]
    json_logs: bool,
}

/// How the feeds are published.
#[derive(Args)]
struct Feeds {
    /// Let anyone read the feeds, without a token
    #[arg(long)]
    public_feeds: bool,
    /// The server's address as others see it, for links in feeds and advisories
    #[arg(long, env = "RESPLICE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Who publishes, for feeds and advisories
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    publisher: Option<String>,
    /// How the publisher is reached
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    publisher_contact: Option<String>,
}

impl Feeds {
    fn settings(self) -> anyhow::Result<feeds::Settings> {
        let address = self.public_url.as_deref().map(feeds::address).transpose()?;
        Ok(feeds::Settings {
            public: self.public_feeds,
            address,
            publisher: self.publisher,
            contact: self.publisher_contact,
        })
    }
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        start_logs(self.json_logs);
        let config = Config {
            database: self.place.database()?,
            data: self.place.data(),
            listen: self.listen,
            lease: Duration::from_secs(self.lease_seconds),
            max_losses: self.max_losses,
            pause: Duration::from_secs(self.pause_seconds),
            team_limit: self.team_limit,
            feeds: self.feeds.settings()?,
        };
        let cache = self.cache.map_or_else(Cache::from_env, Cache::new);
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

fn start_logs(json: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("RESPLICE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,sea_orm_migration=warn"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(super::output::stderr_has_colour())
        .with_writer(std::io::stderr);
    if json {
        logs.json().init();
    } else {
        logs.init();
    }
}
