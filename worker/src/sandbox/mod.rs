//! Where build steps run: cut off from the network, from signing keys and from
//! the rest of the machine.
//!
//! A [`Step`] names everything it may see. Both sandboxes give it the same view:
//!
//! | path | what |
//! |---|---|
//! | `/usr`, `/lib*`, `/bin`, `/sbin` | the toolchain, read-only |
//! | `/resplice/...` | what the step's [`Bind`]s say |
//! | `/tmp` | empty, private, writable |
//! | `/proc`, `/dev` | the sandbox's own processes, and the harmless devices |
//!
//! What they do not promise: a step may fill what it is given to write to, in files
//! of the size that is allowed, and so the file system that this lies on. `local`
//! limits the memory of each process and the processes of the sandbox's user, not
//! the memory and processors of all together: give it a machine, or a slice of
//! systemd's, of its own. The kernel is the machine's own in both.
//!
//! The command runs without capabilities and can't gain any. If the worker is
//! root, the command is not: it runs as [`SANDBOX_UID`].

mod docker;
mod limits;
mod local;
mod output;
mod toolchain;

pub use docker::{DEFAULT_IMAGE, Docker};
pub use limits::Limits;
pub use local::Local;
pub use toolchain::Tool;

use crate::log::Log;
use futures_util::future::BoxFuture;
use std::{path::PathBuf, time::Duration};

/// The user and group that commands run as if the worker is root (`nobody`).
pub const SANDBOX_UID: u32 = 65534;

/// A directory or file of the host that a step sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Where the step sees it; absolute, under `/resplice`.
    pub guest: String,
    /// Whether the step may write to it.
    pub writable: bool,
}

impl Bind {
    /// Something that the step may only read.
    pub fn read_only(host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            guest: guest.into(),
            writable: false,
        }
    }

    /// Something that the step may change.
    pub fn writable(host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        Self {
            writable: true,
            ..Self::read_only(host, guest)
        }
    }
}

/// One command in a sandbox.
#[derive(Debug, Clone)]
pub struct Step {
    /// A word for people and for the list of steps.
    pub name: String,
    /// Program and arguments; the program is looked up in `/usr/bin` and `/usr/sbin`.
    pub argv: Vec<String>,
    /// The directory that it starts in.
    pub cwd: String,
    /// Its environment, besides `PATH`, `HOME` and `LC_ALL`.
    pub env: Vec<(String, String)>,
    /// What it sees; later ones may lie inside earlier ones.
    pub binds: Vec<Bind>,
    /// How much of anything it may use.
    pub limits: Limits,
}

/// Why a step has no exit code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The sandbox can't be used on this machine at all.
    #[error("the {sandbox} sandbox does not work here: {reason}; {remedy}")]
    Unusable {
        /// `local` or `docker`.
        sandbox: &'static str,
        /// What went wrong.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The step could not be started.
    #[error("can't start step {step} in the sandbox: {reason}")]
    Start {
        /// The step's name.
        step: String,
        /// What went wrong.
        reason: String,
    },
    /// The step ran longer than its limit and was killed with all its children.
    #[error("step {step} was killed after {} s, its limit", limit.as_secs())]
    TimedOut {
        /// The step's name.
        step: String,
        /// The limit.
        limit: Duration,
    },
    /// The step wrote more than its limit and was killed with all its children.
    #[error("step {step} was killed after {limit} bytes of output, its limit")]
    OutputLimit {
        /// The step's name.
        step: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The step's own process was killed, for example for want of memory.
    #[error("step {step} was killed: {reason}")]
    Killed {
        /// The step's name.
        step: String,
        /// By what.
        reason: String,
    },
}

/// Runs steps. Dropping the future of a running step kills it.
pub trait Sandbox: Send + Sync {
    /// Runs a step to its end, its output going to `log`, and gives its exit code.
    ///
    /// # Errors
    /// See [`SandboxError`]. A command that fails is not an error here.
    fn run<'a>(&'a self, step: &'a Step, log: &'a Log) -> BoxFuture<'a, Result<i32, SandboxError>>;

    /// What a build with this compiler is made with, by digest: programs, or the
    /// image that holds them.
    ///
    /// # Errors
    /// [`SandboxError::Unusable`] if one is missing.
    fn toolchain<'a>(&'a self, compiler: &'a str)
    -> BoxFuture<'a, Result<Vec<Tool>, SandboxError>>;

    /// `local` or `docker`.
    fn name(&self) -> &'static str;

    /// Who has to own what a step may write to; nothing if that is the worker itself.
    fn owner(&self) -> Option<u32>;
}

/// What every step has in its environment.
fn base_environment() -> [(String, String); 3] {
    [
        ("PATH", "/usr/bin:/usr/sbin"),
        ("HOME", "/tmp"),
        ("LC_ALL", "C.UTF-8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
}
