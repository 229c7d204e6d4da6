//! Tells vendors' servers what happens to updates (Standard Webhooks 1.0).
//!
//! What happens is noted in the transaction that makes it happen. From there each
//! event goes, in one transaction, to all who are subscribed, as a delivery; and a
//! delivery is tried by whoever has claimed it, one attempt after another.

pub mod address;
mod send;
pub mod sign;

use crate::{
    App,
    app::create_private_directory,
    db::{deliveries, events},
    error::Failure,
    secret_file,
};
use anyhow::Context;
use ipnet::IpNet;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};

pub use send::Sender;

/// How often it looks what there is to be sent.
const PAUSE: Duration = Duration::from_secs(1);
/// Most deliveries that are under way at the same time.
const MAX_SENT: usize = 8;
/// How often it forgets what has ended long ago.
const HOUR: Duration = Duration::from_secs(3600);
/// Longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// How webhooks are sent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether they may go over plain HTTP.
    pub http: bool,
    /// Networks beside the public one that they may go to.
    pub allow: Vec<IpNet>,
    /// How often a delivery is tried until it is given up.
    pub attempts: u32,
    /// The pause after the first attempt; six times as long each time.
    pub pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http: false,
            allow: Vec::new(),
            attempts: 8,
            pause: Duration::from_secs(5),
        }
    }
}

/// Opens the key that the secrets follow from, or makes one.
///
/// # Errors
/// If it is no key, others can read it, or it can't be written.
pub(crate) fn open_key(data: &Path) -> anyhow::Result<sign::MasterKey> {
    let file = data.join("webhooks").join("key");
    let error = || format!("can't read the key of the webhooks {}", file.display());
    let mut bytes = [0; 32];
    if !file.exists() {
        create_private_directory(&data.join("webhooks"))?;
        getrandom::fill(&mut bytes)
            .map_err(|error| anyhow::anyhow!("the system's random generator failed: {error}"))?;
        secret_file::create(&file, &hex::encode(bytes))?;
    }
    let text = resplice_api::Token::from_file(&file).with_context(error)?;
    hex::decode_to_slice(text.secret(), &mut bytes).with_context(error)?;
    Ok(sign::MasterKey::new(bytes))
}

/// Sends until the server stops. What is under way then ends or is tried again by
/// the next server, once its claim has run out.
pub async fn run(app: App) {
    let places = Arc::new(Semaphore::new(MAX_SENT));
    let mut sent = JoinSet::new();
    let mut said = false;
    let mut forgotten: Option<Instant> = None;
    loop {
        if forgotten.is_none_or(|at| at.elapsed() > HOUR) {
            forgotten = Some(Instant::now());
            if let Err(error) = deliveries::forget(&app.db).await {
                tracing::error!(%error, "can't forget old deliveries");
            }
        }
        match round(&app, &places, &mut sent).await {
            Ok(()) => said = false,
            Err(error) if !said => {
                said = true;
                tracing::error!(%error, "can't send webhooks");
            }
            Err(_) => {}
        }
        while sent.try_join_next().is_some() {}
        tokio::select! {
            () = app.shutdown.cancelled() => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    while sent.join_next().await.is_some() {}
}

/// Hands events out and begins attempts, as long as there are any and places.
async fn round(app: &App, places: &Arc<Semaphore>, sent: &mut JoinSet<()>) -> Result<(), Failure> {
    while events::hand_out(&app.db).await? {}
    loop {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            return Ok(());
        };
        let Some(claim) = deliveries::claim(&app.db, send::LEASE).await? else {
            return Ok(());
        };
        let app = app.clone();
        sent.spawn(async move {
            attempt(&app, claim).await;
            drop(place);
        });
    }
}

async fn attempt(app: &App, claim: deliveries::Claim) {
    let outcome = app.sender.send(&app.webhook_key, &claim).await;
    let settings = &app.config.webhooks;
    let next = match &outcome {
        send::Outcome::Taken(_) => deliveries::Next::Delivered,
        send::Outcome::Gone => deliveries::Next::Disable("it answered 410 Gone".to_owned()),
        send::Outcome::Failed { error, .. } if claim.attempts >= settings.attempts => {
            deliveries::Next::Disable(format!(
                "{} attempts at a delivery failed, the last one: {error}",
                claim.attempts
            ))
        }
        send::Outcome::Failed { .. } => deliveries::Next::In(pause(settings, claim.attempts)),
    };
    let (status, error) = outcome.said();
    let (webhook, delivery) = (&claim.webhook_id, &claim.id);
    tracing::info!(
        webhook,
        delivery,
        attempt = claim.attempts,
        status,
        error,
        "sent a webhook"
    );
    if let deliveries::Next::Disable(reason) = &next {
        tracing::warn!(webhook, reason, "a webhook was disabled");
    }
    if let Err(error) = deliveries::end(&app.db, &claim, status, error, next).await {
        tracing::error!(%error, webhook, delivery, "can't note an attempt at a webhook");
    }
}

/// The pause after this attempt: it grows, and varies by a fifth, so that what
/// failed together does not come again together.
fn pause(settings: &Settings, attempts: u32) -> Duration {
    let factor = 6_u32.saturating_pow(attempts.saturating_sub(1));
    let pause = settings.pause.saturating_mul(factor).min(MAX_PAUSE);
    let mut random = [0];
    // Without it all wait the same time.
    let _ = getrandom::fill(&mut random);
    pause.mul_f64(0.8 + 0.4 * f64::from(random[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_day_and_vary_by_a_fifth() {
        let settings = Settings::default();
        for (attempt, seconds) in [
            (1, 5.0),
            (2, 30.0),
            (3, 180.0),
            (7, 86_400.0),
            (40, 86_400.0),
        ] {
            let pause = pause(&settings, attempt).as_secs_f64();
            assert!(
                (seconds * 0.79..=seconds * 1.21).contains(&pause),
                "{attempt}: {pause}"
            );
        }
    }
}
