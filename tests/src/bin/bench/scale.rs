//! A server with many hosts and updates, on both databases: polls with nothing new
//! beside nginx and a file, and pages of lists.

use crate::crowd::{self, Connected, HOSTS, UPDATES};
use crate::http::{Connection, get, unchanged_once, unchanged_per_second};
use crate::nginx::Nginx;
use anyhow::{Context, Result, bail, ensure};
use resplice_api::Token;
use resplice_postgres::{Database, Kind};
use resplice_tests::eval::measure::Measure;
use resplice_tests::service::Resplice;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Connections that are kept and used all the time: as of a fleet; and of few.
const MOST_CONNECTIONS: usize = 256;
const FEW_CONNECTIONS: usize = 32;
/// Pages of each list, at places all over it.
const PAGES: usize = 200;
/// What the server does by itself comes first: it looks at the archive once it has run for
/// a minute, and takes what it finds in its database into its log, which must then rest.
const SETTLING: Duration = Duration::from_secs(75);
const RESTING: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(300);

pub fn measure(runtime: &Runtime) -> Result<Vec<Measure>> {
    let mut measures = of(runtime, "SQLite", None)?;
    let database = runtime.block_on(Database::create(Kind::Durable));
    measures.extend(of(runtime, "PostgreSQL", Some(&database.url()))?);
    Ok(measures)
}

fn of(runtime: &Runtime, name: &str, url: Option<&str>) -> Result<Vec<Measure>> {
    let began = Instant::now();
    let server = Resplice::start_on(url, 60, &["--requests-per-second", "0"])?;
    runtime.block_on(async {
        let mut db = match url {
            Some(url) => Connected::to_postgres(url).await?,
            None => Connected::to_sqlite(&server.data().join("resplice.db")).await?,
        };
        crowd::fill(&mut db).await
    })?;
    settle(&server, began)?;
    let mut measures = polls(&server, name)?;
    measures.extend(pages(&server, name)?);
    Ok(measures)
}

fn settle(server: &Resplice, began: Instant) -> Result<()> {
    std::thread::sleep(SETTLING.saturating_sub(began.elapsed()));
    let checkpoint = get("/api/v1/log/checkpoint", &crowd::host(0).token, "");
    let mut before = Vec::new();
    while began.elapsed() < PATIENCE {
        let mut connection = Connection::open(server.port)?;
        let answer = connection.ask(&checkpoint)?;
        ensure!(answer.status() == "200", "{}", answer.head);
        if answer.body == before {
            return Ok(());
        }
        before = answer.body.to_vec();
        std::thread::sleep(RESTING);
    }
    bail!("the server's log still grows after {PATIENCE:?}")
}

fn polls(server: &Resplice, name: &str) -> Result<Vec<Measure>> {
    let requests = poll_requests(server)?;
    let nginx = Nginx::start()?;
    let file = file_request(&nginx)?;
    let first = unchanged_once(server.port, &shared_out(&requests, MOST_CONNECTIONS))?;
    let mut measures = Vec::new();
    for connections in [MOST_CONNECTIONS, FEW_CONNECTIONS] {
        let file = vec![vec![file.clone()]; connections];
        let own = shared_out(&requests, connections);
        // In turns, so that neither has the machine at another time than the other.
        let (mut served, mut static_file) = (0.0, 0.0);
        for _ in 0..2 {
            static_file += unchanged_per_second(nginx.port, &file)? / 2.0;
            served += unchanged_per_second(server.port, &own)? / 2.0;
        }
        let polls = |what: &str, more: &str, value| {
            let note = format!(
                "{what} of 100,000 hosts with nothing new answered a second / nginx and a file \
                 that is unchanged, {connections} connections each{more}"
            );
            let name = format!("server: {what} on {connections} connections, {name}");
            Measure::alone(&name, value, "1/s", &note).against(static_file)
        };
        measures.push(polls("polls", "; aim: over 0.5", served));
        if connections == MOST_CONNECTIONS {
            measures.push(polls("first polls", " (since the server started)", first));
        }
    }
    Ok(measures)
}

