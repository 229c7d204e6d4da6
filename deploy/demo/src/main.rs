//! `make demo`: a source patch goes live in a kernel that Debian built.
//!
//! Every part is the real one: the server, a worker, the agent inside a stock
//! kernel in QEMU, and HTTP between them. This program only plays the people.
#![forbid(unsafe_code)]

mod fix;
mod guest;
mod say;
mod service;
mod timeline;

use anyhow::{Context, Result, ensure};
use fix::Fix;
use guest::Host;
use resplice_target::{Bars, Cache, Target, TargetId};
use serde_json::Value;
use service::{Service, output, program};
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn main() -> std::process::ExitCode {
    match demo() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&format!("{error:#}"));
            std::process::ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<()> {
    let cache = Cache::from_env();
    say::chapter("A kernel that Debian built");
    let target = import(&cache)?;
    let fix = Fix::choose(&target)?;
    say::line(&format!("{}: {}", fix.name, fix.why));

    let data = cache.root().join("demo");
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("clear {}", data.display()))?;
    }
    std::fs::create_dir_all(&data)?;
    let check = fix.compile_check(&data)?;

    say::chapter("The service");
    let mut service = Resplice::start(&data, &cache)?;
    say::line(&format!("server at {}, one worker", service.url));

    say::chapter("The security team uploads a patch");
    let update = service.upload(&fix, &check, target.id())?;
    service.release(&update)?;

    say::chapter("A host with the stock kernel");
    let host = Host::boot(&target, service.port()?, &service.token("enrol"), &check)?;
    play(&host)?;

    say::chapter("Timeline");
    timeline::print(&service.show(&update)?);
    service.linger(&update)
}

/// The whole point: vulnerable, fixed, vulnerable again, and no reboot.
fn play(host: &Host) -> Result<()> {
    let boot = host.boot_id()?;
    say::line(&format!("{}, up {} s", host.kernel()?, host.uptime()?));
    host.check(guest::VULNERABLE)?;
    host.agent(
        "enroll --server http://10.0.2.100:80 --token-file /root/enrol.token --name host-1 \
         --channel edge",
    )?;
    host.agent("apply")?;
    host.check(guest::FIXED)?;
    host.agent("status")?;
    ensure!(host.boot_id()? == boot, "the host was rebooted");
    say::line(&format!("up {} s, not rebooted", host.uptime()?));
    host.agent("undo --all")?;
    host.check(guest::VULNERABLE)?;
    host.log_is_clean()
}

fn import(cache: &Cache) -> Result<Target> {
    let spec = std::env::var("TARGET").unwrap_or_else(|_| "debian:oldest-cloud".to_owned());
    let id = resplice_target::resolve(&spec.parse().with_context(|| format!("read {spec}"))?)?;
    let target = Target::import(cache, &id, &Bars::new())?;
    say::line(&format!(
        "{} ({}), built by {}",
        target.id(),
        target.package_version(),
        target.cc_version_text()
    ));
    Ok(target)
}

/// A server and a worker that run until this value is dropped.
struct Resplice {
    data: PathBuf,
    url: String,
    // The worker goes first: it hands back what it holds.
    worker: Service,
    server: Service,
}

impl Resplice {
    fn start(data: &Path, cache: &Cache) -> Result<Self> {
        let mut serve = Command::new(program("resplice-server")?);
        serve
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(data.join("server"))
            .arg("--cache")
            .arg(cache.root());
        let mut server = Service::start("resplice-server", serve, data.join("server.log"))?;
        let url = server.await_line("listening on ", Duration::from_secs(30))?;

        let key = data.join("worker.pem");
        let mut keygen = Command::new(program("resplice-worker")?);
        output(keygen.arg("keygen").arg(&key))?;
        let mut run = Command::new(program("resplice-worker")?);
        run.args(["run", "--server", &url])
            .arg("--token-file")
            .arg(data.join("server/tokens/worker.token"))
            .arg("--server-key")
            .arg(data.join("server/jobs/key.pub"))
            .arg("--key")
            .arg(&key)
            .arg("--cache")
            .arg(cache.root());
        let worker = Service::start("resplice-worker", run, data.join("worker.log"))?;
        Ok(Self {
            data: data.to_owned(),
            url,
            worker,
            server,
        })
    }

    fn port(&self) -> Result<u16> {
        let port = self.url.rsplit(':').next().unwrap_or_default();
        port.parse()
            .with_context(|| format!("read the port of {}", self.url))
    }

    fn token(&self, role: &str) -> PathBuf {
        self.data.join(format!("server/tokens/{role}.token"))
    }

    /// `resplice-server update VERB`, as the holder of a role's token.
    fn update(&self, verb: &str, role: &str) -> Result<Command> {
        let mut command = Command::new(program("resplice-server")?);
        command
            .args(["update", verb, "--server", &self.url])
            .arg("--token-file")
            .arg(self.token(role));
        Ok(command)
    }

    fn upload(&mut self, fix: &Fix, check: &Path, target: &TargetId) -> Result<String> {
        let script = self.data.join("check.sh");
        std::fs::write(&script, "exec ./check\n")?;
        let mut command = self.update("upload", "team")?;
        command.args(["--target", &target.to_string(), "--name", fix.name]);
        for cve in fix.cves {
            command.args(["--cve", cve]);
        }
        command
            .arg("--check")
            .arg(&script)
            .arg("--check-file")
            .arg(check);
        say::command("resplice-server update upload --wait", fix.patch);
        let before = self.ids()?;
        service::shown(
            command.arg("--wait").arg(fix.path()),
            &mut [&mut self.server, &mut self.worker],
        )?;
        self.ids()?
            .into_iter()
            .find(|id| !before.contains(id))
            .context("the server lists no new update")
    }

    fn ids(&self) -> Result<Vec<String>> {
        let list: Value =
            serde_json::from_str(&output(self.update("list", "team")?.arg("--json"))?)?;
        let updates = list.get("updates").unwrap_or(&list).as_array().cloned();
        Ok(updates
            .unwrap_or_default()
            .iter()
            .filter_map(|update| Some(update.get("id")?.as_str()?.to_owned()))
            .collect())
    }

    fn release(&self, update: &str) -> Result<()> {
        say::command("resplice-server update release", "as a release engineer");
        service::shown(
            self.update("release", "engineer")?.args([
                "--comment",
                "verified on the stock kernel",
                update,
            ]),
            &mut [],
        )
    }

    fn show(&self, update: &str) -> Result<Value> {
        let text = output(self.update("show", "team")?.args(["--json", update]))?;
        serde_json::from_str(&text).context("read the update")
    }

    /// Says where the update is to be seen; on a terminal, stays until Enter.
    fn linger(&self, update: &str) -> Result<()> {
        say::address(&format!("{}/updates/{update}", self.url));
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            say::line(&format!(
                "sign in with the token in {}; press Enter to end the service",
                self.token("engineer").display()
            ));
            std::io::stdin().lock().read_line(&mut String::new())?;
        } else {
            say::line(&format!(
                "to look at it: resplice-server serve --data {} --listen {}",
                self.data.join("server").display(),
                self.url.trim_start_matches("http://")
            ));
        }
        Ok(())
    }
}
