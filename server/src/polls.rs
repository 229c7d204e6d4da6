//! Hosts that ask for their plans: most of what a server does.
//!
//! What is known of a host that asks, and what is offered for its target, is kept as
//! long as the database says that it has not changed: another server may have changed
//! it. That a host was heard of is noted a little later, and not at every poll.

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
    versions::Current,
};
use axum::{body::Bytes, http::HeaderValue};
use resplice_api::{Channel, HostId, Plan};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

/// A host that was noted as seen so recently is not noted again.
const SEEN_RESOLUTION_MICROS: i64 = 30_000_000;
/// How often it is written which hosts were seen.
const WRITING: Duration = Duration::from_secs(1);
/// If there are more, it is written every [`WRITING_MANY`]: neighbours in the table are
/// then written together.
const MANY: usize = 1000;
const WRITING_MANY: Duration = Duration::from_secs(10);
/// Most targets whose offers are kept: hosts say what their target is.
const MAX_TARGETS: usize = 1000;
/// Most hosts of which it is kept what is known, in 1.5 kB each. The others' polls
/// cost a query each.
const MAX_HOSTS: usize = 200_000;

/// Look-ups for polls, and the hosts that were seen and are not noted yet.
#[derive(Debug)]
pub struct Polls {
    versions: Current,
    tokens: Batch<String, Found>,
    known: Mutex<Hosts>,
    pasts: Batch<HostId, Arc<Past>>,
    offers: Mutex<HashMap<String, Arc<Kept>>>,
    /// Held by whoever reads what is offered.
    reading: tokio::sync::Mutex<()>,
    seen: Mutex<HashSet<HostId>>,
}

/// What is known of hosts.
#[derive(Debug, Default)]
struct Hosts {
    /// By the public parts of their tokens.
    by_token: HashMap<String, Known>,
    /// The callers' version when those that had changed were let go.
    swept: i64,
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
            versions: Current::new(db),
            tokens: Batch::new(move |ids: Vec<String>| {
                let db = for_tokens.clone();
                async move { callers::find(&db, &ids).await }
            }),
            pasts: Batch::new(move |hosts: Vec<HostId>| {
                let db = for_pasts.clone();
                async move { callers::past(&db, &hosts).await }
            }),
            known: Mutex::default(),
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
        // Most that are not kept are no hosts: for them there is nothing to compare.
        if lock(&self.known).by_token.contains_key(id)
            && let Some(known) = self.unchanged(id).await?
        {
            return Ok(Some(known));
        }
        let found = self.tokens.get(id.to_owned()).await?;
        let found = found.transpose()?;
        if let Some(known) = found.as_ref().filter(|known| known.host.is_some()) {
            lock(&self.known).keep(id, known, MAX_HOSTS);
        }
        Ok(found)
    }

    async fn unchanged(&self, id: &str) -> Result<Option<Known>, Failure> {
        let Some(versions) = self.versions.get().await? else {
            return Ok(None);
        };
        let all = &mut lock(&self.known).by_token;
        let Some(known) = all.get_mut(id) else {
            return Ok(None);
        };
        if known.version < versions.callers {
            all.remove(id);
            return Ok(None);
        }
        if let Some(polling) = &mut known.host {
            // Of two that ask at a time one may have an older answer.
            polling.offers_version = polling.offers_version.max(versions.offers);
        }
        Ok(Some(known.clone()))
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
    pub fn seen(&self, polling: &Polling) {
        let now = db::now();
        let noted = polling.noted.load(Ordering::Relaxed);
        if now - noted >= SEEN_RESOLUTION_MICROS {
            polling.noted.store(now, Ordering::Relaxed);
            lock(&self.seen).insert(polling.host.id);
        }
    }

    /// Notes which hosts were seen; those that could not be noted stay to be.
    pub async fn write(&self, db: &Db) {
        let hosts = std::mem::take(&mut *lock(&self.seen));
        let mut hosts: Vec<HostId> = hosts.into_iter().collect();
        // As they lie in the table; and two servers that write the same ones do not wait
        // for each other in a circle.
        hosts.sort_unstable();
        if let Err(error) = db::hosts::seen(db, &hosts).await {
            tracing::error!(%error, hosts = hosts.len(), "can't note which hosts were seen");
            lock(&self.seen).extend(hosts);
        }
    }
}

impl Hosts {
    fn keep(&mut self, id: &str, known: &Known, most: usize) {
        let all = &mut self.by_token;
        if all.len() >= most && !all.contains_key(id) {
            // Once for each change: all of them are gone through.
            if self.swept < known.version {
                self.swept = known.version;
                all.retain(|_, kept| kept.version >= known.version);
            }
            if all.len() >= most {
                return;
            }
        }
        let newest = all.get(id).is_none_or(|kept| kept.version <= known.version);
        if newest {
            all.insert(id.to_owned(), known.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes which hosts were seen, until the server stops and once more then.
pub async fn run(app: App) {
    let mut written = Instant::now();
    loop {
        let stops = tokio::select! {
            () = app.shutdown.cancelled() => true,
            () = tokio::time::sleep(WRITING) => false,
        };
        let many = lock(&app.polls.seen).len() > MANY;
        if stops || !many || written.elapsed() >= WRITING_MANY {
            app.polls.write(&app.db).await;
            written = Instant::now();
        }
        if stops {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(version: i64) -> Known {
        Known {
            token: Arc::default(),
            host: None,
            version,
        }
    }

    #[test]
    fn no_more_hosts_are_kept_than_may_and_those_that_have_changed_go_first() {
        let mut hosts = Hosts::default();
        let keep = |hosts: &mut Hosts, id: &str, version| hosts.keep(id, &known(version), 2);
        let kept = |hosts: &Hosts| {
            let all = hosts.by_token.iter();
            let mut all: Vec<_> = all.map(|(id, k)| (id.clone(), k.version)).collect();
            all.sort();
            all
        };
        let are = |all: &[(&str, i64)]| -> Vec<_> {
            all.iter().map(|(id, v)| ((*id).to_owned(), *v)).collect()
        };
        for (id, version) in [("a", 1), ("b", 1), ("c", 1)] {
            keep(&mut hosts, id, version);
        }
        assert_eq!(kept(&hosts), are(&[("a", 1), ("b", 1)]));
        // One that is kept is renewed, but not by an older answer.
        keep(&mut hosts, "a", 3);
        keep(&mut hosts, "a", 2);
        assert_eq!(kept(&hosts), are(&[("a", 3), ("b", 1)]));
        keep(&mut hosts, "c", 3);
        assert_eq!(kept(&hosts), are(&[("a", 3), ("c", 3)]));
    }
}
