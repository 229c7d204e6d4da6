//! Fetches kernels in the background, one at a time on each server.
//!
//! An import may be broken off anywhere: it leaves something whole or nothing, and
//! whoever claims it next begins with what is there.

use crate::{
    App,
    db::imports::{self, Claim, Reached},
    error::Failure,
};
use resplice_api::{ImportStep, limits};
use resplice_target::{Progress, TargetId};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How often it looks whether there is something to do.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it tells how far it is.
const TELL: Duration = Duration::from_millis(500);
/// How long a server has an import without telling.
const LEASE: Duration = Duration::from_secs(60);

/// Imports until the server stops.
pub async fn run(app: App) {
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        let claimed = imports::claim(&app.db, LEASE).await;
        let done = match claimed {
            Ok(None) => continue,
            Ok(Some(claim)) => carry_out(&app, &claim).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = done {
            tracing::error!(%error, "can't import a kernel");
        }
    }
}

async fn carry_out(app: &App, claim: &Claim) -> Result<(), Failure> {
    let target = &claim.target;
    tracing::info!(target, "importing");
    let progress = Arc::new(Followed::default());
    let mut ended = match start(app, claim, &progress) {
        Ok(ended) => ended,
        Err(reason) => return Ok(imports::end(&app.db, claim, Some(&reason)).await?),
    };
    let outcome = loop {
        tokio::select! {
            // A thread that has panicked says nothing.
            outcome = &mut ended => break outcome
                .unwrap_or_else(|_| Err("the import broke off; the server's log says why".to_owned())),
            () = app.shutdown.cancelled() => {
                return Ok(imports::give_back(&app.db, claim).await?);
            }
            () = tokio::time::sleep(TELL) => {}
        }
        let reached = progress.reached();
        if !imports::tell(&app.db, claim, &reached, LEASE).await? {
            tracing::warn!(target, "another server has taken the import over");
            return Ok(());
        }
    };
    imports::tell(&app.db, claim, &progress.reached(), LEASE).await?;
    match &outcome {
        Ok(()) => tracing::info!(target, "imported"),
        Err(reason) => tracing::warn!(target, reason, "an import failed"),
    }
    let reason = outcome.err();
    imports::end(&app.db, claim, reason.as_deref()).await?;
    Ok(())
}

type Ended = oneshot::Receiver<Result<(), String>>;

/// Starts a thread of its own: a server that is to stop need not wait for it. What
/// it has started dies with it.
fn start(app: &App, claim: &Claim, progress: &Arc<Followed>) -> Result<Ended, String> {
    let target: TargetId = claim
        .target
        .parse()
        .map_err(|error: resplice_target::Error| error.to_string())?;
    let (say, ended) = oneshot::channel();
    let (catalogue, progress) = (Arc::clone(&app.catalogue), Arc::clone(progress));
    let import = move || {
        let outcome = catalogue.import(&target, &*progress);
        let _ = say.send(outcome.map_err(|error| error.to_string()));
    };
    let thread = std::thread::Builder::new().name("import".to_owned());
    thread
        .spawn(import)
        .map_err(|error| format!("can't start a thread for the import: {error}"))?;
    Ok(ended)
}

/// How far an import is, for whoever asks.
#[derive(Default)]
struct Followed(Mutex<State>);

#[derive(Default)]
struct State {
    reached: Reached,
    began: Option<Instant>,
}

impl Followed {
    fn reached(&self) -> Reached {
        self.change(|state| state.reached.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Followed {
    fn begin(&self, step: &str, total_bytes: Option<u64>) {
        self.change(|state| {
            state.reached.step = Some(step.to_owned());
            state.reached.done_bytes = 0;
            state.reached.total_bytes = total_bytes;
            state.began = Some(Instant::now());
        });
    }

    fn advance(&self, done_bytes: u64) {
        self.change(|state| state.reached.done_bytes = done_bytes);
    }

    fn end(&self) {
        self.change(|state| {
            let Some(name) = state.reached.step.take() else {
                return;
            };
            let took = state.began.take().map(|began| began.elapsed());
            let millis = took.map_or(0, |took| {
                u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
            });
            if state.reached.steps.len() < limits::MAX_STEPS {
                state.reached.steps.push(ImportStep { name, millis });
            }
        });
    }

    fn note(&self, text: &str) {
        self.begin(text, None);
    }
}
