//! Look-ups that are asked for at the same time are one query.
//!
//! Whoever asks while queries run waits for the next one: an answer is never older
//! than its question. So nothing is cached here that another server could have changed,
//! and the more ask, the less each costs.

use crate::db::Error;
use futures_util::future::BoxFuture;
use sea_orm::DbErr;
use std::{
    collections::{HashMap, HashSet},
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;

/// Most keys of a query.
const MAX_KEYS: usize = 256;
/// Most queries of a kind at a time: while one is read, the other runs.
const MAX_RUNNING: usize = 2;
/// How long a query may take: one that hangs must not hold up for good who waits for
/// the next.
const LIMIT: Duration = Duration::from_secs(30);

type Found<K, V> = Result<HashMap<K, V>, Error>;
type LookUp<K, V> = dyn Fn(Vec<K>) -> BoxFuture<'static, Found<K, V>> + Send + Sync;

/// What a look-up gives: none if there is nothing of that key. All who waited for
/// a query that failed hear why.
pub type Answer<V> = Result<Option<V>, Arc<Error>>;

/// Look-ups of one kind. Values are cloned for all who ask for the same.
pub struct Batch<K, V>(Arc<Shared<K, V>>);

struct Shared<K, V> {
    look_up: Box<LookUp<K, V>>,
    limit: Duration,
    queue: Mutex<Queue<K, V>>,
}

struct Queue<K, V> {
    waiting: Vec<(K, oneshot::Sender<Answer<V>>)>,
    /// Queries that run.
    running: usize,
}

impl<K, V> Batch<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// Look-ups by a function that is given between 1 and 256 keys. Their number is a
    /// power of two, so that a database sees few different statements: the last key
    /// may come several times.
    pub fn new<F>(look_up: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Found<K, V>> + Send + 'static,
    {
        Self::with(LIMIT, look_up)
    }

    fn with<F>(limit: Duration, look_up: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Found<K, V>> + Send + 'static,
    {
        Self(Arc::new(Shared {
            look_up: Box::new(move |keys| Box::pin(look_up(keys))),
            limit,
            queue: Mutex::new(Queue {
                waiting: Vec::new(),
                running: 0,
            }),
        }))
    }

    /// Looks one key up.
    ///
    /// # Errors
    /// The query's.
    pub async fn get(&self, key: K) -> Answer<V> {
        let (sender, receiver) = oneshot::channel();
        let served = {
            let mut queue = self.0.queue();
            queue.waiting.push((key, sender));
            (queue.running < MAX_RUNNING).then(|| {
                queue.running += 1;
                Served {
                    shared: Arc::clone(&self.0),
                    is_running: true,
                }
            })
        };
        if let Some(served) = served {
            tokio::spawn(serve(served));
        }
        receiver
            .await
            .unwrap_or_else(|_| Err(Arc::new(unanswered("the query was given up"))))
    }
}

fn unanswered(why: &str) -> Error {
    crate::db::failed("look something up")(DbErr::Custom(why.to_owned()))
}

impl<K, V> std::fmt::Debug for Batch<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

impl<K, V> Shared<K, V> {
    fn queue(&self) -> MutexGuard<'_, Queue<K, V>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever asks queries until nobody waits. Whatever becomes of a query, the next
/// question begins a new one.
struct Served<K, V> {
    shared: Arc<Shared<K, V>>,
    is_running: bool,
}

impl<K, V> Drop for Served<K, V> {
    fn drop(&mut self) {
        if !self.is_running {
            return;
        }
        let mut queue = self.shared.queue();
        queue.running -= 1;
        // After a panic somebody may be left, who would wait for the next question.
        if queue.running == 0 {
            queue.waiting.clear();
        }
    }
}

async fn serve<K, V>(mut served: Served<K, V>)
where
    K: Clone + Eq + Hash + Send,
    V: Clone + Send,
{
    loop {
        // Others that are ready to ask do so first.
        tokio::task::yield_now().await;
        let asked = {
            let mut queue = served.shared.queue();
            let count = queue.waiting.len().min(MAX_KEYS);
            if count == 0 {
                // Under the same lock: whoever asks next sees that it has to serve.
                queue.running -= 1;
                drop(queue);
                served.is_running = false;
                return;
            }
            queue.waiting.drain(..count).collect::<Vec<_>>()
        };
        let keys: HashSet<K> = asked.iter().map(|(key, _)| key.clone()).collect();
        let mut keys: Vec<K> = keys.into_iter().collect();
        if let Some(last) = keys.last().cloned() {
            keys.resize(keys.len().next_power_of_two(), last);
        }
        let asking = (served.shared.look_up)(keys);
        let found = tokio::time::timeout(served.shared.limit, asking).await;
        let found = found.unwrap_or_else(|_| Err(unanswered("the database has not answered")));
        let found = found.map_err(Arc::new);
        for (key, sender) in asked {
            let answer = match &found {
                Ok(found) => Ok(found.get(&key).cloned()),
                Err(error) => Err(Arc::clone(error)),
            };
            // Whoever has hung up is not told.
            let _ = sender.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Semaphore;

    /// A table that counts its queries, each of which waits for a permit.
    struct Table {
        batch: Batch<u32, u32>,
        queries: Arc<AtomicU32>,
        permits: Arc<Semaphore>,
        value: Arc<AtomicU32>,
    }

    fn table() -> Table {
        let queries = Arc::new(AtomicU32::new(0));
        let permits = Arc::new(Semaphore::new(0));
        let value = Arc::new(AtomicU32::new(1));
        let parts = (queries.clone(), permits.clone(), value.clone());
        let batch = Batch::new(move |keys: Vec<u32>| {
            let (queries, permits, value) = parts.clone();
            async move {
                assert!(keys.len().is_power_of_two() && keys.len() <= MAX_KEYS);
                queries.fetch_add(1, Ordering::SeqCst);
                let seen = value.load(Ordering::SeqCst);
                permits.acquire().await.unwrap().forget();
                match keys.contains(&667) {
                    true => panic!("a query that panics"),
                    false => Ok(keys
                        .into_iter()
                        .filter(|k| k % 2 == 0)
                        .map(|k| (k, seen))
                        .collect()),
                }
            }
        });
        Table {
            batch,
            queries,
            permits,
            value,
        }
    }

    #[tokio::test]
    async fn who_asks_while_a_query_runs_gets_what_was_true_after_the_question() {
        let table = table();
        let first = table.batch.get(2);
        tokio::pin!(first);
        assert!(futures_util::poll!(&mut first).is_pending());
        while table.queries.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        table.value.store(2, Ordering::SeqCst);
        let mut later: Vec<_> = (0..100).map(|key| Box::pin(table.batch.get(key))).collect();
        for asked in &mut later {
            assert!(futures_util::poll!(asked).is_pending());
        }
        table.permits.add_permits(10);
        assert_eq!(first.await.unwrap(), Some(1));
        for (key, answer) in join_all(later).await.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), (key % 2 == 0).then_some(2));
        }
        assert_eq!(table.queries.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_query_that_hangs_is_given_up_and_the_next_one_begins() {
        let queries = Arc::new(AtomicU32::new(0));
        let limit = Duration::from_millis(20);
        let batch = Batch::with(limit, move |keys: Vec<u32>| {
            let hangs = queries.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok(keys.into_iter().map(|key| (key, key)).collect())
            }
        });
        let error = batch.get(2).await.unwrap_err();
        assert!(error.to_string().contains("look something up"), "{error}");
        assert_eq!(batch.get(2).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn more_than_one_query_takes_are_asked_in_several() {
        let table = table();
        table.permits.add_permits(100);
        let mut asked: Vec<_> = (0..1000)
            .map(|key| Box::pin(table.batch.get(key * 2)))
            .collect();
        for asked in &mut asked {
            assert!(futures_util::poll!(asked).is_pending());
        }
        for answer in join_all(asked).await {
            assert_eq!(answer.unwrap(), Some(1));
        }
        assert_eq!(table.queries.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn a_query_that_is_given_up_fails_who_waits_and_nobody_later() {
        let table = table();
        table.permits.add_permits(2);
        let error = table.batch.get(667).await.unwrap_err();
        assert!(error.to_string().contains("given up"), "{error}");
        assert_eq!(table.batch.get(2).await.unwrap(), Some(1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_is_forgotten_when_many_ask_and_stop_asking() {
        let batch = Batch::new(|keys: Vec<u32>| async move {
            tokio::task::yield_now().await;
            Ok(keys.into_iter().map(|key| (key, key)).collect())
        });
        let batch = Arc::new(batch);
        let asked = (0..64).map(|task| {
            let batch = Arc::clone(&batch);
            tokio::spawn(async move {
                for round in 0..500 {
                    let key = task * 1000 + round;
                    assert_eq!(batch.get(key).await.unwrap(), Some(key));
                }
            })
        });
        let all = join_all(asked.collect::<Vec<_>>());
        let all = tokio::time::timeout(std::time::Duration::from_secs(60), all);
        for task in all.await.unwrap() {
            task.unwrap();
        }
    }
}
