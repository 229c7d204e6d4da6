//! The kernel's side: what `/sys/kernel/resplice` says, and loading modules.
//!
//! Modules are loaded by the system's own `insmod`, found in fixed directories.
//! Why a load failed is never read from an errno but from the core's report.

mod report;
mod tools;

pub use report::LoadReport;
pub use tools::hint;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};
use tools::{ModuleFile, run, tool};

/// The core's interface that this agent speaks.
pub const ABI: &str = "2";
/// Most bytes read from any one file of sysfs: the core's own limit on a report.
const MAX_SYSFS_BYTES: u64 = 4 << 20;

/// Access to the running kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    sysfs: PathBuf,
    insmod: Option<PathBuf>,
    rmmod: Option<PathBuf>,
    load_dir: PathBuf,
}

/// An update as the kernel sees it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LiveUpdate {
    /// Id in the kernel.
    pub id: String,
    /// `loaded`, `applied` or `undone`.
    pub state: String,
    /// The patched object.
    pub object: String,
    /// One line a function: `name unit old_addr size -> new_addr size`.
    pub functions: Vec<String>,
    /// How long the machine stood still, in nanoseconds.
    pub pause_ns: Option<u64>,
    /// How much of that was spent on the change itself, in nanoseconds.
    pub work_ns: Option<u64>,
    /// How often it was tried.
    pub attempts: Option<u64>,
    /// Bytes of memory that it takes.
    pub bytes: Option<u64>,
}

impl LiveUpdate {
    /// Whether its functions are in effect.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.state == "applied"
    }
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// The kernel took the module.
    Done,
    /// It did not; what the core and the tool said.
    Refused {
        /// From the core; empty if it had no say.
        report: LoadReport,
        /// From the tool.
        stderr: String,
    },
}

/// How writing `0` to `enabled` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// The old functions are back.
    Done,
    /// Tasks are in the new functions: `pid comm function+0xoff` each.
    Busy(Vec<String>),
}

impl Kernel {
    /// The running kernel. `load_dir` is a private directory for module files.
    ///
    /// For tests of the agent alone, `RESPLICE_SYSFS`, `RESPLICE_INSMOD` and
    /// `RESPLICE_RMMOD` name another directory and other programs.
    #[must_use]
    pub fn running(load_dir: PathBuf) -> Self {
        let from_env = |name| std::env::var_os(name).map(PathBuf::from);
        Self {
            sysfs: from_env("RESPLICE_SYSFS")
                .unwrap_or_else(|| PathBuf::from("/sys/kernel/resplice")),
            insmod: from_env("RESPLICE_INSMOD"),
            rmmod: from_env("RESPLICE_RMMOD"),
            load_dir,
        }
    }

    /// A stand-in for tests.
    #[cfg(test)]
    pub fn fake(sysfs: PathBuf, insmod: PathBuf, rmmod: PathBuf, load_dir: PathBuf) -> Self {
        Self {
            sysfs,
            insmod: Some(insmod),
            rmmod: Some(rmmod),
            load_dir,
        }
    }

