//! What a sandbox keeps in, whichever the crate around it starts.

use resplice_worker::{
    log::Log,
    sandbox::{Bind, Limits, Sandbox, SandboxError, Step},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

struct Bench {
    dir: TempDir,
    log: Log,
    sandbox: Box<dyn Sandbox>,
    // Last: what it runs on goes after it.
    _host: crate::Host,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let log = Log::create(&dir.path().join("log"), false).unwrap();
        let (sandbox, host) = crate::start(dir.path()).await;
        Self {
            dir,
            log,
            sandbox,
            _host: host,
        }
    }

    async fn run(
        &self,
        script: &str,
        limits: Limits,
        binds: Vec<Bind>,
    ) -> Result<i32, SandboxError> {
        let step = Step {
            name: "test".to_owned(),
            argv: ["bash", "-c", script].map(str::to_owned).to_vec(),
            cwd: "/".to_owned(),
            env: vec![("MARK".to_owned(), "set".to_owned())],
            binds,
            limits,
        };
        self.sandbox.run(&step, &self.log).await
    }

    async fn code(&self, script: &str) -> i32 {
        self.run(script, Limits::default(), Vec::new())
            .await
            .unwrap()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }
}

fn short(wall: Duration) -> Limits {
    Limits {
        wall,
        ..Limits::default()
    }
}

#[tokio::test]
async fn exit_code_output_and_environment_come_through() {
    let bench = Bench::new().await;
    assert_eq!(
        bench
            .code("echo out; echo err >&2; echo $MARK; exit 3")
            .await,
        3
    );
    // An engine keeps two streams, whose order among each other it does not know.
    let said = bench.said();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err", "out", "set"]);
}

