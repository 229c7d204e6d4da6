//! The default sandbox: bubblewrap on the worker's own machine.

use super::{
    Bind, Limits, SANDBOX_UID, Sandbox, SandboxError, Step, Tool, output::Output, toolchain,
};
use crate::log::Log;
use futures_util::future::BoxFuture;
use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::unix::pipe, process::Command, time};

/// Most that a step may have in `/tmp`, which is memory.
const TMP_BYTES: &str = "1073741824";

/// Bubblewrap: new mount, pid, ipc, uts, network and cgroup namespaces around
/// each step. Root drops to [`SANDBOX_UID`]; anyone else gets a user namespace.
#[derive(Debug)]
pub struct Local {
    root: bool,
    /// An empty directory, if `/` is no mount point here (a plain chroot):
    /// bubblewrap needs one, so `/` is bound there first.
    new_root: Option<PathBuf>,
}

impl Local {
    /// Sets the sandbox up and tries it. `work` is a directory of the worker's.
    ///
    /// # Errors
    /// [`SandboxError::Unusable`] with what is missing.
    pub async fn new(work: &Path) -> Result<Self, SandboxError> {
        let root = effective_uid().map_err(|error| unusable(&error.to_string()))? == 0;
        let new_root = if root && !root_is_mount_point() {
            let path = work.join("sandbox-root");
            fs::create_dir_all(&path)
                .map_err(|error| unusable(&format!("can't make {}: {error}", path.display())))?;
            Some(path)
        } else {
            None
        };
        let sandbox = Self { root, new_root };
        sandbox.probe().await?;
        Ok(sandbox)
    }

