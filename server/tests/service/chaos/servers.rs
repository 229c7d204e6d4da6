//! Servers that are killed and come back at the same address.

use super::Dice;
use crate::support::Kept;
use resplice_api::{Token, client::Client};
use sea_orm::sqlx::{Connection, Executor, PgConnection};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// A library that gives a program another clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

pub struct Servers {
    kept: std::sync::Arc<Kept>,
    all: Vec<Running>,
}

impl Servers {
    pub fn start(kept: &std::sync::Arc<Kept>, count: usize, dice: &mut Dice) -> Self {
        let start = |_| Running::start(kept, skew(kept, dice));
        Self {
            all: (0..count).map(start).collect(),
            kept: kept.clone(),
        }
    }

    /// Where each is, for as long as the test runs.
    pub fn urls(&self) -> Vec<String> {
        let url = |running: &Running| format!("http://{}", running.address);
        self.all.iter().map(url).collect()
    }

    /// A client for each.
    pub fn clients(&self, token: &Token) -> Vec<Client> {
        let client = |url: String| Client::new(&url, Some(token.clone())).unwrap();
        self.urls().into_iter().map(client).collect()
    }

    /// Kills one with SIGKILL and starts it again.
    pub fn kill_one(&mut self, dice: &mut Dice) {
        let chosen = dice.below(self.all.len());
        let Running { address, child } = &mut self.all[chosen];
        child.kill().unwrap();
        child.wait().unwrap();
        let skew = skew(&self.kept, dice);
        *child = start(&self.kept, address, skew).1;
    }

    /// Cuts about half of the servers' connections to their database.
    pub async fn cut(&mut self, dice: &mut Dice) {
        let url = self.kept.database_url().unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let odd = dice.below(2);
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid % 2 = {odd}"
        );
        let sql = sea_orm::sqlx::AssertSqlSafe(sql);
        connection.execute(sql).await.unwrap();
    }
}

/// By how many seconds a server's clock is wrong. On PostgreSQL nothing may come of
/// it; more than a quarter of an hour and the bucket would refuse the server. On
/// SQLite it is the clock of all leases, and must not jump by many of them.
fn skew(kept: &Kept, dice: &mut Dice) -> i64 {
    let most = match kept.database_url() {
        Some(_) => 800,
        None => 2,
    };
    i64::try_from(dice.below(2 * most + 1)).unwrap() - i64::try_from(most).unwrap()
}

/// A server of its own process, killed when this is dropped.
pub struct Running {
    pub address: String,
    child: Child,
}

impl Running {
    /// Starts one whose clock is wrong by so many seconds.
    pub fn start(kept: &Kept, skew: i64) -> Self {
        let (address, child) = start(kept, "127.0.0.1:0", skew);
        Self { address, child }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server; if its connection to the database is cut meanwhile, again.
fn start(kept: &Kept, listen: &str, skew: i64) -> (String, Child) {
    // A library that is not there is passed over, and all clocks would be right.
    assert!(
        std::path::Path::new(FAKETIME).exists(),
        "{FAKETIME} is missing"
    );
    for _ in 0..20 {
        let log = kept.dir.path().join("servers.log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_resplice-server"))
            .envs(kept.environment())
            .env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME", format!("{skew:+}s"))
            // Timers go on as they are.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .args(["serve", "--lease-seconds=5", "--max-losses=20"])
            .args([
                "--pause-seconds=0",
                "--requests-per-second=0",
                "--listen",
                listen,
                "--data",
            ])
            .arg(kept.data())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        if let Some(address) = line.trim().strip_prefix("listening on http://") {
            return (address.to_owned(), child);
        }
        child.wait().unwrap();
    }
    let log = std::fs::read_to_string(kept.dir.path().join("servers.log"));
    panic!("no server comes up: {}", log.unwrap_or_default());
}