#[tokio::test]
async fn there_is_no_network() {
    let bench = Bench::new().await;
    // Of the interfaces only the loopback is there.
    assert_eq!(bench.code("test $(grep -c : /proc/net/dev) = 1").await, 0);
    assert_ne!(bench.code("exec 3<>/dev/tcp/192.0.2.1/80").await, 0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_ne!(
        bench
            .code(&format!("exec 3<>/dev/tcp/127.0.0.1/{port}"))
            .await,
        0
    );
}

#[tokio::test]
async fn a_signing_key_can_not_be_read() {
    let bench = Bench::new().await;
    let key = bench.dir.path().join("worker.key");
    fs::write(&key, "secret").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_ne!(bench.code(&format!("cat {}", key.display())).await, 0);
    assert_ne!(bench.code("ls /root /home").await, 0);
    assert_ne!(bench.code("test -r /etc/shadow").await, 0);
    // Nor through another process, nor from this one's environment.
    assert_ne!(bench.code("ls /proc/*/root/root /proc/1/cwd/root").await, 0);
    assert_ne!(bench.code("env | grep -q CARGO").await, 0);
    // Even a key that someone mounted by mistake stays closed to root's sandbox.
    if bench.sandbox.owner().is_some() {
        let binds = vec![Bind::read_only(&key, "/resplice/key")];
        let code = bench
            .run("cat /resplice/key", Limits::default(), binds)
            .await;
        assert_ne!(code.unwrap(), 0);
    }
    assert!(!bench.said().contains("secret"));
}

#[tokio::test]
async fn nothing_can_be_written_but_what_is_given() {
    let bench = Bench::new().await;
    let given = bench.dir.path().join("given");
    let shown = bench.dir.path().join("shown");
    for path in [&given, &shown] {
        fs::create_dir(path).unwrap();
        if let Some(owner) = bench.sandbox.owner() {
            std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
        }
    }
    let binds = vec![
        Bind::writable(&given, "/resplice/given"),
        Bind::read_only(&shown, "/resplice/shown"),
    ];
    let script = "touch /resplice/given/yes || exit 1
        for path in /resplice/shown /resplice / /usr /usr/bin /etc /dev /proc/sys/kernel; do
            (echo x > $path/no) 2>/dev/null && { echo wrote to $path; exit 2; }
        done
        touch /tmp/yes && ! touch /usr/bin/bash && ! rm /usr/bin/true";
    let code = bench.run(script, Limits::default(), binds).await.unwrap();
    assert_eq!(code, 0, "{}", bench.said());
    assert!(given.join("yes").exists());
    assert!(!Path::new("/tmp/yes").exists());
}

#[tokio::test]
async fn there_is_no_privilege_to_use_or_to_gain() {
    let bench = Bench::new().await;
    let script = "grep -q '^CapEff:.0*$' /proc/self/status && grep -q '^NoNewPrivs:.1$' /proc/self/status \
        && ! mount -t tmpfs none /tmp && ! unshare --mount true";
    // Where user namespaces are allowed to anyone, unshare alone may work; the rest may not.
    let without =
        "grep -q '^CapEff:.0*$' /proc/self/status && grep -q '^NoNewPrivs:.1$' /proc/self/status";
    assert_eq!(bench.code(without).await, 0);
    assert_eq!(bench.code(script).await, 0, "{}", bench.said());
    if bench.sandbox.owner().is_some() {
        assert_eq!(
            bench
                .code("test $(id -u) = 65534 && test $(id -G) = 65534")
                .await,
            0
        );
    }
}

#[tokio::test]
async fn a_timeout_kills_everything_that_was_started() {
    let bench = Bench::new().await;
    let mark = format!("3{}", std::process::id());
    let script = format!("setsid sleep {mark} & (trap '' TERM HUP; sleep {mark}) & sleep {mark}");
    let begun = Instant::now();
    let outcome = bench
        .run(&script, short(Duration::from_secs(1)), Vec::new())
        .await;
    assert!(
        matches!(outcome, Err(SandboxError::TimedOut { .. })),
        "{outcome:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(survivors(&mark), 0);
}

#[tokio::test]
async fn dropping_a_running_step_kills_it() {
    let bench = Bench::new().await;
    let mark = format!("4{}", std::process::id());
    let script = format!("sleep {mark} & sleep {mark}");
    let run = bench.run(&script, Limits::default(), Vec::new());
    assert!(
        tokio::time::timeout(Duration::from_secs(1), run)
            .await
            .is_err()
    );
    assert_eq!(survivors(&mark), 0);
}

#[tokio::test]
async fn a_flood_of_output_is_cut_off() {
    let bench = Bench::new().await;
    let limits = Limits {
        output_bytes: 10_000,
        ..short(Duration::from_secs(60))
    };
    let outcome = bench.run("yes", limits, Vec::new()).await;
    assert!(
        matches!(
            outcome,
            Err(SandboxError::OutputLimit { limit: 10_000, .. })
        ),
        "{outcome:?}"
    );
    assert_eq!(bench.said().len(), 10_000);
}

/// What a patch can make a compiler do.
#[tokio::test]
async fn code_that_is_compiled_takes_in_nothing_but_what_is_given() {
    let bench = Bench::new().await;
    let key = bench.dir.path().join("worker.key");
    fs::write(&key, "secret").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let key = key.display();
    let compile = |source: &str| format!("printf '%s' '{source}' | gcc-12 -x c -c -o /tmp/out.o -");
    assert_eq!(
        bench.code(&compile("int fine;")).await,
        0,
        "{}",
        bench.said()
    );
    for source in [
        format!("asm(\".incbin \\\"{key}\\\"\");"),
        format!("asm(\".include \\\"{key}\\\"\");"),
        format!("#include \"{key}\"\n"),
        "#include \"/etc/shadow\"\n".to_owned(),
        "asm(\".incbin \\\"/proc/1/root/etc/shadow\\\"\");".to_owned(),
        "#include \"/proc/self/root/../root/.ssh/id_ed25519\"\n".to_owned(),
    ] {
        assert_ne!(bench.code(&compile(&source)).await, 0, "{source}");
    }
    assert!(!bench.said().contains("secret"));
    // Nor do files come to lie elsewhere.
    for place in ["/usr/lib/x.o", "/resplice/x.o", "/etc/x.o"] {
        let elsewhere = format!("echo 'int x;' | gcc-12 -x c -c -o {place} -");
        assert_ne!(bench.code(&elsewhere).await, 0, "{place}");
    }
}

#[tokio::test]
async fn what_a_step_leaves_behind_ends_with_it() {
    let bench = Bench::new().await;
    let mark = format!("5{}", std::process::id());
    let script =
        format!("(trap '' HUP TERM; setsid sleep {mark} >/dev/null 2>&1 </dev/null &) ; exit 0");
    assert_eq!(bench.code(&script).await, 0);
    assert_eq!(survivors(&mark), 0);
}

#[tokio::test]
async fn a_full_disk_and_a_fork_bomb_are_the_steps_own() {
    let bench = Bench::new().await;
    // Each file is small enough; all together are not.
    let fill = "for i in 1 2 3 4 5; do head -c 256M /dev/zero > /tmp/$i || exit 7; done";
    assert_eq!(bench.code(fill).await, 7);
    let limits = Limits {
        processes: 64,
        ..short(Duration::from_secs(4))
    };
    let mark = format!("6{}", std::process::id());
    let bomb = format!("bomb() {{ bomb | bomb & }}; sleep {mark} & bomb; wait; sleep {mark}");
    let _ = bench.run(&bomb, limits, Vec::new()).await;
    assert_eq!(survivors(&mark), 0);
    assert_eq!(bench.code("true").await, 0, "the next step is as before");
}

#[tokio::test]
async fn memory_files_and_processes_have_limits() {
    let bench = Bench::new().await;
    let memory = Limits {
        memory_bytes: 256 << 20,
        ..Limits::default()
    };
    let eat = "x=$(head -c 400M /dev/zero | tr '\\0' x); echo ${#x}";
    assert_ne!(bench.run(eat, memory, Vec::new()).await.unwrap_or(137), 0);
    let file = Limits {
        file_bytes: 1 << 20,
        ..Limits::default()
    };
    let write = "head -c 2M /dev/zero > /tmp/file";
    assert_ne!(bench.run(write, file, Vec::new()).await.unwrap(), 0);
    let processes = Limits {
        processes: 8,
        ..Limits::default()
    };
    let fork = "for i in $(seq 50); do sleep 5 & done; echo fifty";
    bench.run(fork, processes, Vec::new()).await.unwrap();
    assert!(!bench.said().contains("fifty"), "{}", bench.said());
}

/// How many processes sleep for `mark` seconds; waits a moment for them to go.
fn survivors(mark: &str) -> usize {
    let begun = Instant::now();
    loop {
        let count = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .filter(|line| *line == format!("sleep\0{mark}\0").into_bytes())
            .count();
        if count == 0 || begun.elapsed() > Duration::from_secs(10) {
            return count;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
