//! The sandbox of container hosts: one throw-away container per step.
//!
//! Read-only root, no network, no capabilities, no new privileges, no user but
//! `nobody`, limits on memory, processors and processes. The image is made by
//! `deploy/builder-image` out of the distribution's packages; no registry is
//! involved. The container engine has to see the worker's directories under
//! the same paths.

use super::{SANDBOX_UID, Sandbox, SandboxError, Step, Tool, base_environment, output::Output};
use crate::log::Log;
use bollard::{
    API_DEFAULT_VERSION, Docker as Engine,
    models::{
        ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits,
    },
    query_parameters::{
        AttachContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
        StartContainerOptions, WaitContainerOptions,
    },
};
use futures_util::{StreamExt, future::BoxFuture};
use std::{collections::HashMap, fs, os::unix::fs::MetadataExt, time::Duration};
use tokio::time;

/// How long the removal of a container may take.
const REMOVAL: Duration = Duration::from_secs(20);
/// For an answer of the engine.
const CALL_SECONDS: u64 = 120;
/// The image unless another is named.
pub const DEFAULT_IMAGE: &str = "resplice-builder:latest";

/// A container engine that speaks Docker's API, at `DOCKER_HOST` or its usual
/// socket.
#[derive(Debug)]
pub struct Docker {
    engine: Engine,
    /// Where it is, unless that is as the environment says.
    socket: Option<String>,
    /// The image's id: what its name means when the worker starts is what is used.
    image: String,
    uid: u32,
    gid: u32,
    root: bool,
    cpus: usize,
}

impl Docker {
    /// Connects to the engine and makes sure that it has the image.
    ///
    /// # Errors
    /// [`SandboxError::Unusable`] with what is missing.
    pub async fn new(image: &str) -> Result<Self, SandboxError> {
        Self::of(None, image).await
    }

    /// The same of the engine at a socket, `unix://PATH`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub async fn at(socket: &str, image: &str) -> Result<Self, SandboxError> {
        Self::of(Some(socket.to_owned()), image).await
    }

    async fn of(socket: Option<String>, image: &str) -> Result<Self, SandboxError> {
        let engine = connect(socket.as_deref()).map_err(|error| no_engine(&error))?;
        engine.ping().await.map_err(|error| no_engine(&error))?;
        let found = engine.inspect_image(image).await.map_err(|error| {
            unusable(
                &format!("image {image}: {error}"),
                "make it with deploy/builder-image",
            )
        })?;
        let id = found.id.unwrap_or_else(|| image.to_owned());
        let own = fs::metadata("/proc/self")
            .map_err(|error| unusable(&error.to_string(), "mount /proc"))?;
        let root = own.uid() == 0;
        let (uid, gid) = if root {
            (SANDBOX_UID, SANDBOX_UID)
        } else {
            (own.uid(), own.gid())
        };
        Ok(Self {
            engine,
            socket,
            image: id,
            uid,
            gid,
            root,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    fn container(&self, step: &Step) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(self.image.clone()),
            user: Some(format!("{}:{}", self.uid, self.gid)),
            cmd: Some(step.argv.clone()),
            entrypoint: Some(Vec::new()),
            working_dir: Some(step.cwd.clone()),
            env: Some(
                base_environment()
                    .iter()
                    .chain(&step.env)
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
            ),
            network_disabled: Some(true),
            labels: Some(HashMap::from([(
                "resplice.step".to_owned(),
                step.name.clone(),
            )])),
            host_config: Some(self.host_config(step)),
            ..ContainerCreateBody::default()
        }
    }

    fn host_config(&self, step: &Step) -> HostConfig {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let ulimit = |name: &str, value: i64| ResourcesUlimits {
            name: Some(name.to_owned()),
            soft: Some(value),
            hard: Some(value),
        };
        let memory = signed(step.limits.memory_bytes);
        HostConfig {
            network_mode: Some("none".to_owned()),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            memory: Some(memory),
            // Swap included: none on top.
            memory_swap: Some(memory),
            nano_cpus: Some(signed(self.cpus as u64 * 1_000_000_000)),
            pids_limit: Some(signed(step.limits.processes)),
            ulimits: Some(vec![
                ulimit("fsize", signed(step.limits.file_bytes)),
                ulimit("core", 0),
            ]),
            tmpfs: Some(HashMap::from([(
                "/tmp".to_owned(),
                "rw,nosuid,nodev,mode=1777,size=1g".to_owned(),
            )])),
            mounts: Some(
                step.binds
                    .iter()
                    .map(|bind| Mount {
                        typ: Some(MountType::BIND),
                        source: Some(bind.host.to_string_lossy().into_owned()),
                        target: Some(bind.guest.clone()),
                        read_only: Some(!bind.writable),
                        ..Mount::default()
                    })
                    .collect(),
            ),
            // The worker has the output; the engine need not keep it too.
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            ..HostConfig::default()
        }
    }

    async fn run_step(&self, step: &Step, log: &Log) -> Result<i32, SandboxError> {
        let start = |error: bollard::errors::Error| SandboxError::Start {
            step: step.name.clone(),
            reason: error.to_string(),
        };
        let created = self
            .engine
            .create_container(None, self.container(step))
            .await
            .map_err(start)?;
        let container = Container {
            engine: self.engine.clone(),
            socket: self.socket.clone(),
            id: Some(created.id),
        };
        let outcome = time::timeout(step.limits.wall, self.follow(step, log, container.id())).await;
        container.remove().await;
        outcome.unwrap_or_else(|_| {
            Err(SandboxError::TimedOut {
                step: step.name.clone(),
                limit: step.limits.wall,
            })
        })
    }

    async fn follow(&self, step: &Step, log: &Log, id: &str) -> Result<i32, SandboxError> {
        let start = |error: bollard::errors::Error| SandboxError::Start {
            step: step.name.clone(),
            reason: error.to_string(),
        };
        let attach = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdout(true)
            .stderr(true)
            .build();
        // Before the start, or the first words could be lost.
        let mut attached = self
            .engine
            .attach_container(id, Some(attach))
            .await
            .map_err(start)?;
        self.engine
            .start_container(id, None::<StartContainerOptions>)
            .await
            .map_err(start)?;
        let mut output = Output::new(log, &step.name, step.limits.output_bytes);
        while let Some(piece) = attached.output.next().await {
            output.write(&piece.map_err(start)?.into_bytes())?;
        }
        let mut wait = Box::pin(self.engine.wait_container(id, None::<WaitContainerOptions>));
        while let Some(answer) = wait.next().await {
            match answer {
                // An exit code other than 0 arrives as an error.
                Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. }) => {}
                Err(error) => return Err(start(error)),
            }
        }
        let state = self
            .engine
            .inspect_container(id, None::<InspectContainerOptions>)
            .await
            .map_err(start)?
            .state
            .unwrap_or_default();
        if state.oom_killed == Some(true) {
            return Err(SandboxError::Killed {
                step: step.name.clone(),
                reason: format!(
                    "it needed more than {} bytes of memory",
                    step.limits.memory_bytes
                ),
            });
        }
        state
            .exit_code
            .and_then(|code| i32::try_from(code).ok())
            .ok_or_else(|| SandboxError::Killed {
                step: step.name.clone(),
                reason: "the engine gives no exit code".to_owned(),
            })
    }
}

