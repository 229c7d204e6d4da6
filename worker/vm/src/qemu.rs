//! The QEMU process: starting it, its sockets, its certain end.

use crate::console::Console;
use crate::error::{Error, Result};
use crate::scratch::Scratch;
use crate::tools;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// QEMU opens its sockets within milliseconds, or never.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The name under which a state file is handed to QEMU's `exec:`.
pub(crate) const STATE_FILE_ENV: &str = "RESPLICE_VM_STATE_FILE";

/// The emulator's first `--version` line: what a snapshot depends on.
pub(crate) fn version() -> Result<String> {
    static VERSION: OnceLock<String> = OnceLock::new();
    if let Some(version) = VERSION.get() {
        return Ok(version.clone());
    }
    let text = tools::text_of(&binary()?, &["--version"])?;
    let version = text.lines().next().unwrap_or_default().to_owned();
    Ok(VERSION.get_or_init(|| version).clone())
}

fn binary() -> Result<PathBuf> {
    tools::find("qemu-system-x86_64", "qemu-system-x86")
}

/// A running QEMU. Dropping it kills the process and waits for it.
#[derive(Debug)]
pub(crate) struct Qemu {
    child: Child,
    pub console: Console,
    stderr: PathBuf,
    status: Option<ExitStatus>,
}

/// A started QEMU with its two connections.
pub(crate) struct Started {
    pub qemu: Qemu,
    pub command: UnixStream,
    pub monitor: UnixStream,
}

impl Qemu {
    /// Starts QEMU in the scratch directory. `state` is the file that the
    /// `exec:` URIs read or write.
    pub fn start(
        arguments: &[OsString],
        scratch: &Scratch,
        state: Option<&Path>,
        console_log: Option<&Path>,
    ) -> Result<Started> {
        let command_listener = listen(&scratch.join("command.sock"))?;
        let monitor_listener = listen(&scratch.join("monitor.sock"))?;
        let stderr_path = scratch.join("qemu.stderr");
        let stderr = File::create(&stderr_path).map_err(Error::io("create", &stderr_path))?;
        let log = console_log
            .map(|path| File::create(path).map_err(Error::io("create", path)))
            .transpose()?;

        let emulator = binary()?;
        let mut command = Command::new(tools::find("setpriv", "util-linux")?);
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&emulator)
            .args(arguments)
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        if let Some(state) = state {
            command.env(STATE_FILE_ENV, state);
        }
        let mut child = spawn(command).map_err(Error::io("start", &emulator))?;
        let console = match child.stdout.take() {
            Some(stdout) => Console::collect(stdout, log),
            None => Console::collect(io::empty(), log),
        };
        let mut qemu = Self {
            child,
            console,
            stderr: stderr_path,
            status: None,
        };
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let command = qemu.accept(&command_listener, deadline)?;
        let monitor = qemu.accept(&monitor_listener, deadline)?;
        Ok(Started {
            qemu,
            command,
            monitor,
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits up to `patience` for QEMU's own end.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                self.console.join();
            } else if Instant::now() >= deadline {
                break;
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.status
    }

    /// What QEMU and the guest said last.
    pub fn last_words(&self) -> String {
        let stderr = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        let useful: Vec<&str> = stderr
            .lines()
            .filter(|line| !line.contains("warning: TCG doesn't support"))
            .collect();
        let console = tools::tail(&self.console.text(), 15);
        format!("{}\n{console}", tools::tail(&useful.join("\n"), 5))
            .trim()
            .to_owned()
    }

    /// The error for an end that nobody asked for.
    pub fn exited(&self, during: &str, status: String) -> Error {
        Error::QemuExited {
            during: during.to_owned(),
            status,
            detail: self.last_words(),
        }
    }

    fn accept(&mut self, listener: &UnixListener, deadline: Instant) -> Result<UnixStream> {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream
                        .set_nonblocking(false)
                        .map_err(Error::io("configure", "QEMU's socket"))?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(Error::io("accept on", "QEMU's socket")(error)),
            }
            let status = self.wait(Duration::from_millis(2));
            if status.is_some() || Instant::now() > deadline {
                let status = status.map_or("does not answer".to_owned(), |s| s.to_string());
                return Err(self.exited("starting", status));
            }
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.console.join();
    }
}

fn listen(path: &Path) -> Result<UnixListener> {
    let listener = UnixListener::bind(path).map_err(Error::io("bind", path))?;
    listener
        .set_nonblocking(true)
        .map_err(Error::io("configure", path))?;
    Ok(listener)
}

type SpawnRequest = (Command, Sender<io::Result<Child>>);

/// Starts the command from a thread that lives as long as this process: the
/// parent-death signal is sent when the *thread* that forked ends, and callers
/// may well run on pool threads that come and go.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<SpawnRequest>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = channel::<SpawnRequest>();
        std::thread::spawn(move || {
            for (mut command, reply) in requests {
                if let Err(unclaimed) = reply.send(command.spawn())
                    && let Ok(mut child) = unclaimed.0
                {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        sender
    });
    let gone = || io::Error::other("the spawning thread is gone");
    let (reply, answer) = channel();
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}
