//! `resplice-server token …`.

use super::{
    Connection,
    output::{bold, dim, json, say},
};
use crate::secret_file;
use anyhow::Context;
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use resplice_api::{NewToken, Role, TokenInfo, limits};
use std::{path::PathBuf, process::ExitCode};

#[derive(Subcommand)]
pub(super) enum Token {
    /// Make a token
    Create {
        /// team, engineer, vendor, admin, worker or enrol
        role: Role,
        /// Whose it is; tokens of one name count as one person
        name: String,
        /// Days until it ends; without, it holds until it is revoked
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
        /// How many hosts may enrol with it, for the role enrol [default: any number]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        uses: Option<u32>,
        /// File to write it to, with mode 0600, instead of showing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the tokens, without those of hosts
    List {
        #[command(flatten)]
        connection: Connection,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token
    Revoke {
        /// Its public part
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Token {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create {
                role,
                name,
                days,
                uses,
                out,
                connection,
            } => {
                let new = NewToken {
                    role,
                    name,
                    expires_at: end(days)?,
                    uses,
                };
                create(&new, out, &connection).await?;
            }
            Self::List {
                connection,
                json: as_json,
            } => list(&connection, as_json).await?,
            Self::Revoke { id, connection } => {
                connection.client()?.revoke_token(&id).await?;
                say!("revoked {id}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// When a token of so many days ends.
fn end(days: Option<u16>) -> anyhow::Result<Option<Timestamp>> {
    let hours = days.map(|days| i64::from(days) * 24);
    let end = hours.map(|hours| Timestamp::now().checked_add(SignedDuration::from_hours(hours)));
    end.transpose().context("the token would end too late")
}

async fn create(
    new: &NewToken,
    out: Option<PathBuf>,
    connection: &Connection,
) -> anyhow::Result<()> {
    let made = connection.client()?.create_token(new).await?;
    match out {
        None => say!("{}", made.token.secret()),
        Some(file) => {
            secret_file::write(&file, made.token.secret())?;
            say!("{}  {}", bold(&made.info.id), file.display());
        }
    }
    Ok(())
}

async fn list(connection: &Connection, as_json: bool) -> anyhow::Result<()> {
    let client = connection.client()?;
    let mut tokens: Vec<TokenInfo> = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = client.tokens(limits::MAX_PAGE, next.as_deref()).await?;
        tokens.extend(page.tokens);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    if as_json {
        return json(&tokens);
    }
    for token in tokens {
        let state = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {at:.0}"),
            (None, Some(end)) => format!("until {end:.0}"),
            (None, None) => String::new(),
        };
        let left = token.uses_left.map(|left| format!("{left} left"));
        let used = match token.last_used_at {
            Some(at) => format!("used {at:.0}"),
            None => "never used".to_owned(),
        };
        say!(
            "{}  {:<9} {:<24} {}  {state}{}",
            token.id,
            token.role,
            token.name,
            dim(used),
            left.unwrap_or_default()
        );
    }
    Ok(())
}
