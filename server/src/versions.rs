//! How far the numbers are that grow with each change of what polls are answered from.
//!
//! What the database has said of them holds for 8 ms from when it was asked, so that
//! polls in quick succession are not a query each; it is asked again when half of that is
//! over, so that they do not wait either. Whoever changes something says so
//! only when that time is over ([`settle`]). So an answer is never older than what was
//! known to be changed when it was asked for, whichever server changed it. Servers need
//! not agree on the time of day; each measures only how long something takes.

use crate::{
    batch::{Answer, Batch},
    db::{
        Db, Error,
        callers::{self, Versions},
    },
};
use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long the numbers hold.
const HOLD: Duration = Duration::from_millis(8);
/// Whoever asks after so long has them asked for again, without waiting.
const AHEAD: Duration = Duration::from_millis(4);
/// How long a change waits: one clock may run a little faster than another.
const SETTLING: Duration = Duration::from_millis(9);

/// The numbers, as they are or were less than 8 ms ago.
#[derive(Debug)]
pub struct Current {
    asked: Arc<Batch<(), Versions>>,
    held: Arc<Mutex<Option<Held>>>,
    /// Whether they are asked for ahead of time.
    renewing: Arc<AtomicBool>,
}

/// What the database said, and when it was asked.
#[derive(Debug, Clone, Copy)]
struct Held {
    since: Instant,
    versions: Versions,
}

impl Current {
    /// The numbers in a database.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        let db = db.clone();
        Self::with(move || {
            let db = db.clone();
            async move { callers::versions(&db).await }
        })
    }

    fn with<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Versions, Error>> + Send + 'static,
    {
        let held = Arc::<Mutex<Option<Held>>>::default();
        let holds = Arc::clone(&held);
        let asked = Batch::new(move |keys: Vec<()>| {
            let since = Instant::now();
            let (asking, holds) = (ask(), Arc::clone(&holds));
            async move {
                let versions = asking.await?;
                hold(&mut lock(&holds), Held { since, versions });
                Ok(keys.into_iter().map(|key| (key, versions)).collect())
            }
        });
        Self {
            asked: Arc::new(asked),
            held,
            renewing: Arc::default(),
        }
    }

    /// The numbers.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self) -> Answer<Versions> {
        let held = *lock(&self.held);
        if let Some(held) = held {
            let age = held.since.elapsed();
            if age < HOLD {
                if age >= AHEAD {
                    self.renew();
                }
                return Ok(Some(held.versions));
            }
        }
        self.asked.get(()).await
    }

    fn renew(&self) {
        if self.renewing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (asked, renewing) = (Arc::clone(&self.asked), Arc::clone(&self.renewing));
        tokio::spawn(async move {
            // If it failed, who asks next hears why.
            let _ = asked.get(()).await;
            renewing.store(false, Ordering::Relaxed);
        });
    }
}

/// Of two queries that run at a time, that which began first may be answered last.
fn hold(held: &mut Option<Held>, new: Held) {
    if held.is_none_or(|held| held.since < new.since) {
        *held = Some(new);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until no server answers from before a change that is made.
pub async fn settle() {
    tokio::time::sleep(SETTLING).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::AtomicI64;

    /// Numbers that count their queries.
    fn counted() -> (Current, Arc<AtomicI64>) {
        let queries = Arc::new(AtomicI64::new(0));
        let count = Arc::clone(&queries);
        let current = Current::with(move || {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            async move { Ok(versions(number)) }
        });
        (current, queries)
    }

    fn versions(number: i64) -> Versions {
        Versions {
            offers: number,
            callers: number,
        }
    }

    async fn number(current: &Current) -> i64 {
        current.get().await.unwrap().unwrap().offers
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_in_quick_succession_is_one_query_and_waits_once() {
        const TAKES: Duration = Duration::from_millis(2);
        const STEP: Duration = Duration::from_millis(1);
        let queries = Arc::new(AtomicI64::new(0));
        let count = Arc::clone(&queries);
        let current = Current::with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(TAKES).await;
                Ok(versions(1))
            }
        });
        let (mut waits, began) = (0, Instant::now());
        for _ in 0..60 {
            let asked = Instant::now();
            number(&current).await;
            waits += i32::from(asked.elapsed() > Duration::ZERO);
            tokio::time::sleep(STEP).await;
        }
        assert_eq!(waits, 1);
        // Again when each is half over, by the one that comes then.
        let most = began.elapsed().as_millis() / AHEAD.as_millis() + 1;
        let queries = queries.load(Ordering::SeqCst);
        assert!(
            (7..=most).contains(&u128::try_from(queries).unwrap()),
            "{queries}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_change_has_settled_nothing_older_is_said() {
        let (current, queries) = counted();
        for _ in 0..20 {
            number(&current).await;
            let changed = queries.load(Ordering::SeqCst);
            settle().await;
            assert!(number(&current).await > changed);
        }
    }

    #[test]
    fn an_older_answer_does_not_take_the_place_of_a_newer_one() {
        let now = Instant::now();
        let held = |millis, number| Held {
            since: now + Duration::from_millis(millis),
            versions: versions(number),
        };
        let mut all = None;
        for (new, number) in [(held(1, 1), 1), (held(3, 3), 3), (held(2, 2), 3)] {
            hold(&mut all, new);
            assert_eq!(all.unwrap().versions.offers, number);
        }
    }
}
