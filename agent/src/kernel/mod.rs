//! The kernel's side: what `/sys/kernel/resplice` says, and loading modules.
//!
//! Modules are loaded by the system's own `insmod`, found in fixed directories.
//! Why a load failed is never read from an errno but from the core's report.

mod live;
mod tools;

pub use live::{LivePart, LiveUpdate};
pub use resplice_package::LoadReport;
pub use tools::hint;

use crate::fault;
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};
use tools::{ModuleFile, run, tool};

/// The core's interface that this agent speaks.
pub const ABI: &str = "3";
/// Most bytes read from any one file of sysfs: the core's own limit on a report.
const MAX_SYSFS_BYTES: u64 = 4 << 20;
/// Bytes that the core takes at once, one more than the most.
const MAX_AWAITED_BYTES: usize = 4096;
/// The kernel itself, as an object.
pub const VMLINUX: &str = "vmlinux";

/// Access to the running kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    sysfs: PathBuf,
    /// `/sys/module`.
    modules: PathBuf,
    insmod: Option<PathBuf>,
    rmmod: Option<PathBuf>,
    load_dir: PathBuf,
    /// A module that is being loaded: its init waits for its part.
    coming: Option<String>,
    /// Does in tests what the core does when `enabled` is written to.
    #[cfg(test)]
    react: PathBuf,
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
    /// Something is in the way for now, such as a task in the new functions or a
    /// probe: the core's sentences.
    Busy(Vec<String>),
}

impl Kernel {
    /// The running kernel. `load_dir` is a private directory for module files.
    ///
    /// For tests of the agent alone, `RESPLICE_SYSFS`, `RESPLICE_MODULES`,
    /// `RESPLICE_INSMOD` and `RESPLICE_RMMOD` name other directories and programs.
    #[must_use]
    pub fn running(load_dir: PathBuf) -> Self {
        let from_env = |name| std::env::var_os(name).map(PathBuf::from);
        Self {
            sysfs: from_env("RESPLICE_SYSFS")
                .unwrap_or_else(|| PathBuf::from("/sys/kernel/resplice")),
            modules: from_env("RESPLICE_MODULES").unwrap_or_else(|| PathBuf::from("/sys/module")),
            insmod: from_env("RESPLICE_INSMOD"),
            rmmod: from_env("RESPLICE_RMMOD"),
            load_dir,
            coming: None,
            #[cfg(test)]
            react: PathBuf::new(),
        }
    }

