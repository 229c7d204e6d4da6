//! Real builds among the others: workers as processes, which compile a kernel's unit,
//! try the update in QEMU, and are killed.

use super::{Dice, read_log, servers::Servers};
use crate::support::{Kept, OTHER_TARGET, TARGET, new_update};
use resplice_api::{Job, JobId, client::Client};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const WORKERS: usize = 2;
/// What they build.
const PATCH: &str = include_str!("../../../../tests/patches/fs-loadavg.patch");
/// The last line of a build's log.
const DONE: &str = "done: the package is on the server\n";

pub struct Builds {
    pub jobs: Vec<JobId>,
    workers: Vec<(Command, Child)>,
}

impl Builds {
    /// Uploads the patch so many times for a kernel that was imported, and starts
    /// workers: one for each server, at least.
    pub async fn start(kept: &Kept, count: usize, team: &[Client], servers: &Servers) -> Self {
        if count == 0 {
            let (jobs, workers) = (Vec::new(), Vec::new());
            return Self { jobs, workers };
        }
        let targets = team[0].targets().await.unwrap().targets;
        let real = targets
            .iter()
            .map(|target| target.id.as_str())
            .find(|id| id.ends_with("-cloud-amd64") && ![TARGET, OTHER_TARGET].contains(id))
            .expect("real builds need a kernel of their own: resplice-server target import");
        let mut update = new_update(&[real]);
        update.patch = PATCH.to_owned();
        let mut jobs = Vec::new();
        for number in 0..count {
            let uploaded = team[number % team.len()].upload(&update).await.unwrap();
            jobs.extend(uploaded.jobs.iter().map(|job| job.id));
        }
        let urls = servers.urls();
        let cache = cache_with(kept, real);
        let start = |number: usize| {
            let mut command = worker(kept, number, &urls[number % urls.len()]);
            command.arg("--cache").arg(&cache);
            let child = command.spawn().unwrap();
            (command, child)
        };
        let workers = (0..WORKERS).map(start).collect();
        Self { jobs, workers }
    }

    /// Kills one with SIGKILL and starts it again.
    pub fn kill_one(&mut self, dice: &mut Dice) {
        let chosen = dice.below(self.workers.len());
        let (command, child) = &mut self.workers[chosen];
        child.kill().unwrap();
        child.wait().unwrap();
        *child = command.spawn().unwrap();
    }

    /// The log of the attempt that built it is there from its first line to its last.
    pub async fn examine(&self, reader: &Client, job: &Job) {
        let log = read_log(reader, job.id, job.attempt).await;
        let log = String::from_utf8(log).unwrap();
        assert!(log.starts_with("worker real"), "{}: {log}", job.id);
        assert!(log.ends_with(DONE), "{}: {log}", job.id);
        let steps: Vec<&str> = log
            .lines()
            .filter_map(|line| line.split_once("==>"))
            .map(|(_, step)| step)
            .collect();
        let order = ["patch", "post", "diff", "module", "match", "verify", "sign"];
        let mut left = steps.iter();
        for step in order {
            let found = left.any(|line| line.contains(step));
            assert!(found, "{}: no step {step} in its place:\n{log}", job.id);
        }
    }
}

impl Drop for Builds {
    fn drop(&mut self) {
        for (_, child) in &mut self.workers {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The worker's program lies beside the server's.
fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_resplice-server")).with_file_name("resplice-worker")
}

/// The machine's cache with one kernel alone: of the others, jobs are for the workers
/// that build nothing.
fn cache_with(kept: &Kept, target: &str) -> PathBuf {
    let theirs = resplice_target::Cache::from_env().root().to_owned();
    let cache = kept.dir.path().join("cache");
    fs::create_dir_all(cache.join("targets")).unwrap();
    for entry in theirs.read_dir().unwrap() {
        let name = entry.unwrap().file_name();
        if name != "targets" {
            symlink(theirs.join(&name), cache.join(&name)).unwrap();
        }
    }
    let name = target.strip_prefix("debian:").unwrap();
    let of_target = Path::new("targets").join(name);
    symlink(theirs.join(&of_target), cache.join(&of_target)).unwrap();
    cache
}

fn worker(kept: &Kept, number: usize, server: &str) -> Command {
    let name = format!("real{number}");
    let key = kept.dir.path().join(format!("{name}.pem"));
    let made = Command::new(program()).arg("keygen").arg(&key).output();
    let made = made.expect("run resplice-worker: build it with `cargo build --workspace --bins`");
    assert!(made.status.success(), "{made:?}");
    let log = kept.dir.path().join(format!("{name}.log"));
    let log = File::create(log).unwrap();
    let mut command = Command::new(program());
    command
        .args(["run", "--server", server, "--name", &name, "--token-file"])
        .arg(kept.data().join("tokens/worker.token"))
        .arg("--server-key")
        .arg(kept.data().join("jobs/key.pub"))
        .arg("--key")
        .arg(key)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command
}
