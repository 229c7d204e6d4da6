//! What a server bears: jobs that workers claim, on both databases, and a log of a
//! gibibyte.

use crate::scale;
use anyhow::{Context, Result, ensure};
use resplice_api::client::Client;
use resplice_api::limits::{MAX_LOG_BYTES, MAX_LOG_CHUNK_BYTES};
use resplice_api::{LeaseRequest, NewUpdate, NewWorker, Token};
use resplice_package::SecretKey;
use resplice_postgres::{Database, Kind};
use resplice_tests::eval::measure::Measure;
use resplice_tests::eval::workshop::runtime;
use resplice_tests::repository;
use resplice_tests::service::Resplice;
use std::fs;
use std::time::Instant;

/// Longer than everything here takes.
const LEASE_SECONDS: u64 = 3600;
const JOBS: usize = 400;
const WORKERS: usize = 4;

pub fn measure() -> Result<Vec<Measure>> {
    let runtime = runtime()?;
    let mut measures = scale::measure(&runtime)?;
    let unlimited = ["--requests-per-second", "0"];
    let server = Resplice::start_with(LEASE_SECONDS, &unlimited)?;
    measures.push(claims(&server, &runtime, "SQLite")?);
    measures.extend(log(&server, &runtime)?);
    drop(server);
    let database = runtime.block_on(Database::create(Kind::Durable));
    let url = database.url();
    let server = Resplice::start_on(Some(&url), LEASE_SECONDS, &unlimited)?;
    measures.push(claims(&server, &runtime, "PostgreSQL")?);
    Ok(measures)
}

fn client(server: &Resplice, role: &str) -> Result<Client> {
    let token = Token::from_file(&server.token(role))?;
    Ok(Client::new(&server.url(), Some(token))?)
}

// --- Jobs and logs -------------------------------------------------------

fn upload(patch: &str, target: &str, number: usize) -> NewUpdate {
    NewUpdate {
        name: format!("bench {number}"),
        patch: patch.to_owned(),
        targets: vec![target.to_owned()],
        cves: Vec::new(),
        supersedes: Vec::new(),
        notes: String::new(),
        check: None,
    }
}

/// Queues jobs; answers a client that has workers registered under these names.
async fn queue(server: &Resplice, jobs: usize, workers: &[String]) -> Result<Client> {
    let patch = fs::read_to_string(repository("tests/patches/fs-loadavg.patch"))?;
    let team = client(server, "team")?;
    let targets = team.targets().await?.targets;
    let target = &targets.first().context("no kernel was imported")?.id;
    for number in 0..jobs {
        team.upload(&upload(&patch, target, number)).await?;
    }
    let worker = client(server, "worker")?;
    for name in workers {
        let new = NewWorker {
            name: name.clone(),
            public_key: SecretKey::generate()?.public().to_string(),
        };
        worker.register_worker(&new).await?;
    }
    Ok(worker)
}

fn claims(server: &Resplice, runtime: &tokio::runtime::Runtime, database: &str) -> Result<Measure> {
    let names: Vec<String> = (0..WORKERS)
        .map(|number| format!("claimer-{number}"))
        .collect();
    let seconds = runtime.block_on(async {
        let client = queue(server, JOBS, &names).await?;
        let start = Instant::now();
        let tasks: Vec<_> = names
            .into_iter()
            .map(|worker| {
                let client = client.clone();
                let request = LeaseRequest {
                    worker,
                    targets: Vec::new(),
                };
                tokio::spawn(async move {
                    let mut claimed = 0;
                    while client.lease(&request).await?.is_some() {
                        claimed += 1;
                    }
                    anyhow::Ok(claimed)
                })
            })
            .collect();
        let mut claimed = 0;
        for task in tasks {
            claimed += task.await??;
        }
        let seconds = start.elapsed().as_secs_f64();
        ensure!(claimed == JOBS, "{claimed} of {JOBS} jobs were claimed");
        anyhow::Ok(seconds)
    })?;
    let note = "jobs that four workers claim a second, each audited";
    let name = format!("server: claims, {database}");
    Ok(Measure::alone(&name, JOBS as f64 / seconds, "1/s", note))
}

fn log(server: &Resplice, runtime: &tokio::runtime::Runtime) -> Result<[Measure; 3]> {
    let line = "  CC [M]  drivers/net/ethernet/vendor/device/unit.o -O2 -fdata-sections\n";
    let piece = line.repeat(MAX_LOG_CHUNK_BYTES / line.len());
    let names = ["logger".to_owned()];
    let before = server.memory_mb("VmRSS")?;
    let (write, read, bytes) = runtime.block_on(async {
        let worker = queue(server, 1, &names).await?;
        let request = LeaseRequest {
            worker: "logger".to_owned(),
            targets: Vec::new(),
        };
        let lease = worker.lease(&request).await?.context("no job is queued")?;
        let (job, attempt) = (lease.job, lease.attempt);
        let start = Instant::now();
        let mut end = 0;
        while end + piece.len() as u64 <= MAX_LOG_BYTES {
            end = worker
                .append_log(job, attempt, end, piece.as_bytes())
                .await?;
        }
        let write = start.elapsed().as_secs_f64();
        let team = client(server, "team")?;
        let start = Instant::now();
        let mut read = 0;
        while read < end {
            let got = team.log(job, Some(attempt), read, false).await?.bytes.len();
            ensure!(got > 0, "the log ends at {read} of {end}");
            read += got as u64;
        }
        anyhow::Ok((write, start.elapsed().as_secs_f64(), end))
    })?;
    let mb = bytes as f64 / 1e6;
    let peak = server.memory_mb("VmHWM")?;
    let memory = "the server's VmHWM after a log of 1 GiB was written and read / VmRSS before";
    Ok([
        Measure::alone(
            "server: log, written",
            mb / write,
            "MB/s",
            "1 GiB in pieces of 1 MiB",
        ),
        Measure::alone(
            "server: log, read",
            mb / read,
            "MB/s",
            "the same, from its beginning",
        ),
        Measure::alone("server: log, memory", peak, "MB", memory).against(before),
    ])
}
