//! What a server bears: polls with nothing new beside nginx and a file, jobs that
//! workers claim, a log of a gibibyte.

use anyhow::{Context, Result, bail, ensure};
use resplice_api::client::Client;
use resplice_api::limits::{MAX_LOG_BYTES, MAX_LOG_CHUNK_BYTES};
use resplice_api::{LeaseRequest, NewUpdate, NewWorker, Token};
use resplice_package::SecretKey;
use resplice_target::Cache;
use resplice_tests::eval::measure::Measure;
use resplice_tests::eval::workshop::runtime;
use resplice_tests::programs::{program, run_ok};
use resplice_tests::repository;
use resplice_tests::service::{Resplice, Service};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Connections that are kept and used all the time.
const CONNECTIONS: usize = 32;
const POLLING: Duration = Duration::from_secs(10);
const START: Duration = Duration::from_secs(30);
/// Longer than everything here takes.
const LEASE_SECONDS: u64 = 3600;
const JOBS: usize = 400;
const WORKERS: usize = 4;

pub fn measure() -> Result<Vec<Measure>> {
    let server = Resplice::start_with(LEASE_SECONDS, &["--requests-per-second", "0"])?;
    let runtime = runtime()?;
    let mut measures = vec![polls(&server, &runtime)?, claims(&server, &runtime)?];
    measures.extend(log(&server, &runtime)?);
    Ok(measures)
}

fn client(server: &Resplice, role: &str) -> Result<Client> {
    let token = Token::from_file(&server.token(role))?;
    Ok(Client::new(&server.url(), Some(token))?)
}

// --- Polls ---------------------------------------------------------------

fn polls(server: &Resplice, runtime: &tokio::runtime::Runtime) -> Result<Measure> {
    let work = tempfile::tempdir()?;
    let state = work.path().join("state");
    let target = "debian:bench";
    run_ok(
        Command::new(program("resplice")?)
            .args(["--quiet", "enroll", "--name", "bench", "--target", target])
            .args(["--worker-key", &"11".repeat(32)])
            .args(["--server", &server.url(), "--token-file"])
            .arg(server.token("enrol"))
            .arg("--state")
            .arg(&state),
    )?;
    let hosts = runtime.block_on(client(server, "team")?.hosts())?;
    let host = hosts.first().context("the host is not enrolled")?.id;
    let token = fs::read_to_string(state.join("token"))?;
    let path = format!("/api/v1/hosts/{host}/plan");
    let bearer = format!("Authorization: Bearer {}\r\n", token.trim());
    let ours = unchanged(server.port, &path, &bearer)?;

    let nginx = Nginx::start(work.path())?;
    let file = unchanged(nginx.port, "/plan.json", "")?;
    // In turns, so that neither has the machine at another time than the other.
    let (mut served, mut static_file) = (0.0, 0.0);
    for _ in 0..2 {
        static_file += rate(nginx.port, &file)? / 2.0;
        served += rate(server.port, &ours)? / 2.0;
    }
    let note = "polls with nothing new answered a second / nginx and a file that is \
                unchanged, 32 connections each; aim: over 0.5";
    Ok(Measure::alone("server: polls", served, "1/s", note).against(static_file))
}

/// A request whose answer is 304: asked once without, for the ETag.
fn unchanged(port: u16, path: &str, headers: &str) -> Result<Vec<u8>> {
    let request = |more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{more}\r\n").into_bytes()
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(&request("Connection: close\r\n"))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let etag = answer
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("etag").then_some(value));
    let etag = etag.with_context(|| format!("no ETag in {answer}"))?;
    Ok(request(&format!("If-None-Match: {etag}\r\n")))
}

/// How often a second a request is answered with 304.
fn rate(port: u16, request: &[u8]) -> Result<f64> {
    let end = Instant::now() + POLLING;
    let counts = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(move || ask(port, request, end)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|count| count.unwrap_or_else(|_| bail!("a connection panicked")))
            .collect::<Result<Vec<u64>>>()
    })?;
    Ok(counts.iter().sum::<u64>() as f64 / POLLING.as_secs_f64())
}

fn ask(port: u16, request: &[u8], end: Instant) -> Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    let mut count = 0;
    while Instant::now() < end {
        stream.write_all(request)?;
        let mut length = 0;
        while !buffer[..length].ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer[length..])?;
            ensure!(read > 0, "the server has closed the connection");
            length += read;
        }
        ensure!(
            buffer.starts_with(b"HTTP/1.1 304"),
            "{}",
            String::from_utf8_lossy(&buffer[..length])
        );
        count += 1;
    }
    Ok(count)
}

/// nginx on the loopback, with one file.
struct Nginx {
    port: u16,
    _service: Service,
}

impl Nginx {
    fn start(work: &Path) -> Result<Self> {
        let nginx = Cache::from_env().root().join("tools/nginx/usr/sbin/nginx");
        ensure!(
            nginx.exists(),
            "nginx is not there: run `deploy/setup --bench`"
        );
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let root = work.join("nginx");
        fs::create_dir(&root)?;
        fs::write(root.join("plan.json"), "{\"updates\":[]}\n")?;
        let root = root.display();
        let config = format!(
            "daemon off; worker_processes auto; pid {root}/pid; error_log {root}/errors;\n\
             events {{}}\n\
             http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {root}/b;\n\
             proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u;\n\
             scgi_temp_path {root}/s; server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
        );
        fs::write(work.join("nginx.conf"), config)?;
        let mut command = Command::new(nginx);
        command.arg("-c").arg(work.join("nginx.conf"));
        let mut service = Service::start("nginx", &mut command, work.join("nginx.log"))?;
        service.wait_for("its port", START, |_| {
            Ok(TcpStream::connect(("127.0.0.1", port)).ok())
        })?;
        Ok(Self {
            port,
            _service: service,
        })
    }
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

fn claims(server: &Resplice, runtime: &tokio::runtime::Runtime) -> Result<Measure> {
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
    let note = "jobs that four workers claim from SQLite a second, each audited";
    Ok(Measure::alone(
        "server: claims",
        JOBS as f64 / seconds,
        "1/s",
        note,
    ))
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
