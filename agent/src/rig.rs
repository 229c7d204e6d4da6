//! A stand-in for the kernel, for tests of the agent's steps: a directory like
//! `/sys/kernel/resplice`, and scripts in the place of `insmod` and `rmmod` that
//! change it as the core would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    agent::{Agent, Outcome},
    host::Host,
    journal::{By, Journal, State},
    kernel::Kernel,
    state::{Enrolment, StateDir},
};
use resplice_package::{Manifest, Package, SecretKey, example, part_member, part_name};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// A module's text is what becomes of it (`takes`: it does so, and takes the place
/// of all others), its number, how many parts there are,
/// and what it is for: `good 1 2 alpha`.
const INSMOD: &str = r#"#!/bin/sh
name=$(basename "$1" .ko)
check=$2
stat -c '%a' "$1" "$(dirname "$1")" >> DIR/modes
echo "insmod $name $check" >> DIR/calls
if [ "$name" = resplice ]; then mkdir -p DIR/sys/updates; echo 3 > DIR/sys/abi; : > DIR/sys/awaited; exit 0; fi
complain() { rm -rf DIR/sys/updates/"$name"; printf 'update: %s\n%s\n' "$name" "$1" > DIR/sys/report; echo "insmod: no" >&2; exit 1; }
read -r what part parts object < "$1"
case "$what" in
  takes) for old in DIR/sys/updates/*; do echo superseded > "$old"/state; echo 0 > "$old"/enabled; done ;;
  mismatch) complain 'function: u .text f mismatch +0x3 expected 90 found cc (text)
mismatch: 1 function does not match' ;;
  silent) rm -f DIR/sys/report; echo "insmod: Key was rejected by service" >&2; exit 1 ;;
esac
id=${name%_p*}
mkdir -p DIR/sys/updates/"$name"
cd DIR/sys/updates/"$name"
echo "$id" > id; echo "${part:-0}" > part; echo "${parts:-1}" > parts; echo "${object:-vmlinux}" > object
echo loaded > state; echo 0 > enabled
echo 41200 > pause_ns
if [ -z "$check" ] && [ "$(ls -d ../"$id" ../"$id"_p* 2>/dev/null | wc -l)" = "${parts:-1}" ]; then
  echo 1 > enabled
  DIR/react DIR/sys/updates/"$name"/enabled || complain 'resolved: 3 symbol references
busy: cat[7] is in f+0x12'
fi
"#;

/// What the core does when `enabled` is written to: all parts or none.
const REACT: &str = r#"#!/bin/sh
value=$(cat "$1")
id=$(cat "$(dirname "$1")"/id)
echo "enabled $value" >> DIR/calls
if [ -s DIR/busy ]; then
  words=$(head -n 1 DIR/busy)
  case "$words" in *:*) ;; *) words='busy: cat[7] is in f+0x12' ;; esac
  tail -n +2 DIR/busy > DIR/busy.new; mv DIR/busy.new DIR/busy
  printf 'update: %s\nresolved: 3 symbol references\n%s\n' "$id" "$words" > DIR/sys/report
  exit 1
fi
for part in DIR/sys/updates/"$id" DIR/sys/updates/"$id"_p*; do
  [ -d "$part" ] || continue
  if [ "$value" = 1 ]; then echo applied > "$part"/state; else echo undone > "$part"/state; fi
  echo "$value" > "$part"/enabled
done
"#;

const RMMOD: &str = r#"#!/bin/sh
echo "rmmod $1" >> DIR/calls
if [ "$1" = resplice ]; then rm -r DIR/sys; mkdir DIR/sys; exit; fi
if [ "$(cat DIR/sys/updates/"$1"/state)" = applied ]; then echo "rmmod: in use" >&2; exit 1; fi
rm -r DIR/sys/updates/"$1"
"#;

pub struct Rig {
    /// Removed again; another process's if there is none.
    _dir: Option<tempfile::TempDir>,
    root: PathBuf,
    pub state: StateDir,
}

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("state"));
        state.create().unwrap();
        fs::create_dir(dir.path().join("sys")).unwrap();
        fs::create_dir(dir.path().join("modules")).unwrap();
        for (name, text) in [("insmod", INSMOD), ("rmmod", RMMOD), ("react", REACT)] {
            let path = dir.path().join(name);
            fs::write(&path, text.replace("DIR", &dir.path().to_string_lossy())).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let root = dir.path().to_owned();
        Self {
            _dir: Some(dir),
            root,
            state,
        }
    }

    /// The rig that another process has made.
    pub fn existing(root: &Path) -> Self {
        Self {
            _dir: None,
            root: root.to_owned(),
            state: StateDir::new(&root.join("state")),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The agent as it comes up in the boot `boot`, before it reconciles.
    pub fn agent_in(&self, boot: &str) -> Agent {
        self.agent_with(Journal::open(&self.state.journal(), boot).unwrap())
    }

    pub fn agent_with(&self, journal: Journal) -> Agent {
        let boot = journal.boot().to_owned();
        Agent {
            state: self.state.clone(),
            enrolment: Enrolment {
                server: None,
                host_id: None,
                name: "host".to_owned(),
                target: "debian:6.1.0-50-cloud-amd64".to_owned(),
                worker_keys: vec![worker().public()],
                log_key: None,
                channel: resplice_api::Channel::Stable,
            },
            journal,
            kernel: Kernel::fake(
                ["sys", "modules"].map(|name| self.path(name)),
                ["insmod", "rmmod", "react"].map(|name| self.path(name)),
                self.state.load(),
            ),
            host: Host {
                name: "host".to_owned(),
                release: "6.1.0-50-cloud-amd64".to_owned(),
                boot_id: boot,
                uptime: Duration::from_secs(60),
            },
            busy_wait: Duration::from_millis(1),
        }
    }

    pub fn agent(&self) -> Agent {
        self.agent_in("boot-1")
    }

    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    pub fn is_live(&self) -> bool {
        self.is_part_live(0)
    }

    pub fn is_part_live(&self, number: usize) -> bool {
        let name = part_name(example::ID, number);
        let state = self.path("sys/updates").join(name).join("state");
        fs::read_to_string(state).is_ok_and(|state| state == "applied\n")
    }

    /// The modules that the core waits for, and the program that it would call.
    pub fn awaited(&self) -> (String, Vec<String>) {
        let text = fs::read_to_string(self.path("sys/awaited")).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().unwrap_or_default(), lines.collect())
    }

    /// A module that updates patch comes.
    pub fn modprobe(&self, name: &str) {
        let dir = self.path("modules").join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("initstate"), "live\n").unwrap();
    }

    /// Nothing of the update is loaded.
    pub fn is_empty(&self) -> bool {
        fs::read_dir(self.path("sys/updates")).is_ok_and(|mut dir| dir.next().is_none())
    }
}

pub fn worker() -> SecretKey {
    SecretKey::from_seed(&[42; 32])
}

/// The id on the server of the update that packages are of.
pub fn update() -> String {
    example::manifest().update_id
}

/// Applies the package of [`package_bytes`] as one from the server.
pub fn apply(agent: &mut Agent) {
    apply_bytes(agent, &package_bytes("good", |_| ()));
}

/// Applies a package as one from the server.
pub fn apply_bytes(agent: &mut Agent, bytes: &[u8]) -> Outcome {
    agent.store_package(&update(), bytes, By::Server).unwrap();
    let package = agent
        .verify_noted(&update(), bytes, None, By::Server)
        .unwrap();
    agent
        .apply(&package.ok().unwrap(), By::Server, Vec::new())
        .unwrap()
}

pub fn package_bytes(module: &str, edit: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let mut manifest = example::manifest();
    edit(&mut manifest);
    let mut members = example::members();
    members.insert(part_member(&manifest.id, 0), module.into());
    Package::write(manifest, members, &worker()).unwrap()
}

pub fn package(module: &str) -> Package {
    Package::open(&package_bytes(module, |_| ()), &[worker().public()]).unwrap()
}

/// An update of vmlinux and the modules alpha and beta.
pub fn mixed(words: [&str; 3]) -> Package {
    Package::open(&mixed_bytes(words), &[worker().public()]).unwrap()
}

/// The package of [`mixed`].
pub fn mixed_bytes(words: [&str; 3]) -> Vec<u8> {
    let mut manifest = example::manifest();
    let mut members = example::members();
    for (number, object) in ["vmlinux", "alpha", "beta"].into_iter().enumerate() {
        if number > 0 {
            manifest.parts.push(example::part(object));
        }
        let text = format!("{} {number} 3 {object}\n", words[number]);
        members.insert(part_member(example::ID, number), text.into_bytes());
    }
    Package::write(manifest, members, &worker()).unwrap()
}

pub fn states(path: &Path) -> Vec<State> {
    Journal::view(path, "boot-1")
        .unwrap()
        .entries()
        .iter()
        .map(|entry| entry.state)
        .collect()
}
