//! Hosts that ask for their plans: most of what a server does.
//!
//! Who asks is looked up for all that wait at once. What is offered for a target is
//! kept as long as the database says that it has not changed, which it says with each
//! look-up: another server may have changed it. That a host was heard of is noted a
//! little later, and not at every poll.

use crate::{
    App,
    batch::Batch,
    db::{
        self, Db,
        callers::{self, Found, Known, Past, Polling},
        offers::{self, Offers},
        plans, rollouts,
    },
    error::Failure,
    store::sha256_hex,
};
use axum::{body::Bytes, http::HeaderValue};
use jiff::{SignedDuration, Timestamp};
use resplice_api::{Channel, Host, HostId, Plan};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A host that was noted as seen so recently is not noted again.
const SEEN_RESOLUTION: SignedDuration = SignedDuration::from_secs(30);
/// How often it is written which hosts were seen.
const WRITING: Duration = Duration::from_secs(1);
/// Most targets whose offers are kept: hosts say what their target is.
const MAX_TARGETS: usize = 1000;

/// Look-ups for polls, and the hosts that were seen and are not noted yet.
#[derive(Debug)]
pub struct Polls {
    tokens: Batch<String, Found>,
    pasts: Batch<HostId, Arc<Past>>,
    offers: Mutex<HashMap<String, Arc<Kept>>>,
    /// Held by whoever reads what is offered.
    reading: tokio::sync::Mutex<()>,
    seen: Mutex<HashSet<HostId>>,
}

/// What is offered for a target, and a version that it is no older than.
#[derive(Debug)]
struct Kept {
    version: i64,
    offers: Offers,
    /// What all hosts of a channel are told, where nothing goes out in waves.
    same_for_all: Mutex<BTreeMap<Channel, Answer>>,
}

/// A plan as it is sent.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its name, for `ETag`.
    pub etag: HeaderValue,
    /// JSON.
    pub body: Bytes,
}

impl Answer {
    fn new(plan: &Plan) -> Result<Self, Failure> {
        let body = serde_json::to_vec(plan).map_err(Failure::internal("write a plan"))?;
        let etag = HeaderValue::try_from(format!("\"{}\"", sha256_hex(&body)));
        Ok(Self {
            etag: etag.map_err(Failure::internal("name a plan"))?,
            body: body.into(),
        })
    }
}

impl Polls {
    /// Look-ups in a database.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        let (for_tokens, for_pasts) = (db.clone(), db.clone());
        Self {
            tokens: Batch::new(move |ids: Vec<String>| {
                let db = for_tokens.clone();
                async move { callers::find(&db, &ids).await }
            }),
            pasts: Batch::new(move |hosts: Vec<HostId>| {
                let db = for_pasts.clone();
                async move { callers::past(&db, &hosts).await }
            }),
            offers: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Finds a token by its public part.
    ///
    /// # Errors
    /// The database's.
    pub async fn token(&self, id: &str) -> Result<Option<Known>, Failure> {
        let found = self.tokens.get(id.to_owned()).await?;
        Ok(found.transpose()?)
    }

    /// The plan that a host gets if it asks now.
    ///
    /// # Errors
    /// The database's.
    pub async fn look(&self, db: &Db, polling: &Polling) -> Result<Plan, Failure> {
        let kept = self.offers(db, polling).await?;
        let past = self.past(polling).await?;
        Ok(plans::look(polling, &past, &kept.offers).0)
    }

    /// The plan for a host that asks. The gates of rollouts count it before the host
    /// hears of it.
    ///
    /// # Errors
    /// The database's.
    pub async fn answer(&self, db: &Db, polling: &Polling) -> Result<Answer, Failure> {
        let kept = self.offers(db, polling).await?;
        if polling.frozen.is_some() || kept.offers.has_waves() {
            let past = self.past(polling).await?;
            let (plan, mut in_waves) = plans::look(polling, &past, &kept.offers);
            in_waves.retain(|update| !past.offered.contains(update));
            rollouts::offer(db, polling.host.id, &in_waves).await?;
            return Answer::new(&plan);
        }
        let mut told = lock(&kept.same_for_all);
        if let Some(answer) = told.get(&polling.host.channel) {
            return Ok(answer.clone());
        }
        // Nothing depends on the past of one host.
        let (plan, _) = plans::look(polling, &Past::default(), &kept.offers);
        let answer = Answer::new(&plan)?;
        told.insert(polling.host.channel, answer.clone());
        Ok(answer)
    }

    async fn past(&self, polling: &Polling) -> Result<Arc<Past>, Failure> {
        let past = self.pasts.get(polling.host.id).await?;
        Ok(past.unwrap_or_default())
    }

    async fn offers(&self, db: &Db, polling: &Polling) -> Result<Arc<Kept>, db::Error> {
        let target = &polling.host.target;
        // The version was read before this: what is read now is no older.
        let version = polling.offers_version;
        if let Some(kept) = self.kept(target, version) {
            return Ok(kept);
        }
        let _reading = self.reading.lock().await;
        if let Some(kept) = self.kept(target, version) {
            return Ok(kept);
        }
        let kept = Arc::new(Kept {
            version,
            offers: offers::for_target(db, target).await?,
            same_for_all: Mutex::default(),
        });
        let mut all = lock(&self.offers);
        if all.len() >= MAX_TARGETS {
            all.clear();
        }
        all.insert(target.clone(), Arc::clone(&kept));
        Ok(kept)
    }

    fn kept(&self, target: &str, version: i64) -> Option<Arc<Kept>> {
        let all = lock(&self.offers);
        let kept = all.get(target).filter(|kept| kept.version >= version)?;
        Some(Arc::clone(kept))
    }

    /// Has it noted that a host was heard of.
    pub fn seen(&self, host: &Host) {
        if Timestamp::now().duration_since(host.last_seen_at) >= SEEN_RESOLUTION {
            lock(&self.seen).insert(host.id);
        }
    }

    /// Notes which hosts were seen; those that could not be noted stay to be.
    pub async fn write(&self, db: &Db) {
        let hosts = std::mem::take(&mut *lock(&self.seen));
        let hosts: Vec<HostId> = hosts.into_iter().collect();
        if let Err(error) = db::hosts::seen(db, &hosts).await {
            tracing::error!(%error, hosts = hosts.len(), "can't note which hosts were seen");
            lock(&self.seen).extend(hosts);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes which hosts were seen, until the server stops and once more then.
pub async fn run(app: App) {
    loop {
        let stops = tokio::select! {
            () = app.shutdown.cancelled() => true,
            () = tokio::time::sleep(WRITING) => false,
        };
        app.polls.write(&app.db).await;
        if stops {
            return;
        }
    }
}
