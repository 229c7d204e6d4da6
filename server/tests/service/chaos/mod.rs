//! Servers, workers and connections to the database die at random while jobs are
//! built: two servers on PostgreSQL, one on SQLite. Their clocks are wrong, and each
//! time in another way. Most workers build nothing, but talk as real ones do, and
//! repeat themselves; real ones build among them.
//!
//! `RESPLICE_SEED` repeats the choices of a run, `RESPLICE_CHAOS=JOBS,KILLS,BUILDS`
//! makes it longer; `make chaos` runs 2,000 jobs and 12 builds with 200 deaths.

mod builds;
mod dice;
pub(crate) mod servers;
mod worker;

use crate::support::{OTHER_TARGET, Service, TARGET, new_update};
use builds::Builds;
use dice::Dice;
use futures_util::{StreamExt, stream};
use resplice_api::{
    Job, JobId, JobStatus, Role, Token,
    client::{Client, Error},
};
use resplice_package::{Package, Provenance};
use servers::Servers;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use worker::{Team, lines};

const WORKERS: usize = 8;
const EXAMINED_AT_ONCE: usize = 16;
/// Until a run that hangs is given up.
const DEADLINE: Duration = Duration::from_secs(1200);

/// Jobs, deaths, and real builds.
fn size() -> [usize; 3] {
    let Ok(text) = std::env::var("RESPLICE_CHAOS") else {
        return [60, 24, 0];
    };
    let numbers: Vec<usize> = text.split(',').map(|n| n.parse().unwrap()).collect();
    numbers
        .try_into()
        .expect("RESPLICE_CHAOS=JOBS,KILLS,BUILDS")
}

