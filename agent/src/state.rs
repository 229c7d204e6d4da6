//! The state directory: who this host is, whom it trusts, and what it has done.
//!
//! ```text
//! host.json        server, host id, target, trusted worker keys
//! host.key         the host's own ed25519 key
//! token            what it shows the server
//! log.json         the newest checkpoint of the server's log that was seen
//! journal.jsonl    see [`crate::journal`]
//! rollout.json     when updates may come, see [`crate::rollout`]
//! sent             number of the last journal entry that the server knows
//! plan.json        the server's last plan with its ETag
//! poll.json        when the server was last asked, and how that ended
//! boot.json        the newest boot, and whether it ended as it should
//! pause.json       there while nothing is to be applied
//! repository/      the server's TUF repository, as far as it is known and trusted
//! packages/        packages, by sha256
//! load/            module files while they are being loaded
//! lock             held by the process that changes anything
//! ```
//! Directories have mode 0700, files 0600.

use crate::fault;
use anyhow::{Context, Result, bail, ensure};
use resplice_api::{Channel, HostId, Token};
use resplice_package::PublicKey;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Largest file in bytes that is read from the state directory, packages apart.
const MAX_STATE_BYTES: u64 = 8 << 20;
/// How long a command waits for another one to finish.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// What enrolment settled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The server's address; none on a host that takes packages by hand.
    pub server: Option<String>,
    /// The id that the server gave.
    pub host_id: Option<HostId>,
    /// The host's name on the server.
    pub name: String,
    /// The kernel target, `debian:RELEASE`.
    pub target: String,
    /// Workers whose packages are accepted.
    pub worker_keys: Vec<PublicKey>,
    /// Who signs the server's transparency log.
    #[serde(default)]
    pub log_key: Option<String>,
    /// The widest channel that updates are taken from, whatever the server says.
    #[serde(default)]
    pub channel: Channel,
}

/// The state directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