impl Sandbox for Docker {
    fn run<'a>(&'a self, step: &'a Step, log: &'a Log) -> BoxFuture<'a, Result<i32, SandboxError>> {
        Box::pin(self.run_step(step, log))
    }

    fn toolchain<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Tool>, SandboxError>> {
        let digest = self.image.strip_prefix("sha256:").map(str::to_owned);
        let digest = digest.ok_or_else(|| {
            unusable(
                &format!("the engine names the image {} by no sha256", self.image),
                "use an engine that does",
            )
        });
        let tools = digest.map(|digest| vec![("image".to_owned(), digest)]);
        Box::pin(std::future::ready(tools))
    }

    fn name(&self) -> &'static str {
        "docker"
    }

    fn owner(&self) -> Option<u32> {
        self.root.then_some(SANDBOX_UID)
    }
}

/// A container that is gone when this is, also if the step is cancelled.
struct Container {
    engine: Engine,
    socket: Option<String>,
    id: Option<String>,
}

impl Container {
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    async fn remove(mut self) {
        if let Some(id) = self.id.take() {
            remove(&self.engine, &id).await;
        }
    }
}

impl Drop for Container {
    /// Waits for the removal: the runtime may be on its way out. It needs a
    /// runtime and connections of its own for that.
    fn drop(&mut self) {
        let Some(id) = self.id.take() else {
            return;
        };
        let socket = self.socket.take();
        let removal = std::thread::spawn(move || -> Option<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            let remove = async {
                let engine = connect(socket.as_deref()).ok()?;
                remove(&engine, &id).await;
                Some(())
            };
            runtime.block_on(async { time::timeout(REMOVAL, remove).await.ok() })?
        });
        if !matches!(removal.join(), Ok(Some(()))) {
            tracing::warn!("can't remove a container");
        }
    }
}

fn connect(socket: Option<&str>) -> Result<Engine, bollard::errors::Error> {
    match socket {
        Some(socket) => Engine::connect_with_socket(socket, CALL_SECONDS, API_DEFAULT_VERSION),
        None => Engine::connect_with_defaults(),
    }
}

async fn remove(engine: &Engine, id: &str) {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    if let Err(error) = engine.remove_container(id, Some(options)).await {
        tracing::warn!(%error, container = id, "can't remove a container");
    }
}

fn no_engine(error: &bollard::errors::Error) -> SandboxError {
    unusable(
        &error.to_string(),
        "start dockerd, or set DOCKER_HOST to its socket",
    )
}

fn unusable(reason: &str, remedy: &str) -> SandboxError {
    SandboxError::Unusable {
        sandbox: "docker",
        reason: reason.to_owned(),
        remedy: remedy.to_owned(),
    }
}
