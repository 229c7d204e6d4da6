//! What can go wrong around a virtual machine. Each message names the
//! operation, the object and, where there is one, the remedy.

use std::path::PathBuf;

/// Result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the VM rig.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that the rig calls is not installed.
    #[error("cannot find {tool}: install it with `apt-get install {package}`")]
    MissingTool {
        /// The program.
        tool: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A helper program ran and failed.
    #[error("{tool} failed ({status}): {stderr}")]
    Tool {
        /// The program.
        tool: String,
        /// Its exit status.
        status: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// A file operation failed on the host.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The machine's description cannot be used.
    #[error("machine configuration: {0}")]
    Config(String),
    /// A kernel module that the guest needs is not there.
    #[error("kernel module {name} for the guest: {reason}")]
    Module {
        /// Module name.
        name: String,
        /// What is wrong, with the remedy.
        reason: String,
    },
    /// QEMU ended although nobody asked it to.
    #[error("QEMU ended while {during} ({status}): {detail}")]
    QemuExited {
        /// What the rig was doing.
        during: String,
        /// Exit status.
        status: String,
        /// QEMU's stderr and the end of the guest's console.
        detail: String,
    },
    /// The guest's kernel panicked.
    #[error("the guest kernel panicked while {during}: {}", lines.first().map_or("", String::as_str))]
    GuestPanicked {
        /// What the rig was doing.
        during: String,
        /// The problem lines from the console, oldest first.
        lines: Vec<String>,
    },
    /// The guest did not come up in time.
    #[error(
        "the guest did not answer within {seconds} s of {during}; its console ends with:\n{console}"
    )]
    NotReady {
        /// `boot` or `restore`.
        during: &'static str,
        /// Time allowed.
        seconds: u64,
        /// The end of the console.
        console: String,
    },
    /// A command ran longer than allowed and was killed; the guest is usable.
    #[error("`{command}` in the guest ran longer than {seconds} s and was killed")]
    CommandTimedOut {
        /// The command.
        command: String,
        /// Time allowed.
        seconds: u64,
        /// What it wrote to stdout until then.
        stdout: Vec<u8>,
        /// What it wrote to stderr until then.
        stderr: Vec<u8>,
    },
    /// A command that had to succeed did not.
    #[error("`{command}` in the guest ended with exit code {code}: {stderr}")]
    CommandFailed {
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// The end of its stderr, or of stdout where stderr is empty.
        stderr: String,
    },
    /// The guest no longer answers; only dropping it is left.
    #[error("the guest does not answer any more ({reason}); start another")]
    Unresponsive {
        /// When and how that was noticed.
        reason: String,
    },
    /// QEMU's monitor refused a command.
    #[error("QEMU monitor: {command}: {reason}")]
    Monitor {
        /// The QMP command.
        command: String,
        /// QEMU's words.
        reason: String,
    },
    /// More bytes than fit.
    #[error("{what} has {bytes} bytes; the limit is {limit}")]
    TooBig {
        /// What is too big.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
}

impl Error {
    /// An `Io` with its context, for `map_err`.
    pub(crate) fn io(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }
}
