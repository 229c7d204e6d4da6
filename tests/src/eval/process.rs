//! The worker as a process of its own, so that nothing it may do ends the
//! evaluation: it has a time limit and a memory limit, and dies with its parent.

use anyhow::{Context, Result};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a running worker is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// Of its words, so much is kept.
const MAX_WORDS_BYTES: u64 = 64 << 20;

/// A worker's program and what one run of it may take.
pub struct Worker {
    /// The program.
    pub program: PathBuf,
    /// Wall clock of a run.
    pub limit: Duration,
    /// Address space of each of its processes, in bytes.
    pub memory_bytes: u64,
}

/// How a run ended.
pub struct Ended {
    /// The exit code; nothing if a signal or the time limit ended it.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: Vec<u8>,
    /// How it ended, in words, with the last line of its stderr.
    pub words: String,
    /// By the wall clock.
    pub seconds: f64,
}

impl Worker {
    /// Runs it to its end or to its limit.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn run(&self, arguments: impl FnOnce(&mut Command)) -> Result<Ended> {
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--as={}", self.memory_bytes))
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg(&self.program);
        arguments(&mut command);
        let clock = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {}", self.program.display()))?;
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let status = self.wait(&mut child, clock)?;
        let stdout = stdout.join().unwrap_or_default();
        let stderr = stderr.join().unwrap_or_default();
        Ok(Ended {
            code: status.and_then(|status| status.code()),
            stdout,
            words: self.words(status, &stderr),
            seconds: clock.elapsed().as_secs_f64(),
        })
    }

    /// Nothing if it had to be killed. What it started dies with it.
    fn wait(&self, child: &mut Child, clock: Instant) -> Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = child.try_wait().context("wait for the worker")? {
                return Ok(Some(status));
            }
            if clock.elapsed() >= self.limit {
                child.kill().context("stop the worker")?;
                child.wait().context("wait for the worker")?;
                return Ok(None);
            }
            thread::sleep(PAUSE);
        }
    }

    fn words(&self, status: Option<ExitStatus>, stderr: &[u8]) -> String {
        let stderr = String::from_utf8_lossy(stderr);
        let last = stderr.lines().rfind(|line| !line.trim().is_empty());
        let last = last.map_or(String::new(), |line| format!(": {line}"));
        match status {
            None => format!(
                "time limit: the worker took more than {} s",
                self.limit.as_secs()
            ),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("the worker ended with exit code {code}{last}"),
                (None, Some(signal)) => format!("the worker was killed by signal {signal}{last}"),
                _ => format!("the worker ended{last}"),
            },
        }
    }
}

fn collect(source: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut source) = source {
            // A broken pipe ends the words; how the process ended is told by its status.
            let _ = source
                .by_ref()
                .take(MAX_WORDS_BYTES)
                .read_to_end(&mut bytes);
            let _ = std::io::copy(&mut source, &mut std::io::sink());
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        let worker = Worker {
            program: "/bin/sh".into(),
            limit,
            memory_bytes: 1 << 30,
        };
        worker
            .run(|command| {
                command.args(["-c", script]);
            })
            .unwrap()
    }

    #[test]
    fn a_worker_that_hangs_or_crashes_is_an_answer() {
        let long = Duration::from_secs(60);
        let ended = shell("echo out; echo last >&2; exit 3", long);
        assert_eq!(
            (ended.code, ended.stdout.as_slice()),
            (Some(3), &b"out\n"[..])
        );
        assert!(
            ended.words.ends_with("exit code 3: last"),
            "{}",
            ended.words
        );
        let ended = shell("kill -SEGV $$", long);
        assert_eq!(ended.code, None);
        assert!(ended.words.contains("signal 11"), "{}", ended.words);
        let ended = shell("exec sleep 60", Duration::from_millis(200));
        assert_eq!(ended.code, None);
        assert!(ended.words.contains("time limit"), "{}", ended.words);
    }

    #[test]
    fn a_worker_s_memory_has_a_limit() {
        let ended = shell(
            "head -c 3000000000 /dev/zero | tail | wc -c",
            Duration::from_secs(60),
        );
        assert_ne!(ended.stdout, b"3000000000\n");
    }
}
