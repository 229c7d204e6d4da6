//! The agent's own costs: its size, its memory, and what a poll with nothing new
//! takes in bytes and CPU time, against a server on this machine.

use anyhow::{Context, Result, ensure};
use resplice_tests::eval::measure::Measure;
use resplice_tests::programs::{program, run_ok};
use resplice_tests::service::Resplice;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Polls that are measured, after one that is not.
const POLLS: u64 = 20;
/// The daemon's shortest interval is a second.
const PATIENCE: Duration = Duration::from_secs(120);
const LEASE_SECONDS: u64 = 60;
/// Milliseconds of a clock tick in `/proc/*/stat`: fixed on x86.
const TICK_MS: u64 = 10;

/// Counts what goes through it, both ways: the payload of TCP.
struct Proxy {
    port: u16,
    bytes: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Proxy {
    fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let bytes = Arc::new(AtomicU64::new(0));
        let connections = Arc::new(AtomicU64::new(0));
        let (sum, count) = (bytes.clone(), connections.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                count.fetch_add(1, Ordering::Relaxed);
                for (from, to) in [(&stream, &server), (&server, &stream)] {
                    if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                        let sum = sum.clone();
                        thread::spawn(move || forward(from, to, &sum));
                    }
                }
            }
        });
        Ok(Self {
            port,
            bytes,
            connections,
        })
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, sum: &AtomicU64) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        sum.fetch_add(count as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may have gone already.
    let _ = to.shutdown(Shutdown::Write);
}

pub fn measure() -> Result<Vec<Measure>> {
    let agent = program("resplice")?;
    let size = std::fs::metadata(&agent)?.len() as f64 / 1e6;
    let resplice = Resplice::start(LEASE_SECONDS)?;
    let proxy = Proxy::start(resplice.port)?;
    let work = tempfile::tempdir()?;
    let state = work.path().join("state");
    run_ok(
        Command::new(&agent)
            .args([
                "--quiet",
                "enroll",
                "--name",
                "bench",
                "--target",
                "debian:bench",
            ])
            .args([
                "--worker-key",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            ])
            .args(["--server", &format!("http://127.0.0.1:{}", proxy.port)])
            .arg("--token-file")
            .arg(resplice.token("enrol"))
            .arg("--state")
            .arg(&state),
    )?;
    // The first poll asks for everything: it is not what the others cost.
    run_ok(daemon(&agent, &state).args(["--polls", "1"]))?;
    let mut child = daemon(&agent, &state)
        .args(["--interval", "1"])
        .stdout(Stdio::null())
        .spawn()
        .context("start the daemon")?;
    let measured = polls(&proxy, &child);
    child.kill()?;
    child.wait()?;
    let (bytes, cpu_ms, resident) = measured?;
    let per_poll = bytes as f64 / POLLS as f64;
    let cpu = cpu_ms as f64 / POLLS as f64;
    Ok(vec![
        Measure::alone(
            "agent: size",
            size,
            "MB",
            "the release binary, stripped; aim: 12",
        )
        .against(12.0),
        Measure::alone(
            "agent: resident",
            resident,
            "MB",
            "VmRSS of the daemon between polls; aim: 15",
        )
        .against(15.0),
        Measure::alone(
            "agent: poll",
            per_poll,
            "bytes",
            "request and answer with nothing new, TCP payload, plain HTTP; aim: 1000",
        )
        .against(1000.0),
        Measure::alone(
            "agent: CPU",
            cpu,
            "s",
            "user and system time of 1,000 such polls",
        ),
    ])
}

fn daemon(agent: &Path, state: &Path) -> Command {
    let mut command = Command::new(agent);
    command.args(["--quiet", "daemon", "--state"]).arg(state);
    command
}

/// Bytes and milliseconds of CPU time of the polls after the first, and MB of
/// memory after them.
fn polls(proxy: &Proxy, child: &Child) -> Result<(u64, u64, f64)> {
    let at = |poll: u64| -> Result<(u64, u64)> {
        Ok((proxy.bytes.load(Ordering::Relaxed), cpu_ms(child, poll)?))
    };
    let start = settle(proxy, 0)?;
    let before = at(start)?;
    let mut now = start;
    for _ in 0..POLLS {
        now = settle(proxy, now)?;
    }
    let after = at(now)?;
    Ok((after.0 - before.0, after.1 - before.1, resident_mb(child)?))
}

/// Waits until a poll has begun after `seen` connections, and has ended: nothing
/// goes through for a while. How many connections there were then.
fn settle(proxy: &Proxy, seen: u64) -> Result<u64> {
    let end = Instant::now() + PATIENCE;
    let mut last = (proxy.connections.load(Ordering::Relaxed), 0);
    loop {
        thread::sleep(Duration::from_millis(200));
        let now = (
            proxy.connections.load(Ordering::Relaxed),
            proxy.bytes.load(Ordering::Relaxed),
        );
        if now.0 > seen && now == last {
            return Ok(now.0);
        }
        last = now;
        ensure!(Instant::now() < end, "the daemon does not poll");
    }
}

fn cpu_ms(child: &Child, poll: u64) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))
        .with_context(|| format!("the daemon has ended at poll {poll}"))?;
    let after_name = stat.rsplit_once(')').context("no name in stat")?.1;
    let field = |number: usize| -> Result<u64> {
        let text = after_name.split_whitespace().nth(number);
        Ok(text.context("stat is short")?.parse()?)
    };
    Ok((field(11)? + field(12)?) * TICK_MS)
}

fn resident_mb(child: &Child) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .context("there is no VmRSS")?;
    Ok(kib * 1024.0 / 1e6)
}
