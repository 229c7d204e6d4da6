//! The command line.

use clap::{Args, Parser, Subcommand};
use resplice_api::Channel;
use std::path::PathBuf;

/// Applies signed live updates to the running kernel.
///
/// Exit codes: 0 done, 1 an error, 2 wrong usage, 3 an update was refused or
/// `verify` found something, 4 an update is busy: tasks are in the functions that
/// it replaces. `doctor --check` has those of a monitoring plug-in.
#[derive(Debug, Parser)]
#[command(name = "resplice", version, max_term_width = 90)]
pub struct Cli {
    /// What holds for all commands.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for all commands.
#[derive(Debug, Args)]
pub struct Global {
    /// Directory of keys, journal and packages
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/var/lib/resplice",
        env = "RESPLICE_STATE"
    )]
    pub state: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this host known to a server, and the server's workers to this host
    Enroll(Enroll),
    /// Say what the released updates would do here, without doing it
    Check(Check),
    /// Apply the released updates, or one
    Apply(Apply),
    /// Undo updates that are in effect
    Undo(Undo),
    /// Show what is in effect
    Status,
    /// List what the server has released for this host
    List,
    /// Show all about one update
    Show {
        /// Its id, or the beginning of one
        id: String,
    },
    /// Show what was done on this host, oldest first
    History {
        /// Show at most this many of the newest steps
        #[arg(long, short = 'n', default_value_t = 100)]
        limit: usize,
    },
    /// Like uname; -r names the effective kernel: the release and what is applied
    ///
    /// The effective release is RELEASE while no update is in effect, otherwise
    /// RELEASE+rspN.DIGEST: N updates are in effect, DIGEST is the first 8 hex
    /// digits of the sha256 of their ids as `status` shows them, sorted, each
    /// followed by a line feed. It is the kernel's word, not the journal's, and
    /// needs neither root nor an enrolment.
    Uname(Uname),
    /// Hold what runs against the journal, the packages on disk and their signatures
    ///
    /// Exit code 3 if anything differs. Changes nothing.
    Verify,
    /// Apply nothing until `resume`, not even at boot; undo still works
    Pause {
        /// End by itself: a time (RFC 3339) or a duration such as 4h
        #[arg(long, value_name = "TIME", value_parser = crate::pause::time)]
        until: Option<jiff::Timestamp>,
    },
    /// End a pause
    Resume,
    /// Look for what keeps this host from getting updates
    Doctor {
        /// One line and the exit codes of a monitoring plug-in: 0 OK, 1 WARNING,
        /// 2 CRITICAL, 3 UNKNOWN
        #[arg(long)]
        check: bool,
    },
    /// Put back what was in effect before the restart, without the network
    ///
    /// Also notes the boot: one that has no end noted was a crash, and what was
    /// applied less than 10 minutes before is quarantined. Only what had settled
    /// earlier, having been in effect for longer or until a boot ended well, gets a
    /// second try.
    Boot {
        /// Note that this boot ends as it should; for the service manager
        #[arg(long)]
        end: bool,
    },
    /// Bring the parts for a module in that is being loaded; its init waits for this
    ///
    /// The kernel's side calls this for modules that updates in effect have parts for.
    /// After 10 s it waits no longer, and the parts go in when they can.
    #[command(hide = true)]
    Coming {
        /// The module
        module: String,
    },
    /// Poll the server, apply and undo what it says, report
    Daemon(Daemon),
    /// Print the completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual's pages, one a command, into a directory
    #[command(hide = true)]
    Man {
        /// The directory
        dir: PathBuf,
    },
}

/// Arguments of `uname`; -s without any.
#[derive(Debug, Args)]
pub struct Uname {
    /// All of it, in this order
    #[arg(long, short)]
    pub all: bool,
    /// The kernel's name
    #[arg(long, short = 's')]
    pub kernel_name: bool,
    /// The host's name
    #[arg(long, short = 'n')]
    pub nodename: bool,
    /// The effective release
    #[arg(long, short = 'r')]
    pub kernel_release: bool,
    /// The build of the kernel that was booted
    #[arg(long, short = 'v')]
    pub kernel_version: bool,
    /// The machine's architecture
    #[arg(long, short)]
    pub machine: bool,
}

/// Arguments of `enroll`.
#[derive(Debug, Args)]
pub struct Enroll {
    /// Address of the server, such as https://resplice.example
    #[arg(
        long,
        value_name = "URL",
        requires = "token_file",
        required_unless_present = "worker_key"
    )]
    pub server: Option<String>,
    /// File with the enrolment token, mode 0600
    #[arg(long, value_name = "FILE", requires = "server")]
    pub token_file: Option<PathBuf>,
    /// Name of this host [default: its host name]
    #[arg(long)]
    pub name: Option<String>,
    /// Kernel target [default: debian:RELEASE]
    #[arg(long, value_name = "ID")]
    pub target: Option<String>,
    /// The widest channel that this host takes updates from: edge, candidate or
    /// stable [default: stable]
    #[arg(long)]
    pub channel: Option<Channel>,
    /// Trust only these workers' keys (hex); without --server, for packages by hand
    #[arg(long, value_name = "HEX")]
    pub worker_key: Vec<String>,
    /// Trust this root of the server's repository, not the one that the server sends;
    /// without --server, for bundles
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Trust this key of the server's log, as `resplice-server audit key` prints it,
    /// not the one that the server sends; without --server, for bundles
    #[arg(long, value_name = "KEY")]
    pub log_key: Option<String>,
    /// Replace an earlier enrolment; the journal stays
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Only this update
    #[arg(long, value_name = "ID", conflicts_with = "package")]
    pub update: Option<String>,
    /// A package file
    #[arg(long, value_name = "FILE")]
    pub package: Option<PathBuf>,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// A bundle of a server's repository, for a host without a network
    ///
    /// Verified as strictly as what comes over the network: the metadata's
    /// signatures, expiry and versions against what this host has seen. It has to
    /// have a root and the log's key to begin with: `enroll --root FILE --log-key KEY`.
    #[arg(value_name = "BUNDLE", conflicts_with_all = ["package", "update", "force"])]
    pub bundle: Option<PathBuf>,
    /// Only this update, even if it was undone or refused before
    #[arg(long, value_name = "ID", conflicts_with = "package")]
    pub update: Option<String>,
    /// A package file
    #[arg(long, value_name = "FILE")]
    pub package: Option<PathBuf>,
    /// Also if the host went down the last time; needs --update or --package
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// Ids of updates, or beginnings of them
    #[arg(required_unless_present = "all")]
    pub ids: Vec<String>,
    /// All that are in effect, the newest first
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
}

/// Arguments of `daemon`.
#[derive(Debug, Args)]
pub struct Daemon {
    /// Seconds between polls, give or take a tenth
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub interval: u64,
    /// Write metrics for the textfile collector of Prometheus after each poll
    #[arg(long, value_name = "FILE")]
    pub textfile: Option<PathBuf>,
    /// Poll this often, then end
    #[arg(long, value_name = "N", hide = true)]
    pub polls: Option<u64>,
}
