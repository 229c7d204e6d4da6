//! The service as `deploy/compose` sets it up: each of its parts in a container.

use anyhow::{Context, Result, ensure};
use resplice_api::{JobStatus, Update};
use resplice_target::Cache;
use resplice_tests::{
    CLOUD,
    engine::Engine,
    programs::{program, run_ok, stdout},
    repository, target,
};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// For a build with its trial, on a machine that has other things to do.
const BUILD: Duration = Duration::from_secs(400);

/// What `docker-compose up` has made, until this is dropped.
struct Deployment {
    home: TempDir,
    engine: Engine,
}

impl Deployment {
    fn start() -> Result<Self> {
        let deployment = Self {
            home: tempfile::tempdir()?,
            engine: Engine::start()?,
        };
        let programs = program("resplice-server")?;
        run_ok(
            Command::new(repository("deploy/compose/images"))
                .env("DOCKER_HOST", deployment.engine.address())
                .arg("--programs")
                .arg(programs.parent().context("a program is in no directory")?),
        )?;
        deployment.compose(&["up", "--detach", "--no-color"])?;
        Ok(deployment)
    }

    fn compose(&self, words: &[&str]) -> Result<String> {
        let socket = self.engine.address();
        stdout(
            Command::new("docker-compose")
                .args(["--project-name", "resplice", "--file"])
                .arg(repository("deploy/compose/compose.yaml"))
                .args(words)
                .env("DOCKER_HOST", &socket)
                .env("DOCKER_SOCKET", socket.trim_start_matches("unix://"))
                .env("RESPLICE_HOME", self.home.path())
                .env("RESPLICE_CACHE", Cache::from_env().root())
                // Any free ports.
                .envs([("RESPLICE_PORT_1", ""), ("RESPLICE_PORT_2", "")]),
        )
    }

    /// A command of a service's container.
    fn inside(&self, service: &str, words: &[&str]) -> Result<String> {
        self.compose(&[&["exec", "-T", service], words].concat())
    }

    fn token(&self, role: &str) -> PathBuf {
        let file = format!("server/tokens/{role}.token");
        self.home.path().join(file)
    }

    /// `resplice-server WORDS…` at one of the servers.
    fn client(&self, service: &str, role: &str, words: &[&str]) -> Result<String> {
        let address = self.compose(&["port", service, "8440"])?;
        stdout(
            Command::new(program("resplice-server")?)
                .args(words)
                .arg("--server")
                .arg(format!("http://{}", address.trim()))
                .arg("--token-file")
                .arg(self.token(role)),
        )
    }

    fn update(&self, service: &str, role: &str, words: &[&str]) -> Result<Update> {
        let words = [&["update"], words, &["--json"]].concat();
        let text = self.client(service, role, &words)?;
        serde_json::from_str(&text).with_context(|| format!("read {text}"))
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = self.compose(&["down", "--timeout", "5"]);
    }
}

/// One server dies after the upload; the other one, and a worker's containers, do
/// what is left.
fn builds_and_releases(deployment: &Deployment) -> Result<()> {
    let target = target(CLOUD)?.id().to_string();
    let patch = repository("tests/patches/fs-loadavg.patch");
    let patch = patch.to_str().context("the repository's path is no text")?;
    let update = deployment.update("server-1", "team", &["upload", "--target", &target, patch])?;
    deployment.compose(&["kill", "server-1"])?;
    let id = update.id.to_string();
    let end = Instant::now() + BUILD;
    let job = loop {
        let update = deployment.update("server-2", "team", &["show", &id])?;
        let job = update.jobs.first().context("the update has no job")?;
        if job.status.is_final() {
            break job.clone();
        }
        ensure!(Instant::now() < end, "not built within {BUILD:?}: {job:?}");
        thread::sleep(Duration::from_secs(1));
    };
    let log = deployment.client("server-2", "team", &["update", "log", &id])?;
    ensure!(job.status == JobStatus::Built, "{job:?}:\n{log}");
    ensure!(log.contains("sandbox docker"), "{log}");
    ensure!(log.contains("undone; the kernel's log is clean"), "{log}");
    let released = deployment.update(
        "server-2",
        "engineer",
        &["release", "--comment", "a test", &id],
    )?;
    ensure!(released.released.is_some(), "{released:?}");
    // Its log holds, which one server began and the other went on with.
    deployment.inside("server-2", &["resplice-server", "audit", "verify"])?;
    keeps_secrets_apart(deployment)
}

/// Each part sees the secrets that it needs, and no others.
fn keeps_secrets_apart(deployment: &Deployment) -> Result<()> {
    let seen = [
        ("worker-1", "key.pem server.pub token"),
        ("worker-2", "key.pem server.pub token"),
        ("server-2", "database s3.toml"),
        ("store", "database s3.toml"),
        ("database", "password"),
    ];
    for (service, files) in seen {
        let found = deployment.inside(service, &["ls", "/run/resplice"])?;
        let found: Vec<&str> = found.split_whitespace().collect();
        ensure!(found.join(" ") == files, "{service} sees {found:?}");
    }
    for directory in ["server", "database", "store", "secrets"] {
        let mode = fs::metadata(deployment.home.path().join(directory))?.mode() & 0o777;
        ensure!(mode == 0o700, "{directory} has mode {mode:o}");
    }
    // The package lies in the bucket.
    let bucket = deployment.home.path().join("store/updates");
    ensure!(
        fs::read_dir(&bucket)?.next().is_some(),
        "nothing is in {}",
        bucket.display()
    );
    Ok(())
}

#[test]
fn the_service_of_compose_builds_and_releases() {
    let deployment = Deployment::start().unwrap();
    if let Err(error) = builds_and_releases(&deployment) {
        let said = deployment.compose(&["logs", "--no-color", "--tail", "40"]);
        panic!("{error:?}\n{}", said.unwrap_or_default());
    }
}
