//! A million hosts that poll hourly, with a cache in front of the repository. What a
//! host asks for, and how long a cache may keep the answers, comes from the agent's own
//! client and a running server; only the day and the fleet are simulated.

use crate::support::{Service, TARGET};
use reqwest::{StatusCode, header};
use resplice_api::{Role, package_target};
use resplice_tuf::{Client, Fetch, FetchError, Store, client};
use std::collections::BTreeMap;
use tokio::runtime::Handle;

const HOURS: u64 = 24;
const HOUR: u64 = 3600;
/// A host asks the repository with every so many polls, and when there is news.
const POLLS_PER_REFRESH: u64 = 6;
/// When there is a release.
const RELEASE: u64 = 12 * HOUR;

/// A request of a host, as the server answered it.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    bytes: u64,
    keep_s: u64,
}

/// Fetches from the server and notes what that took.
struct Recorder {
    url: String,
    runtime: Handle,
    requests: Vec<Request>,
}

impl Recorder {
    fn get(&mut self, path: String) -> Result<Vec<u8>, FetchError> {
        let url = format!("{}/repo/{path}", self.url);
        let answer = self.runtime.block_on(async {
            let answer = reqwest::get(url).await.unwrap();
            let cache = answer.headers()[header::CACHE_CONTROL].to_str().unwrap();
            let (_, keep) = cache.split_once("max-age=").unwrap();
            let keep_s = keep.parse().unwrap();
            let status = answer.status();
            (status, keep_s, answer.bytes().await.unwrap())
        });
        let (status, keep_s, bytes) = answer;
        self.requests.push(Request {
            path,
            bytes: bytes.len() as u64,
            keep_s,
        });
        match status {
            StatusCode::OK => Ok(bytes.to_vec()),
            StatusCode::NOT_FOUND => Err(FetchError::Missing),
            other => panic!("{other}"),
        }
    }
}

impl Fetch for Recorder {
    fn metadata(&mut self, name: &str, _limit: u64) -> Result<Vec<u8>, FetchError> {
        self.get(format!("metadata/{name}"))
    }

    fn target(&mut self, path: &str, _limit: u64) -> Result<Vec<u8>, FetchError> {
        self.get(format!("targets/{path}"))
    }
}

/// What a host asks the repository for with nothing new, and to take a release.
struct Habits {
    idle: Vec<Request>,
    release: Vec<Request>,
}

async fn habits() -> Habits {
    let service = Service::start().await;
    let (_, enrolled) = service.enrol("web-1", TARGET).await;
    let (update, _) = service.built().await;
    let release = service.client(Role::Engineer);
    release.release(update.id, "").await.unwrap();
    let recorder = |url: &str| Recorder {
        url: url.to_owned(),
        runtime: Handle::current(),
        requests: Vec::new(),
    };
    let (new, old) = (recorder(&service.url), recorder(&service.url));
    let kept = tempfile::tempdir().unwrap();
    let name = package_target(update.id, TARGET);
    let ask = move || {
        let store = || Store::open(kept.path()).unwrap();
        client::begin(&store(), enrolled.root.as_bytes()).unwrap();
        let mut first = Client::new(store(), new);
        let trusted = first.refresh().unwrap();
        let target = trusted.target(&name).unwrap();
        first.download(&trusted, &target).unwrap();
        let mut second = Client::new(store(), old);
        second.refresh().unwrap();
        Habits {
            idle: second.fetch().requests.clone(),
            release: first.fetch().requests.clone(),
        }
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// Requests and bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Load {
    requests: u64,
    bytes: u64,
}

impl Load {
    fn add(&mut self, times: u64, bytes: u64) {
        self.requests += times;
        self.bytes += times * bytes;
    }
}

/// One day of a fleet: its polls, what it asks the cache, and what the cache asks the
/// server.
#[derive(Debug, Default)]
struct Day {
    polls: u64,
    cache: Load,
    server: Load,
    /// The most that the cache asked the server in a second.
    peak: u64,
}

/// Hosts are spread over the hour: so many poll in each second.
fn day(per_second: u64, habits: &Habits) -> Day {
    let mut day = Day::default();
    let mut kept: BTreeMap<&str, u64> = BTreeMap::new();
    for now in 0..HOURS * HOUR {
        let (hour, place) = (now / HOUR, now % HOUR);
        day.polls += per_second;
        let news = (RELEASE..RELEASE + HOUR).contains(&now);
        // A host's own turn to ask anyway comes in one hour of six.
        let turn = (place + hour).is_multiple_of(POLLS_PER_REFRESH);
        let asked: &[Request] = match (news, turn) {
            (true, _) => &habits.release,
            (false, true) => &habits.idle,
            (false, false) => &[],
        };
        let before = day.server.requests;
        for request in asked {
            day.cache.add(per_second, request.bytes);
            if kept
                .get(request.path.as_str())
                .is_none_or(|end| *end <= now)
            {
                kept.insert(&request.path, now + request.keep_s);
                day.server.add(1, request.bytes);
            }
        }
        day.peak = day.peak.max(day.server.requests - before);
    }
    day
}

#[tokio::test]
async fn a_cache_leaves_the_server_the_polls_of_a_million_hosts_and_little_else() {
    let habits = habits().await;
    let asks = |requests: &[Request]| -> Vec<String> {
        let kind = |request: &Request| {
            let name = request.path.rsplit('/').next().unwrap();
            match request.path.starts_with("targets/") {
                true => "package".to_owned(),
                false => name
                    .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                    .to_owned(),
            }
        };
        requests.iter().map(kind).collect()
    };
    // Nothing new is two requests: whether there is a new root, and the timestamp.
    assert_eq!(asks(&habits.idle), ["root.json", "timestamp.json"]);
    let all = [
        "root.json",
        "timestamp.json",
        "snapshot.json",
        "targets.json",
        "package",
    ];
    assert_eq!(asks(&habits.release), all);

    let million = day(1_000_000 / HOUR + 1, &habits);
    println!("a million hosts, a day, a release: {million:?}");
    assert!(million.polls > 24_000_000, "{million:?}");
    // Two short-lived answers every ten seconds, each other file once.
    let short = 2 * HOURS * HOUR / 10;
    let once = all.len() as u64 - 2;
    assert!(million.server.requests <= short + once, "{million:?}");
    assert!(million.peak <= all.len() as u64, "{million:?}");
    assert!(million.cache.requests > 8_000_000, "{million:?}");
    // What reaches the server does not grow with the fleet.
    let ten = day(10 * (1_000_000 / HOUR + 1), &habits);
    assert_eq!(ten.server, million.server);
    assert_eq!(ten.cache.requests, 10 * million.cache.requests);
}
