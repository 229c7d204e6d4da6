//! `resplice-server webhook …`.

use super::{
    Connection,
    output::{bold, dim, json, say},
};
use clap::{Args, Subcommand};
use resplice_api::{Channel, NewWebhook, Webhook, WebhookEvent, WebhookSecrets};
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum WebhookCommand {
    /// Have an address told what happens to updates; shows the secrets once
    Add {
        /// https://…
        url: String,
        /// Only this event: update.released, update.promoted or update.revoked; may be given several times
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<WebhookEvent>,
        /// Only what concerns this channel or those further on
        #[arg(long, default_value = "edge")]
        channel: Channel,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the own webhooks
    List {
        #[command(flatten)]
        connection: Connection,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
    /// Give one new secrets, and show them once; the old ones sign for another day
    Rotate(Which),
    /// Let one that was disabled be told again
    Enable(Which),
    /// Remove one, with its deliveries
    Remove(Which),
    /// List the latest deliveries of one
    Deliveries {
        #[command(flatten)]
        which: Which,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
    /// Send a delivery that has ended again
    Redeliver {
        #[command(flatten)]
        which: Which,
        /// The delivery
        delivery: String,
    },
}

#[derive(Args)]
pub(super) struct Which {
    /// The webhook
    id: String,
    #[command(flatten)]
    connection: Connection,
}

impl WebhookCommand {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add {
                url,
                events,
                channel,
                connection,
            } => {
                let new = NewWebhook {
                    url,
                    events,
                    channel,
                };
                show(&connection.client()?.create_webhook(&new).await?);
            }
            Self::List {
                connection,
                json: as_json,
            } => list(&connection, as_json).await?,
            Self::Rotate(Which { id, connection }) => {
                show(&connection.client()?.rotate_webhook(&id).await?);
            }
            Self::Enable(Which { id, connection }) => {
                connection.client()?.enable_webhook(&id).await?;
                say!("enabled {id}");
            }
            Self::Remove(Which { id, connection }) => {
                connection.client()?.remove_webhook(&id).await?;
                say!("removed {id}");
            }
            Self::Deliveries {
                which,
                json: as_json,
            } => deliveries(&which, as_json).await?,
            Self::Redeliver { which, delivery } => {
                let client = which.connection.client()?;
                client.redeliver(&which.id, &delivery).await?;
                say!("{delivery} is sent again");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// To standard output alone, where somebody asked for them.
fn show(made: &WebhookSecrets) {
    say!("{}  {}", bold(&made.webhook.id), made.webhook.url);
    say!("  v1   {}", made.secret);
    say!("  v1a  {}", made.public_key);
}

async fn list(connection: &Connection, as_json: bool) -> anyhow::Result<()> {
    let webhooks = connection.client()?.webhooks().await?;
    if as_json {
        return json(&webhooks.webhooks);
    }
    for Webhook {
        id,
        url,
        events,
        channel,
        disabled,
        ..
    } in webhooks.webhooks
    {
        let events: Vec<_> = events.iter().map(|event| event.as_str()).collect();
        let disabled = disabled.map(|d| format!("  disabled {:.0}: {}", d.at, d.reason));
        say!(
            "{id}  {channel:<9}  {url}  {}{}",
            dim(events.join(",")),
            disabled.unwrap_or_default()
        );
    }
    Ok(())
}

async fn deliveries(which: &Which, as_json: bool) -> anyhow::Result<()> {
    let found = which.connection.client()?.deliveries(&which.id).await?;
    if as_json {
        return json(&found.deliveries);
    }
    for delivery in found.deliveries {
        let status = delivery.last_status.map(|status| status.to_string());
        say!(
            "{}  {:<9}  {}  {}  {} attempts  {}  {}",
            delivery.id,
            delivery.state.as_str(),
            delivery.event,
            delivery.update_id,
            delivery.attempts,
            status.unwrap_or_default(),
            dim(delivery.last_error.unwrap_or_default())
        );
    }
    Ok(())
}