/// Keeps other processes from changing anything; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl StateDir {
    /// Names a state directory, without touching it.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Makes the directory if it is not there.
    ///
    /// # Errors
    /// If it can't be made, or others may enter it.
    pub fn create(&self) -> Result<()> {
        make_dir(&self.path)?;
        make_dir(&self.packages())?;
        make_dir(&self.load())
    }

    /// Checks that the directory is there and private.
    ///
    /// # Errors
    /// If this host is not enrolled or others may enter the directory.
    pub fn check(&self) -> Result<()> {
        let path = self.path.display();
        let metadata = fs::metadata(&self.path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow::anyhow!(
                "this host is not enrolled ({path} is not there): run `resplice enroll`"
            ),
            ErrorKind::PermissionDenied => anyhow::anyhow!("can't enter {path}: run as root"),
            _ => anyhow::anyhow!("can't enter {path}: {error}"),
        })?;
        let mode = metadata.mode() & 0o777;
        ensure!(
            mode & 0o077 == 0,
            "others may enter the state directory {path} (mode {mode:04o}): run `chmod 700 {path}`"
        );
        Ok(())
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// If another process keeps it for a minute.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.path.join("lock");
        let file = private_file(&path)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_WAIT => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(TryLockError::WouldBlock) => {
                    bail!("another resplice process is at work on this host; try again later")
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("can't lock {}", path.display()));
                }
            }
        }
    }

    /// The journal's path.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Where packages are kept.
    #[must_use]
    pub fn packages(&self) -> PathBuf {
        self.path.join("packages")
    }

    /// Where module files lie while they are loaded.
    #[must_use]
    pub fn load(&self) -> PathBuf {
        self.path.join("load")
    }

    /// Removes the module files that an agent left which was killed.
    ///
    /// # Errors
    /// If the directory can't be read or written.
    pub fn clear_load(&self) -> Result<()> {
        let dir = self.load();
        let failed = || format!("can't clear {}", dir.display());
        for file in fs::read_dir(&dir).with_context(failed)? {
            fs::remove_file(file.with_context(failed)?.path()).with_context(failed)?;
        }
        Ok(())
    }

    /// What is known and trusted of the server's repository.
    #[must_use]
    pub fn repository(&self) -> PathBuf {
        self.path.join("repository")
    }

    /// The host's own key.
    #[must_use]
    pub fn host_key(&self) -> PathBuf {
        self.path.join("host.key")
    }

    /// A package in the cache.
    #[must_use]
    pub fn package(&self, sha256: &str) -> PathBuf {
        self.packages().join(format!("{sha256}.rspl"))
    }

    /// Reads the enrolment.
    ///
    /// # Errors
    /// If this host is not enrolled or the file is damaged.
    pub fn enrolment(&self) -> Result<Enrolment> {
        self.check()?;
        self.read_json("host.json")?
            .context("this host is not enrolled: run `resplice enroll`")
    }

    /// Stores the enrolment; the last step of it.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn store_enrolment(&self, enrolment: &Enrolment) -> Result<()> {
        self.write_json("host.json", enrolment)
    }

    /// The host's token.
    ///
    /// # Errors
    /// If it is not there or can't be read.
    pub fn token(&self) -> Result<Token> {
        Ok(Token::from_file(&self.path.join("token"))?)
    }

    /// Stores the host's token.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn store_token(&self, token: &Token) -> Result<()> {
        replace(&self.path.join("token"), token.secret().as_bytes())
    }

    /// Number of the last journal entry that the server knows.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn sent(&self) -> Result<u64> {
        Ok(self.read_json("sent")?.unwrap_or(0))
    }

    /// Stores that number.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn store_sent(&self, seq: u64) -> Result<()> {
        self.write_json("sent", &seq)
    }

    /// Reads a JSON file; none if it is not there.
    ///
    /// # Errors
    /// If it is too large or damaged.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("can't read {}", path.display()));
            }
        };
        let mut bytes = Vec::new();
        file.take(MAX_STATE_BYTES).read_to_end(&mut bytes)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is damaged; enrol again", path.display()))
    }

    /// Removes a file; it is none if that is done already.
    ///
    /// # Errors
    /// If it can't be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("can't remove {}", path.display()))
            }
            _ => Ok(File::open(&self.path)?.sync_all()?),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a JSON file in one step.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        replace(&self.path.join(name), &serde_json::to_vec(value)?)
    }
}

/// Replaces a file's contents in one step that a crash can't cut in half.
///
/// # Errors
/// If the directory can't be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("can't write {}", path.display());
    let mut name = path.file_name().with_context(failed)?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .with_context(failed)?;
    fault::write_all(&mut file, bytes).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    fault::point();
    fs::rename(&new, path).with_context(failed)?;
    fault::point();
    let dir = path.parent().with_context(failed)?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .with_context(failed)
}

fn private_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("can't open {}: run as root", path.display()))
}

fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| {
            format!(
                "can't make {}: run as root, or name another --state",
                path.display()
            )
        })?;
    let mode = fs::metadata(path)?.mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "others may enter {0} (mode {mode:04o}): run `chmod 700 {0}`",
        path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn everything_in_the_state_directory_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("a/b"));
        state.create().unwrap();
        let token = Token::new("0123456789abcdef").unwrap();
        state.store_token(&token).unwrap();
        state.store_sent(7).unwrap();
        drop(state.lock().unwrap());
        for entry in fs::read_dir(dir.path().join("a/b")).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o077, 0, "{entry:?}");
        }
        assert_eq!(state.token().unwrap(), token);
        assert_eq!(state.sent().unwrap(), 7);
    }

    #[test]
    fn a_state_directory_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(state.check().is_err());
        assert!(state.create().is_err());
    }

    #[test]
    fn a_host_that_is_not_enrolled_says_what_to_do() {
        let state = StateDir::new(Path::new("/nonexistent/resplice"));
        let error = format!("{:#}", state.enrolment().unwrap_err());
        assert!(error.contains("resplice enroll"), "{error}");
    }
}