    /// The loaded core's interface number; none if it is not loaded.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn abi(&self) -> Result<Option<String>> {
        read(&self.sysfs.join("abi"))
    }

    /// The core's report on the last load, as text.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn report(&self) -> Result<Option<String>> {
        read(&self.sysfs.join("report"))
    }

    /// The updates that are loaded, in the order of their ids.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn updates(&self) -> Result<Vec<LiveUpdate>> {
        let dir = self.sysfs.join("updates");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(error).with_context(|| format!("can't list {}", dir.display()));
            }
        };
        let mut updates = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if let Some(update) = name
                .to_str()
                .map(|id| self.update(id))
                .transpose()?
                .flatten()
            {
                updates.push(update);
            }
        }
        updates.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(updates)
    }

    /// One update; none if it is not loaded.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn update(&self, id: &str) -> Result<Option<LiveUpdate>> {
        let dir = self.update_dir(id)?;
        let Some(state) = read(&dir.join("state"))? else {
            return Ok(None);
        };
        let number = |name| -> Result<Option<u64>> {
            Ok(read(&dir.join(name))?.and_then(|text| text.parse().ok()))
        };
        Ok(Some(LiveUpdate {
            id: id.to_owned(),
            state,
            object: read(&dir.join("object"))?.unwrap_or_default(),
            functions: lines(read(&dir.join("functions"))?),
            pause_ns: number("pause_ns")?,
            work_ns: number("work_ns")?,
            attempts: number("attempts")?,
            bytes: number("bytes")?,
        }))
    }

    /// Tasks that stood in the way the last time.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn conflicts(&self, id: &str) -> Result<Vec<String>> {
        Ok(lines(read(&self.update_dir(id)?.join("conflicts"))?))
    }

    /// Asks the core to undo an update.
    ///
    /// # Errors
    /// If the update is not loaded or the core refuses for another reason than
    /// tasks in the way.
    pub fn disable(&self, id: &str) -> Result<Undo> {
        let path = self.update_dir(id)?.join("enabled");
        let written = OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(b"0"));
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                return Ok(Undo::Busy(self.conflicts(id)?));
            }
            Err(error) => {
                let report = LoadReport::parse(&self.report()?.unwrap_or_default());
                let words = report.sentences.join("; ");
                return Err(error)
                    .with_context(|| format!("the kernel does not undo {id}: {words}"));
            }
        }
        ensure!(
            read(&path)?.as_deref() == Some("0"),
            "the kernel accepted to undo {id}, but still says that it is enabled"
        );
        Ok(Undo::Done)
    }

    /// Loads a module from memory, with arguments such as `check=1`.
    ///
    /// # Errors
    /// If there is no `insmod` or the file can't be written; a module that the
    /// kernel does not take is [`Load::Refused`].
    pub fn insmod(&self, name: &str, module: &[u8], arguments: &[&str]) -> Result<Load> {
        let file = ModuleFile::write(&self.load_dir, name, module)?;
        let mut command = tool(self.insmod.as_deref(), "insmod")?;
        command.arg(&file.path).args(arguments);
        let (done, stderr) = run(command)?;
        if done {
            return Ok(Load::Done);
        }
        let text = self.report()?.unwrap_or_default();
        // A report on another update is from an earlier load: the core had no
        // say in this one.
        let ours = text.lines().next().is_none_or(|line| {
            line.strip_prefix("update: ")
                .is_none_or(|id| id.trim() == name)
        });
        let report = if ours {
            LoadReport::parse(&text)
        } else {
            LoadReport::default()
        };
        Ok(Load::Refused { report, stderr })
    }

    /// Unloads a module.
    ///
    /// # Errors
    /// If there is no `rmmod` or it fails, with its own words.
    pub fn rmmod(&self, name: &str) -> Result<()> {
        let mut command = tool(self.rmmod.as_deref(), "rmmod")?;
        command.arg(name);
        let (done, stderr) = run(command)?;
        ensure!(done, "can't unload the module {name}: {stderr}");
        Ok(())
    }

    /// Makes sure that the core is loaded; says whether it had to be.
    ///
    /// # Errors
    /// If it can't be loaded or has another interface.
    pub fn ensure_core(&self, module: &[u8]) -> Result<bool> {
        let mut loaded = false;
        if self.abi()?.is_none() {
            if let Load::Refused { stderr, .. } = self.insmod("resplice", module, &[])? {
                bail!(
                    "the kernel does not take the core module resplice: {stderr}{}",
                    hint(&stderr)
                );
            }
            loaded = true;
        }
        match self.abi()? {
            Some(abi) if abi == ABI => Ok(loaded),
            Some(abi) => bail!(
                "the loaded core speaks interface {abi}, this agent speaks {ABI}: undo all updates and unload resplice, or update the agent"
            ),
            None => bail!(
                "the core was loaded, but {} is not there",
                self.sysfs.display()
            ),
        }
    }

    fn update_dir(&self, id: &str) -> Result<PathBuf> {
        let safe = id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        ensure!(safe && !id.is_empty(), "{id:?} is no update id");
        Ok(self.sysfs.join("updates").join(id))
    }
}

/// A file's trimmed text; none if it is not there.
fn read(path: &Path) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let result = fs::File::open(path).and_then(|f| f.take(MAX_SYSFS_BYTES).read_to_end(&mut bytes));
    match result {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

fn lines(text: Option<String>) -> Vec<String> {
    text.unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_update_id_is_no_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let kernel = Kernel::fake(path.clone(), path.clone(), path.clone(), path);
        for bad in ["../x", "", "a/b", "."] {
            assert!(kernel.update(bad).is_err(), "{bad}");
        }
        assert!(kernel.update("rsp_1").unwrap().is_none());
        assert!(kernel.updates().unwrap().is_empty());
        assert!(kernel.abi().unwrap().is_none());
    }
}
