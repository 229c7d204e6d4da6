//! A PostgreSQL server for tests and benchmarks: one for all processes that run at
//! the same time, on a socket in a directory that only its user can enter, with a
//! database for each test. What fails here is the machine's fault, and ends the test.
//!
//! Each process holds a shared lock as long as it lives, however it ends. A shell
//! of the first one waits until nobody holds it, then stops the server and removes
//! its files.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sqlx::{Connection, Executor, PgConnection};
use std::{
    fs::{self, File},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// PostgreSQL refuses to run as root; Debian's package has made this user.
const USER: &str = "postgres";
const OPTIONS: &str = "-c max_connections=400 -c shared_buffers=64MB -c listen_addresses= \
    -c log_min_messages=fatal";
/// What tests need not wait for, since nothing of theirs has to survive.
const QUICK: &str = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off";

/// Whether what is committed would survive a power cut, as it does in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It would not: for tests.
    Quick,
    /// It would: for benchmarks.
    Durable,
}

/// A database, removed when this is dropped.
#[derive(Debug)]
pub struct Database {
    cluster: &'static Cluster,
    name: String,
}

impl Database {
    /// A database that is empty, on a server that is started if there is none.
    ///
    /// # Panics
    /// If the machine has no PostgreSQL, or it does not start.
    pub async fn create(kind: Kind) -> Self {
        let cluster = Cluster::get(kind);
        let name = format!("t{}", uuid::Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&cluster.url(USER)).await.unwrap();
        // 7 MB of files are copied in any case; their log need not be.
        let sql = format!("CREATE DATABASE {name} STRATEGY file_copy");
        let sql = sqlx::AssertSqlSafe(sql);
        connection.execute(sql).await.unwrap();
        Self { cluster, name }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut drop = Command::new(self.cluster.programs.join("dropdb"));
        drop.args(["--force", "--if-exists", "-U", USER, "-h"]);
        let _ = quiet(drop.arg(&self.cluster.directory).arg(&self.name)).status();
    }
}

#[derive(Debug)]
struct Cluster {
    kind: Kind,
    directory: PathBuf,
    programs: PathBuf,
    as_root: bool,
    /// Holds the lock of those who use the server.
    _using: File,
}

impl Cluster {
    fn get(kind: Kind) -> &'static Self {
        static QUICK: OnceLock<Cluster> = OnceLock::new();
        static DURABLE: OnceLock<Cluster> = OnceLock::new();
        let cluster = match kind {
            Kind::Quick => &QUICK,
            Kind::Durable => &DURABLE,
        };
        cluster.get_or_init(|| Self::join(kind))
    }

    fn url(&self, database: &str) -> String {
        let directory = self.directory.display();
        format!("postgres:///{database}?host={directory}&user={USER}")
    }

    /// Begins to use the server, and starts it if it does not run.
    fn join(kind: Kind) -> Self {
        let uid = fs::metadata("/proc/self").unwrap().uid();
        let name = match kind {
            Kind::Quick => format!("resplice-postgres-{uid}"),
            Kind::Durable => format!("resplice-postgres-durable-{uid}"),
        };
        let home = std::env::temp_dir().join(name);
        let made = fs::DirBuilder::new().mode(0o711).create(&home);
        if let Err(error) = made {
            let owner = fs::symlink_metadata(&home).map(|data| data.uid()).ok();
            assert_eq!(owner, Some(uid), "{} is not ours: {error}", home.display());
        }
        let lock = |name: &str| {
            let mut options = File::options();
            options.create(true).truncate(false).write(true);
            options.open(home.join(name)).unwrap()
        };
        let using = lock("using");
        using.lock_shared().unwrap();
        let cluster = Self {
            kind,
            directory: home.join("server"),
            programs: programs(),
            as_root: uid == 0,
            _using: using,
        };
        let starting = lock("starting");
        starting.lock().unwrap();
        if !cluster.runs() {
            cluster.start();
            cluster.stop_when_unused(&home);
        }
        cluster
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn runs(&self) -> bool {
        let mut status = self.program("pg_ctl");
        let status = quiet(status.arg("status").arg("-D").arg(self.data())).status();
        status.unwrap().success()
    }

    fn start(&self) {
        let _ = fs::remove_dir_all(&self.directory);
        let mut make = fs::DirBuilder::new();
        make.mode(0o700).create(&self.directory).unwrap();
        if self.as_root {
            let mut chown = Command::new("chown");
            run(chown.arg(USER).arg(&self.directory));
        }
        let mut init = self.program("initdb");
        init.args(["-A", "trust", "-U", USER, "-E", "UTF8"]);
        init.args(["--locale=C.UTF-8", "--no-sync", "-D"]);
        run(init.arg(self.data()));
        let socket = self.directory.display();
        let mut options = format!("{OPTIONS} -c unix_socket_directories={socket}");
        if self.kind == Kind::Quick {
            options = format!("{options} {QUICK}");
        }
        let mut start = self.program("pg_ctl");
        start.args(["start", "-w", "-o", &options, "-l"]);
        run(start
            .arg(self.directory.join("log"))
            .arg("-D")
            .arg(self.data()));
    }

    fn stop_when_unused(&self, home: &Path) {
        const SCRIPT: &str = r#"
            stop() { "$@" stop -m immediate -D server/data; rm -rf server; }
            cd "$0" || exit
            while sleep 2; do
                exec 9>using
                if flock -n 9; then stop "$@" 9>&-; exit; fi
                exec 9>&-
            done &"#;
        let control = self.program("pg_ctl");
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT]).arg(home);
        shell.arg(control.get_program()).args(control.get_args());
        run(shell.process_group(0));
    }

    /// A program of PostgreSQL's, as a user that it runs as.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        if !self.as_root {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]);
        command.arg(path);
        command.current_dir("/");
        command
    }
}

/// The directory of the newest PostgreSQL's programs.
fn programs() -> PathBuf {
    const ROOT: &str = "/usr/lib/postgresql";
    let versions = fs::read_dir(ROOT).expect("deploy/setup --test installs PostgreSQL");
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max();
    Path::new(ROOT)
        .join(newest.unwrap().to_string())
        .join("bin")
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

fn run(command: &mut Command) {
    // What a server inherits stays open as long as it runs: no pipes.
    let status = quiet(command).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
