//! A server and workers as processes of this machine, for one test.

use crate::programs::{program, run_ok, stdout};
use crate::repository;
use anyhow::{Context, Result, bail, ensure};
use resplice_api::{JobStatus, Rollout, Update};
use resplice_target::{Cache, Target};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(100);
/// For a program to come up.
const START: Duration = Duration::from_secs(60);
/// For a build on a machine that has other things to do, too.
pub const BUILD: Duration = Duration::from_secs(300);

/// A program that runs until this value is dropped.
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command` with its output in `log`.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self> {
        let out = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// What it has said so far.
    pub fn said(&self) -> Result<String> {
        std::fs::read_to_string(&self.log).with_context(|| format!("read {}", self.log.display()))
    }

    /// Fails if it has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}:\n{}", self.name, self.said()?);
        }
        Ok(())
    }

    /// Waits until `ready` finds what it looks for; fails once the program has ended.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        loop {
            if let Some(found) = ready(self)? {
                return Ok(found);
            }
            self.check()?;
            if Instant::now() > end {
                bail!(
                    "{}: {what} not within {limit:?}:\n{}",
                    self.name,
                    self.said()?
                );
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// A field of its `/proc/PID/status` that is a size, in MB.
    pub fn memory_mb(&self, field: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .and_then(|size| size.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("{} has no {field}", self.name))?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        run_ok(Command::new("kill").args([&format!("-{signal}"), pid.as_str()]))?;
        Ok(())
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Service {
    /// SIGTERM twice, for which a worker drops its job, so that sandboxes and
    /// machines are cleaned up; and at last SIGKILL.
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(15);
        for signal in ["CONT", "TERM", "TERM"] {
            if matches!(self.child.try_wait(), Ok(Some(_))) || self.signal(signal).is_err() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server with a data directory of its own.
pub struct Resplice {
    server: Service,
    /// Its port on the loopback.
    pub port: u16,
    // Last: the directory goes after the server is gone.
    data: TempDir,
}

impl Resplice {
    /// Starts a server that gives leases of so many seconds.
    pub fn start(lease_seconds: u64) -> Result<Self> {
        Self::start_with(lease_seconds, &[])
    }

    /// The same with more words for `serve`.
    pub fn start_with(lease_seconds: u64, words: &[&str]) -> Result<Self> {
        Self::start_on(None, lease_seconds, words)
    }

    /// The same on a database of PostgreSQL, by its URL, instead of a file.
    pub fn start_on(database: Option<&str>, lease_seconds: u64, words: &[&str]) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let mut serve = Command::new(program("resplice-server")?);
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--lease-seconds"])
            .arg(lease_seconds.to_string())
            .args(words)
            .arg("--data")
            .arg(data.path().join("server"))
            .arg("--cache")
            .arg(Cache::from_env().root())
            .envs(database.map(|url| ("RESPLICE_DATABASE", url)));
        let log = data.path().join("server.log");
        let mut server = Service::start("resplice-server", &mut serve, log)?;
        let port = server.wait_for("its address", START, |server| {
            let said = server.said()?;
            let address = said
                .lines()
                .find_map(|line| line.strip_prefix("listening on "));
            Ok(address.and_then(|address| address.rsplit_once(':')?.1.parse().ok()))
        })?;
        Ok(Self { server, port, data })
    }

    /// Starts a worker. Declare it after the server, so that it ends before.
    pub fn worker(&self, name: &str) -> Result<Service> {
        let key = self.key(name);
        run_ok(
            Command::new(program("resplice-worker")?)
                .arg("keygen")
                .arg(&key),
        )?;
        let mut run = Command::new(program("resplice-worker")?);
        run.args([
            "run",
            "--server",
            &self.url(),
            "--name",
            name,
            "--token-file",
        ])
        .arg(self.token("worker"))
        .arg("--server-key")
        .arg(self.data.path().join("server/jobs/key.pub"))
        .arg("--key")
        .arg(&key)
        .arg("--cache")
        .arg(Cache::from_env().root());
        let log = self.data.path().join(format!("{name}.log"));
        let mut worker = Service::start(name, &mut run, log)?;
        worker.wait_for("the worker", START, |worker| {
            Ok(worker.said()?.contains("worker is up").then_some(()))
        })?;
        Ok(worker)
    }

    /// A field of the server's `/proc/PID/status` that is a size, in MB.
    pub fn memory_mb(&self, field: &str) -> Result<f64> {
        self.server.memory_mb(field)
    }

    /// Where the server listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The file with a worker's signing key.
    pub fn key(&self, worker: &str) -> PathBuf {
        self.data.path().join(format!("{worker}.pem"))
    }

    /// The file with a role's token.
    pub fn token(&self, role: &str) -> PathBuf {
        self.data.path().join(format!("server/tokens/{role}.token"))
    }

    /// `resplice-server update VERB … --json`, as the holder of a role's token.
    fn update(&self, role: &str, verb: &str, words: &[&str]) -> Result<Update> {
        let mut command = self.command(role, verb)?;
        let text = stdout(command.arg("--json").args(words))?;
        serde_json::from_str(&text).with_context(|| format!("read {text}"))
    }

    fn command(&self, role: &str, verb: &str) -> Result<Command> {
        self.client(role, &["update", verb])
    }

    /// `resplice-server WORDS …` as the holder of a role's token.
    pub fn client(&self, role: &str, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("resplice-server")?);
        command
            .args(words)
            .args(["--server", &self.url(), "--token-file"])
            .arg(self.token(role));
        Ok(command)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.path().join("server")
    }

    /// Takes a release back and has hosts undo it.
    pub fn revoke(&self, update: &Update, reason: &str) -> Result<Update> {
        let id = update.id.to_string();
        self.update("engineer", "revoke", &["--undo", "--reason", reason, &id])
    }

    /// How an update's rollout stands.
    pub fn rollout(&self, update: &Update) -> Result<Rollout> {
        let mut show = self.client("engineer", &["rollout", "show"])?;
        let text = stdout(show.arg("--json").arg(update.id.to_string()))?;
        serde_json::from_str(&text).with_context(|| format!("read {text}"))
    }

    /// Lets it go on.
    pub fn resume(&self, update: &Update) -> Result<()> {
        let mut resume = self.client("engineer", &["rollout", "resume"])?;
        run_ok(
            resume
                .args(["--reason", "it was the host"])
                .arg(update.id.to_string()),
        )?;
        Ok(())
    }

    /// Uploads a patch of the repository.
    pub fn upload(&self, target: &Target, patch: &str) -> Result<Update> {
        self.upload_superseding(target, patch, None)
    }

    /// Uploads a patch for several kernels.
    pub fn upload_for(&self, targets: &[&Target], patch: &str) -> Result<Update> {
        let patch = repository(patch).display().to_string();
        let ids: Vec<String> = targets.iter().map(|t| t.id().to_string()).collect();
        let mut words: Vec<&str> = ids.iter().flat_map(|id| ["--target", id]).collect();
        words.push(&patch);
        self.update("team", "upload", &words)
    }

    /// The same of a patch that takes an older update's place.
    pub fn upload_superseding(
        &self,
        target: &Target,
        patch: &str,
        older: Option<&Update>,
    ) -> Result<Update> {
        let patch: &Path = &repository(patch);
        let path = patch.to_str().context("the repository's path is no text")?;
        let (target, older) = (target.id().to_string(), older.map(|o| o.id.to_string()));
        let mut words = vec!["--target", target.as_str()];
        if let Some(older) = &older {
            words.extend(["--supersedes", older.as_str()]);
        }
        words.push(path);
        self.update("team", "upload", &words)
    }

    /// How an update stands.
    pub fn show(&self, update: &Update) -> Result<Update> {
        self.update("team", "show", &[&update.id.to_string()])
    }

    fn log_of(&self, update: &Update, target: &str) -> Result<String> {
        let mut log = self.command("team", "log")?;
        stdout(log.args(["--target", target]).arg(update.id.to_string()))
    }

    /// The log of an update's only build.
    pub fn log(&self, update: &Update) -> Result<String> {
        stdout(self.command("team", "log")?.arg(update.id.to_string()))
    }

    /// Waits until an update's builds have ended.
    pub fn ended(&mut self, update: &Update) -> Result<Update> {
        let url = self.url();
        let id = update.id;
        let show = |this: &Self| this.show(update);
        let end = Instant::now() + BUILD;
        loop {
            self.server.check()?;
            let now = show(self)?;
            if now.jobs.iter().all(|job| job.status.is_final()) {
                return Ok(now);
            }
            ensure!(
                Instant::now() < end,
                "{url}: update {id} has not ended: {now:?}"
            );
            std::thread::sleep(PAUSE * 5);
        }
    }

    /// Uploads a patch, waits until it is built, and releases it.
    pub fn publish(&mut self, target: &Target, patch: &str) -> Result<Update> {
        self.publish_superseding(target, patch, None)
    }

    /// The same of a patch that takes an older update's place.
    pub fn publish_superseding(
        &mut self,
        target: &Target,
        patch: &str,
        older: Option<&Update>,
    ) -> Result<Update> {
        let update = self.upload_superseding(target, patch, older)?;
        self.release(&update, None)
    }

    /// Waits until an update is built, and releases it, by a wave plan if one is named.
    pub fn release(&mut self, update: &Update, plan: Option<&str>) -> Result<Update> {
        let update = self.ended(update)?;
        for job in &update.jobs {
            let log = || self.log_of(&update, &job.target);
            let built = job.status == JobStatus::Built;
            ensure!(built, "{job:?} was not built:\n{}", log()?);
        }
        let id = update.id.to_string();
        let mut words = vec!["--comment", "a test"];
        words.extend(plan.iter().flat_map(|plan| ["--plan", plan]));
        words.push(&id);
        self.update("engineer", "release", &words)
    }
}