/// The longest pause between two deaths, in milliseconds: a build is to get somewhere.
fn longest_pause(builds: usize) -> usize {
    if builds == 0 { 300 } else { 2000 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_published_twice_whatever_dies() {
    let mut dice = Dice::from_environment();
    println!("RESPLICE_SEED={}", dice.seed);
    let [jobs, kills, builds] = size();
    let service = Service::start().await;
    let team = service.client(Role::Team);
    let mut all = Vec::new();
    for _ in 0..jobs.div_ceil(2) {
        let update = team.upload(&new_update(&[TARGET, OTHER_TARGET])).await;
        all.extend(update.unwrap().jobs.iter().map(|job| job.id));
    }
    let kept = service.stop().await;
    let several = kept.database_url().is_some();
    let mut servers = Servers::start(&kept, if several { 2 } else { 1 }, &mut dice);
    let token = |role: Role| {
        let file = kept.data().join("tokens").join(format!("{role}.token"));
        Token::from_file(&file).unwrap()
    };
    let clients: Arc<Vec<Client>> = Arc::new(servers.clients(&token(Role::Worker)));
    let readers = servers.clients(&token(Role::Team));
    let mut team = Team::new(WORKERS, &clients, &mut dice);
    let mut builds = Builds::start(&kept, builds, &readers, &servers).await;
    let followed: Vec<_> = (0..4)
        .map(|number| {
            let (job, reader) = (all[dice.below(all.len())], &readers[number % readers.len()]);
            (job, tokio::spawn(follow(reader.clone(), job)))
        })
        .collect();

    let began = Instant::now();
    for kill in 0..kills {
        let pause = dice.below(longest_pause(builds.jobs.len())) as u64;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        match kill % 3 {
            _ if kill % 12 == 10 && !builds.jobs.is_empty() => builds.kill_one(&mut dice),
            0 => servers.kill_one(&mut dice),
            1 => team.kill_one(&clients, &mut dice),
            _ if several => servers.cut(&mut dice).await,
            _ => team.kill_one(&clients, &mut dice),
        }
    }
    let reader = &readers[0];
    for job in all.iter().chain(&builds.jobs) {
        // What has ended stays so; of two lists, a job may be in neither.
        while !reader.job(*job).await.unwrap().status.is_final() {
            assert!(began.elapsed() < DEADLINE, "{job} is left");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    team.stop();
    let built = builds.jobs.len();
    println!(
        "{jobs} jobs, {built} builds, {kills} deaths in {:?}",
        began.elapsed()
    );

    let examined = stream::iter(all.iter().map(async |id| {
        let job = examine(reader, *id).await;
        has_said_what_it_should(reader, &job).await;
    }));
    examined
        .buffer_unordered(EXAMINED_AT_ONCE)
        .collect::<()>()
        .await;
    for id in &builds.jobs {
        let job = examine(reader, *id).await;
        builds.examine(reader, &job).await;
    }
    for (job, follower) in followed {
        let read = follower.await.unwrap();
        assert!(read == whole_log(reader, job).await, "a follower of {job}");
    }
    assert_eq!(findings(&kept.data(), &kept.environment()), "");
}

/// Everything that a follower of this job gets to see.
async fn follow(reader: Client, job: JobId) -> Vec<u8> {
    let mut read = Vec::new();
    loop {
        let result = reader
            .follow_log(job, |_, bytes| read.extend_from_slice(bytes))
            .await;
        match result {
            Ok(_) => return read,
            // It has waited for long; begin anew.
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                read.clear();
            }
        }
    }
}

async fn whole_log(reader: &Client, job: JobId) -> Vec<u8> {
    let mut log = Vec::new();
    let last = reader.job(job).await.unwrap().attempt;
    for attempt in 1..=last {
        log.extend(read_log(reader, job, attempt).await);
    }
    log
}

async fn read_log(reader: &Client, job: JobId, attempt: u32) -> Vec<u8> {
    let piece = reader.log(job, Some(attempt), 0, false).await.unwrap();
    assert!(piece.complete, "{job} {attempt}");
    piece.bytes
}

/// Holds what is kept of a job against what its workers must have done: built it
/// once, and left a package that is vouched for.
async fn examine(reader: &Client, id: JobId) -> Job {
    let job: Job = reader.job(id).await.unwrap();
    assert_eq!(job.status, JobStatus::Built, "{id}: {:?}", job.reason);
    let attempts = reader.attempts(id).await.unwrap().attempts;
    let built = |outcome: &Option<String>| outcome.as_deref() == Some("built");
    let count = attempts.iter().filter(|a| built(&a.outcome)).count();
    assert_eq!(count, 1, "{id} was built so often");
    assert!(built(&attempts.last().unwrap().outcome), "{id}");
    let info = job.package.as_ref().unwrap();
    let mut package = std::io::Cursor::new(Vec::new());
    let whole = reader.download_package(&info.sha256, info.bytes, &mut package);
    whole.await.unwrap();
    let key = info.signer.parse().unwrap();
    let package = Package::open(&package.into_inner(), &[key]).unwrap();
    assert_eq!(package.manifest().update_id, job.update_id.to_string());
    let provenance = reader.provenance(&info.sha256).await.unwrap();
    let provenance = Provenance::open(&provenance, &[key]).unwrap();
    provenance.vouches_for(&package).unwrap();
    job
}

/// Each attempt's log is what its worker has said, from the beginning and in order;
/// of the one that built it, all of it.
async fn has_said_what_it_should(reader: &Client, job: &Job) {
    for attempt in 1..=job.attempt {
        let log = read_log(reader, job.id, attempt).await;
        let full: String = lines(job.id, attempt);
        let at = format!("{} {attempt}", job.id);
        assert!(full.as_bytes().starts_with(&log), "{at}");
        if attempt == job.attempt {
            assert_eq!(log.len(), full.len(), "{at}");
        }
    }
}

/// What `audit verify` finds wrong.
fn findings(data: &Path, environment: &[(&'static str, String)]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_resplice-server"))
        .args(["audit", "verify", "--data"])
        .arg(data)
        .envs(environment.iter().cloned())
        .output()
        .unwrap();
    if output.status.success() {
        return String::new();
    }
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether a call may be made again: no answer, or a server that is in trouble.
fn again(error: &Error) -> bool {
    error.is_transient()
}