/// A poll of each host, which knows already what it is told.
fn poll_requests(server: &Resplice) -> Result<Vec<Vec<u8>>> {
    let mut connection = Connection::open(server.port)?;
    let mut known = std::collections::HashMap::new();
    let mut requests = Vec::new();
    for number in 0..HOSTS {
        let host = crowd::host(number);
        let path = format!("/api/v1/hosts/{}/plan", host.id);
        // All hosts of a kernel have the same plan here.
        let etag = match known.get(&(number % crowd::TARGETS)) {
            Some(etag) => etag,
            None => {
                let answer = connection.ask(&get(&path, &host.token, ""))?;
                ensure!(answer.status() == "200", "{}", answer.head);
                let etag = answer
                    .header("etag")
                    .context("a plan has no ETag")?
                    .to_owned();
                known.entry(number % crowd::TARGETS).or_insert(etag)
            }
        };
        let condition = format!("If-None-Match: {etag}\r\n");
        requests.push(get(&path, &host.token, &condition));
    }
    Ok(requests)
}

/// Requests by connection.
fn shared_out(requests: &[Vec<u8>], connections: usize) -> Vec<Vec<Vec<u8>>> {
    let of = |first| requests.iter().skip(first).step_by(connections);
    let each = (0..connections).map(|first| of(first).cloned().collect());
    each.collect()
}

fn file_request(nginx: &Nginx) -> Result<Vec<u8>> {
    let mut connection = Connection::open(nginx.port)?;
    let answer = connection.ask(&get("/plan.json", "", ""))?;
    let etag = answer.header("etag").context("nginx sends no ETag")?;
    Ok(get("/plan.json", "", &format!("If-None-Match: {etag}\r\n")))
}

/// Lists, and where their pages begin; `{}` is a place in them.
const LISTS: [(&str, &str, u8, usize); 7] = [
    ("hosts", "/hosts?after={}", 1, HOSTS),
    (
        "hosts of a kernel",
        "/hosts?target=debian:6.1.0-7-amd64&after={}",
        1,
        HOSTS,
    ),
    (
        "hosts by a part of the name",
        "/hosts?q=99&after={}",
        1,
        HOSTS,
    ),
    ("updates", "/updates?before={}", 2, UPDATES),
    ("jobs", "/jobs?before={}", 3, UPDATES),
    ("audit", "/audit?before={}", 4, crowd::AUDITED),
    (
        "audit of a person",
        "/audit?actor=person-7&before={}",
        4,
        crowd::AUDITED,
    ),
];

fn pages(server: &Resplice, name: &str) -> Result<Vec<Measure>> {
    let token = Token::from_file(&server.token("engineer"))?;
    let mut connection = Connection::open(server.port)?;
    let mut measures = Vec::new();
    for (list, path, kind, rows) in LISTS {
        let mut times = Vec::new();
        for page in 0..PAGES {
            let place = crowd::id(kind, page * (rows / PAGES));
            let path = format!("/api/v1{}", path.replace("{}", &place));
            let request = get(&path, token.secret(), "");
            let began = Instant::now();
            let answer = connection.ask(&request)?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            ensure!(answer.status() == "200", "{path}: {}", answer.head);
            ensure!(!answer.body.is_empty(), "{path} is empty");
        }
        times.sort_by(f64::total_cmp);
        let p99 = times[PAGES * 99 / 100 - 1];
        let note = format!(
            "99th percentile of {PAGES} pages of 50; 100,000 hosts and entries, 10,000 updates; \
             against: the median; aim: under 50 ms"
        );
        let name = format!("server: page of {list}, {name}");
        measures.push(Measure::alone(&name, p99, "ms", &note).against(times[PAGES / 2]));
    }
    Ok(measures)
}