    /// A stand-in for tests.
    #[cfg(test)]
    pub fn fake(
        [sysfs, modules]: [PathBuf; 2],
        [insmod, rmmod, react]: [PathBuf; 3],
        load_dir: PathBuf,
    ) -> Self {
        Self {
            sysfs,
            modules,
            insmod: Some(insmod),
            rmmod: Some(rmmod),
            load_dir,
            coming: None,
            react,
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

    /// Whether a kernel object is there to be patched: the kernel itself, a module that
    /// has been loaded and initialised, or the one that is [coming](Self::comes).
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn has_object(&self, object: &str) -> Result<bool> {
        if object == VMLINUX {
            return Ok(true);
        }
        ensure!(is_name(object), "{object:?} is no module's name");
        if self.coming.as_deref() == Some(object) {
            return Ok(true);
        }
        let state = read(&self.modules.join(object).join("initstate"))?;
        Ok(state.as_deref() == Some("live"))
    }

    /// Says that a module is being loaded and waits for its part. If that is not so, the
    /// core finds out.
    ///
    /// # Errors
    /// If that is no module's name.
    pub fn comes(&mut self, module: &str) -> Result<()> {
        ensure!(is_name(module), "{module:?} is no module's name");
        self.coming = Some(module.to_owned());
        Ok(())
    }

    /// Has the core call a program, named with its arguments by one line, when one of
    /// these modules comes, and let the module's init wait for it. A core that is not
    /// loaded, or can't do that, is told nothing.
    ///
    /// # Errors
    /// If the core does not take it.
    pub fn await_modules(&self, program: &str, modules: &BTreeSet<String>) -> Result<()> {
        let path = self.sysfs.join("awaited");
        let lines = modules.iter().map(|module| format!("{module}\n"));
        let text = match modules.is_empty() {
            true => "\n".to_owned(),
            false => format!("{program}\n{}", lines.collect::<String>()),
        };
        ensure!(
            text.len() < MAX_AWAITED_BYTES,
            "{} modules are more than the kernel can wait for",
            modules.len()
        );
        match read(&path)? {
            None => Ok(()),
            Some(now) if now == text.trim() => Ok(()),
            Some(_) => OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(&path)
                // The core takes it in one piece or not at all.
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .with_context(|| {
                    format!(
                        "the kernel does not take what to wait for by {}",
                        path.display()
                    )
                }),
        }
    }

    /// The build id note of a loaded module, as it was in its file; none if it has
    /// none.
    ///
    /// # Errors
    /// If sysfs can't be read.
    pub fn build_id(&self, module: &str) -> Result<Option<Vec<u8>>> {
        ensure!(is_name(module), "{module:?} is no module's name");
        let path = self.modules.join(module).join("notes/.note.gnu.build-id");
        match fs::read(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }

    /// Asks the core to apply those parts of an update that are loaded, though
    /// others are missing: all of them in one stop, or none.
    ///
    /// # Errors
    /// If no part of the update is loaded, or sysfs can't be read.
    pub fn enable(&self, id: &str) -> Result<Load> {
        let path = self.part_of(id, |_| true)?.join("enabled");
        Ok(match self.write_enabled(&path, b"1") {
            Ok(()) => Load::Done,
            Err(error) => Load::Refused {
                report: LoadReport::parse(&self.report()?.unwrap_or_default()),
                stderr: error.to_string(),
            },
        })
    }

    fn write_enabled(&self, path: &Path, value: &[u8]) -> io::Result<()> {
        fault::point();
        OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(value))?;
        #[cfg(test)]
        if !std::process::Command::new(&self.react)
            .arg(path)
            .status()?
            .success()
        {
            return Err(ErrorKind::ResourceBusy.into());
        }
        fault::point();
        Ok(())
    }

    /// The directory of one of an update's parts: what is written to one of
    /// them is done with all.
    fn part_of(&self, id: &str, which: impl Fn(&LivePart) -> bool) -> Result<PathBuf> {
        let update = self
            .update(id)?
            .with_context(|| format!("{id} is not loaded"))?;
        let part = update
            .parts
            .iter()
            .find(|part| which(part))
            .with_context(|| format!("{id} is not in effect"))?;
        self.update_dir(&part.name)
    }

    /// Asks the core to undo an update, with all of its parts in one stop.
    ///
    /// # Errors
    /// If the update is not loaded or the core refuses for a reason that stays.
    pub fn disable(&self, id: &str) -> Result<Undo> {
        let part = self.part_of(id, LivePart::is_applied)?;
        let path = part.join("enabled");
        if let Err(error) = self.write_enabled(&path, b"0") {
            let report = LoadReport::parse(&self.report()?.unwrap_or_default());
            if error.kind() == ErrorKind::ResourceBusy {
                return Ok(Undo::Busy(report.sentences));
            }
            let words = report.sentences.join("; ");
            return Err(error).with_context(|| format!("the kernel does not undo {id}: {words}"));
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
        fault::point();
        let (done, stderr) = run(command)?;
        fault::point();
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
        fault::point();
        let (done, stderr) = run(command)?;
        fault::point();
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
        ensure!(is_name(id), "{id:?} is no update id");
        Ok(self.sysfs.join("updates").join(id))
    }
}

/// Whether a text can name a module, and is no path.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !text.is_empty() && text.bytes().all(plain)
}

fn lines(text: Option<String>) -> Vec<String> {
    text.unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_update_id_is_no_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let sysfs = [path.clone(), path.clone()];
        let tools = [path.clone(), path.clone(), path.clone()];
        let kernel = Kernel::fake(sysfs, tools, path);
        for bad in ["../x", "", "a/b", "."] {
            assert!(kernel.update(bad).is_err(), "{bad}");
            assert!(kernel.has_object(bad).is_err(), "{bad}");
        }
        assert!(kernel.update("rsp_1").unwrap().is_none());
        assert!(kernel.updates().unwrap().is_empty());
        assert!(kernel.abi().unwrap().is_none());
    }
}
