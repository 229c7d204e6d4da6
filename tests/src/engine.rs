//! A container engine of the tests' own, with the image of the worker's steps.

use crate::programs::run_ok;
use crate::repository;
use crate::service::Service;
use anyhow::{Context, Result};
use resplice_target::Cache;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// For dockerd to come up, and for its last breath.
const START: Duration = Duration::from_secs(60);

/// dockerd on a socket of its own, with its images in the cache. It reaches no
/// network and changes no rule of the machine's.
pub struct Engine {
    /// The image's name, after the script that made it.
    pub image: String,
    _dockerd: Service,
    run: TempDir,
    // Last: the next one may start when this one is gone.
    _lock: File,
}

impl Engine {
    /// Starts dockerd, and makes the image if the cache does not have it.
    ///
    /// # Errors
    /// With dockerd's own words if it does not work here: in some containers
    /// it can't.
    pub fn start() -> Result<Self> {
        let home = Cache::from_env().root().join("engine");
        std::fs::create_dir_all(&home).with_context(|| format!("make {}", home.display()))?;
        // Two engines can't share their images.
        let lock = File::create(home.join("lock")).context("make the engine's lock")?;
        lock.lock().context("wait for another engine")?;
        // Short: the path of a socket has 108 bytes.
        let run = tempfile::Builder::new()
            .prefix("engine")
            .tempdir_in("/tmp")?;
        let at = |name: &str| run.path().join(name);
        let mut dockerd = Command::new("dockerd");
        dockerd
            .arg("--host")
            .arg(format!("unix://{}", at("socket").display()))
            .arg("--data-root")
            .arg(home.join("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .args(["--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--bridge=none"]);
        let log = at("log");
        let mut dockerd = Service::start("dockerd", &mut dockerd, log)
            .context("start a container engine: `make setup-test` installs docker.io")?;
        dockerd.wait_for("an engine that answers", START, |_| {
            Ok(UnixStream::connect(at("socket")).is_ok().then_some(()))
        })?;
        let script = std::fs::read(repository("deploy/builder-image"))?;
        let digest = hex::encode(Sha256::digest(script));
        let engine = Self {
            image: format!("resplice-builder:{}", digest.get(..12).unwrap_or_default()),
            _dockerd: dockerd,
            run,
            _lock: lock,
        };
        engine.prepare()?;
        Ok(engine)
    }

    /// The value of `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.run.path().join("socket").display())
    }

    /// Runs the engine's own client; returns what it says.
    pub fn docker(&self, words: &[&str]) -> Result<String> {
        run_ok(
            Command::new("docker")
                .env("DOCKER_HOST", self.address())
                .args(words),
        )
    }

    fn prepare(&self) -> Result<()> {
        // A test that was killed may have left some.
        let left = self.docker(&["ps", "--all", "--quiet"])?;
        for container in left.split_whitespace() {
            self.docker(&["rm", "--force", container])?;
        }
        if self.docker(&["image", "inspect", &self.image]).is_ok() {
            return Ok(());
        }
        let script: PathBuf = repository("deploy/builder-image");
        run_ok(
            Command::new(script)
                .env("DOCKER_HOST", self.address())
                .arg(&self.image),
        )?;
        Ok(())
    }
}
