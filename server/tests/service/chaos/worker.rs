//! Workers that build nothing, and may die between any two of their words.

use super::{Dice, again};
use crate::support::{OTHER_TARGET, TARGET, Worker, finish};
use resplice_api::{
    FinishStatus, Heartbeat, JobId, Lease, LeaseRequest, NewWorker,
    client::{Client, Error},
};
use resplice_package::SecretKey;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// Lines of a log.
const LINES: u32 = 40;
/// The longest that a worker says nothing.
const BEAT: Duration = Duration::from_millis(1500);

/// A line that a worker writes into the log of an attempt.
fn line(job: JobId, attempt: u32, number: u32) -> String {
    format!("{job} {attempt} {number} {}\n", "x".repeat(number as usize))
}

/// All of them.
pub fn lines(job: JobId, attempt: u32) -> String {
    (0..LINES)
        .map(|number| line(job, attempt, number))
        .collect()
}

/// All workers.
pub struct Team {
    seeds: Vec<[u8; 32]>,
    running: Vec<JoinHandle<()>>,
}

impl Team {
    pub fn new(count: usize, clients: &Arc<Vec<Client>>, dice: &mut Dice) -> Self {
        let mut team = Self {
            seeds: (0..count).map(|number| [number as u8 + 1; 32]).collect(),
            running: Vec::new(),
        };
        for number in 0..count {
            let task = team.start(number, clients, dice);
            team.running.push(task);
        }
        team
    }

    /// Drops one where it stands, requests that are under way too, and starts it
    /// again under its name.
    pub fn kill_one(&mut self, clients: &Arc<Vec<Client>>, dice: &mut Dice) {
        let chosen = dice.below(self.running.len());
        self.running[chosen].abort();
        self.running[chosen] = self.start(chosen, clients, dice);
    }

    pub fn stop(self) {
        self.running.iter().for_each(JoinHandle::abort);
    }

    fn start(&self, number: usize, clients: &Arc<Vec<Client>>, dice: &mut Dice) -> JoinHandle<()> {
        let one = One {
            clients: clients.clone(),
            worker: Worker {
                name: format!("w{number}"),
                key: SecretKey::from_seed(&self.seeds[number]),
                client: clients[0].clone(),
            },
            dice: dice.child(),
        };
        tokio::spawn(one.run())
    }
}

struct One {
    clients: Arc<Vec<Client>>,
    worker: Worker,
    dice: Dice,
}

impl One {
    async fn run(mut self) {
        let new = NewWorker {
            name: self.worker.name.clone(),
            public_key: self.worker.key.public().to_string(),
        };
        let new = &new;
        self.say(|client| async move { client.register_worker(new).await })
            .await
            .unwrap();
        let request = LeaseRequest {
            worker: self.worker.name.clone(),
            targets: [TARGET, OTHER_TARGET].map(str::to_owned).to_vec(),
        };
        loop {
            // Not to be repeated: a claim whose answer is lost is taken back.
            match self.any().lease(&request).await {
                Ok(Some(lease)) => match self.build(&lease).await {
                    Ok(()) => {}
                    Err(error) if error.is_stale_attempt() => {}
                    Err(error) => panic!("{}: {error}", self.worker.name),
                },
                Ok(None) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => {
                    assert!(again(&error), "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn build(&mut self, lease: &Lease) -> Result<(), Error> {
        let (job, attempt) = (lease.job, lease.attempt);
        let text = lines(job, attempt);
        let mut offset = 0;
        let mut beaten = Instant::now();
        while offset < text.len() {
            let end = text.len().min(offset + 1 + self.dice.below(400));
            let piece = &text.as_bytes()[offset..end];
            let at = offset as u64;
            self.say(|client| async move { client.append_log(job, attempt, at, piece).await })
                .await?;
            offset = end;
            // As a real one does, by the clock: a machine may be slow.
            if beaten.elapsed() > BEAT || self.dice.one_in(20) {
                beaten = Instant::now();
                let beat = &Heartbeat::default();
                self.say(|client| async move { client.heartbeat(job, attempt, beat).await })
                    .await?;
            }
            if self.dice.one_in(400) {
                // Longer than its lease: then it is somebody else's.
                tokio::time::sleep(Duration::from_millis(5500)).await;
            }
        }
        let package = &self.worker.package(lease);
        let provenance = &self.worker.provenance(package);
        self.say(|client| async move { client.put_package(job, attempt, package.clone()).await })
            .await?;
        self.say(|client| async move {
            client
                .put_provenance(job, attempt, provenance.clone())
                .await
        })
        .await?;
        let end = &finish(FinishStatus::Built);
        self.say(|client| async move { client.finish(job, attempt, end).await })
            .await?;
        Ok(())
    }

    fn any(&mut self) -> Client {
        self.clients[self.dice.below(self.clients.len())].clone()
    }

    /// Says something to any server until one answers; now and then twice.
    async fn say<T, F: Future<Output = Result<T, Error>>>(
        &mut self,
        call: impl Fn(Client) -> F,
    ) -> Result<T, Error> {
        loop {
            let client = self.any();
            let answer = call(client).await;
            match answer {
                Err(error) if again(&error) => {
                    let pause = 10 + self.dice.below(100) as u64;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                answer if self.dice.one_in(15) => {
                    let repeated = call(self.any()).await;
                    match repeated {
                        Err(error) if again(&error) => return answer,
                        repeated => return repeated,
                    }
                }
                answer => return answer,
            }
        }
    }
}