    async fn probe(&self) -> Result<(), SandboxError> {
        let step = Step {
            name: "probe".to_owned(),
            argv: vec!["true".to_owned()],
            cwd: "/".to_owned(),
            env: Vec::new(),
            binds: Vec::new(),
            limits: Limits {
                wall: Duration::from_secs(60),
                ..Limits::default()
            },
        };
        let (program, arguments) = self.command_line(&step);
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| unusable(&error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(unusable(said.trim()))
    }

    /// The whole command, from the worker's process down to the step's own.
    fn command_line(&self, step: &Step) -> (String, Vec<String>) {
        let mut line: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| line.extend(words.iter().map(|word| (*word).to_owned()));
        if let Some(new_root) = &self.new_root {
            add(&[
                "unshare",
                "--mount",
                "--propagation",
                "unchanged",
                "sh",
                "-c",
            ]);
            add(&[r#"mount --rbind / "$0" && exec chroot "$0" "$@""#]);
            add(&[&new_root.to_string_lossy()]);
        }
        add(&["bwrap", "--die-with-parent", "--new-session"]);
        add(&["--unshare-ipc", "--unshare-pid", "--unshare-net"]);
        add(&["--unshare-uts", "--unshare-cgroup-try"]);
        if self.root {
            add(&["--cap-drop", "ALL"]);
            // For setpriv's sake only; they are gone once it has run.
            add(&["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]);
        } else {
            add(&["--unshare-user"]);
        }
        add(&["--ro-bind", "/usr", "/usr"]);
        add(&["--proc", "/proc", "--dev", "/dev"]);
        add(&["--size", TMP_BYTES, "--perms", "1777", "--tmpfs", "/tmp"]);
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let path = format!("/{name}");
            match fs::read_link(&path) {
                Ok(link) => add(&["--symlink", &link.to_string_lossy(), &path]),
                Err(_) => add(&["--ro-bind-try", &path, &path]),
            }
        }
        // Directories that bubblewrap makes by the way are for their owner only.
        for path in ["/etc", "/resplice"] {
            add(&["--perms", "0755", "--dir", path]);
        }
        for path in ["/etc/alternatives", "/etc/ld.so.cache"] {
            add(&["--ro-bind-try", path, path]);
        }
        for Bind {
            host,
            guest,
            writable,
        } in &step.binds
        {
            let option = if *writable { "--bind" } else { "--ro-bind" };
            add(&[option, &host.to_string_lossy(), guest]);
        }
        // What bubblewrap made itself are tmpfs; nothing is left to write there.
        add(&["--remount-ro", "/", "--remount-ro", "/dev"]);
        add(&["--clearenv", "--chdir", &step.cwd]);
        for (name, value) in super::base_environment().iter().chain(&step.env) {
            add(&["--setenv", name, value]);
        }
        add(&["--"]);
        let limits = step.limits.prlimit();
        add(&limits.iter().map(String::as_str).collect::<Vec<_>>());
        if self.root {
            let id = SANDBOX_UID.to_string();
            add(&["setpriv", "--reuid", &id, "--regid", &id]);
            add(&["--clear-groups", "--no-new-privs", "--"]);
        }
        line.extend(step.argv.iter().cloned());
        let program = line.remove(0);
        (program, line)
    }

    async fn run_step(&self, step: &Step, log: &Log) -> Result<i32, SandboxError> {
        let start = |error: io::Error| SandboxError::Start {
            step: step.name.clone(),
            reason: error.to_string(),
        };
        let (program, arguments) = self.command_line(step);
        let (reader, writer) = io::pipe().map_err(start)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(start)?)
            .stderr(writer)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(start)?;
        // It holds the pipe's other end, which would keep the output from ending.
        drop(command);
        let mut reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(start)?;
        let mut output = Output::new(log, &step.name, step.limits.output_bytes);
        let whole = async {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let count = reader.read(&mut buffer).await.map_err(start)?;
                if count == 0 {
                    break;
                }
                output.write(buffer.get(..count).unwrap_or_default())?;
            }
            child.wait().await.map_err(start)
        };
        let outcome = time::timeout(step.limits.wall, whole).await;
        match outcome {
            Ok(Ok(status)) => status.code().ok_or_else(|| SandboxError::Killed {
                step: step.name.clone(),
                reason: status.to_string(),
            }),
            Ok(Err(error)) => {
                end(child).await;
                Err(error)
            }
            Err(_) => {
                end(child).await;
                Err(SandboxError::TimedOut {
                    step: step.name.clone(),
                    limit: step.limits.wall,
                })
            }
        }
    }
}

impl Sandbox for Local {
    fn run<'a>(&'a self, step: &'a Step, log: &'a Log) -> BoxFuture<'a, Result<i32, SandboxError>> {
        Box::pin(self.run_step(step, log))
    }

    fn toolchain<'a>(
        &'a self,
        compiler: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Tool>, SandboxError>> {
        let compiler = compiler.to_owned();
        Box::pin(async move {
            tokio::task::spawn_blocking(move || toolchain::local(&compiler))
                .await
                .map_err(|error| unusable(&error.to_string()))?
                .map_err(|reason| unusable(&reason))
        })
    }

    fn name(&self) -> &'static str {
        "local"
    }

    fn owner(&self) -> Option<u32> {
        self.root.then_some(SANDBOX_UID)
    }
}

/// Kills bubblewrap; its `--die-with-parent` takes the sandbox's first process
/// along, and the kernel everything else in that pid namespace.
async fn end(mut child: tokio::process::Child) {
    if let Err(error) = child.kill().await {
        tracing::warn!(%error, "can't kill a sandbox");
    }
}

fn effective_uid() -> io::Result<u32> {
    fs::metadata("/proc/self").map(|metadata| metadata.uid())
}

fn root_is_mount_point() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(4) == Some("/"))
}

fn unusable(reason: &str) -> SandboxError {
    SandboxError::Unusable {
        sandbox: "local",
        reason: reason.to_owned(),
        remedy: "install bubblewrap and util-linux, and run the worker as root or where \
                 unprivileged user namespaces are allowed, or use --sandbox docker"
            .to_owned(),
    }
}
