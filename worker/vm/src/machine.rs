//! The description of a machine.

use crate::error::{Error, Result};
use crate::files::GuestFile;
use crate::firmware::Firmware;
use crate::initramfs::{self, Contents};
use crate::modules::ModuleTree;
use crate::prepared::Prepared;
use crate::snapshot::{Snapshot, SnapshotCache};
use crate::vm::Vm;
use std::path::PathBuf;
use std::time::Duration;

/// Drivers for the exchange disk and the network card.
const DISK_MODULES: [&str; 2] = ["virtio_pci", "virtio_blk"];
const NETWORK_MODULE: &str = "virtio_net";

/// Where a guest with [`Machine::network`] reaches the host's port.
pub const GUEST_SERVER_ADDRESS: &str = "10.0.2.100:80";

/// A machine to be booted or restored. Defaults: `-cpu max`, one CPU, 512 MiB,
/// no network, 120 s to boot.
#[derive(Debug, Clone)]
pub struct Machine {
    pub(crate) kernel: PathBuf,
    pub(crate) modules_dir: Option<PathBuf>,
    pub(crate) cpu: String,
    pub(crate) cpus: u32,
    pub(crate) in_turn: bool,
    pub(crate) memory_mib: u32,
    pub(crate) append: Vec<String>,
    pub(crate) load: Vec<String>,
    pub(crate) available: Vec<String>,
    pub(crate) files: Vec<GuestFile>,
    pub(crate) host_port: Option<u16>,
    pub(crate) kept: Option<PathBuf>,
    pub(crate) hostname: String,
    pub(crate) boot_timeout: Duration,
    pub(crate) console_log: Option<PathBuf>,
    pub(crate) firmware: Option<Firmware>,
}

impl Machine {
    /// A machine for `kernel`: a bzImage, or an ELF vmlinux that is entered
    /// by PVH (no text KASLR then).
    pub fn new(kernel: impl Into<PathBuf>) -> Self {
        Self {
            kernel: kernel.into(),
            modules_dir: None,
            cpu: "max".to_owned(),
            cpus: 1,
            in_turn: false,
            memory_mib: 512,
            append: Vec::new(),
            load: Vec::new(),
            available: Vec::new(),
            files: Vec::new(),
            host_port: None,
            kept: None,
            hostname: "guest".to_owned(),
            boot_timeout: Duration::from_secs(120),
            console_log: None,
            firmware: None,
        }
    }

    /// The kernel's modules: `…/lib/modules/RELEASE`. Without it the drivers
    /// (virtio PCI, block and, for a network, net) must be built in.
    #[must_use]
    pub fn modules_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.modules_dir = Some(dir.into());
        self
    }

    /// QEMU's CPU model: `max` (plain returns), `EPYC` (return thunks),
    /// `Skylake-Server-v4` (ITS thunks, PTI), …
    #[must_use]
    pub fn cpu(mut self, model: impl Into<String>) -> Self {
        self.cpu = model.into();
        self
    }

    /// Number of virtual CPUs.
    #[must_use]
    pub fn cpus(mut self, count: u32) -> Self {
        self.cpus = count;
        self
    }

    /// Has the virtual CPUs run one after the other, on one CPU of this machine.
    /// QEMU has a CPU run what another has rewritten meanwhile, in part the old and in part the new code, where they
    /// run at the same time: what rewrites code all the time needs this.
    #[must_use]
    pub fn cpus_in_turn(mut self) -> Self {
        self.in_turn = true;
        self
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// More words for the kernel's command line.
    #[must_use]
    pub fn append(mut self, words: impl Into<String>) -> Self {
        self.append.push(words.into());
        self
    }

    /// A kernel module to load at boot, with what it depends on.
    #[must_use]
    pub fn load_module(mut self, name: impl Into<String>) -> Self {
        self.load.push(name.into());
        self
    }

    /// A kernel module that `modprobe` in the guest finds; not loaded at boot.
    #[must_use]
    pub fn provide_module(mut self, name: impl Into<String>) -> Self {
        self.available.push(name.into());
        self
    }

    /// A file in the guest's root from the start. It is part of a snapshot;
    /// what differs between runs belongs into [`Vm::push`].
    #[must_use]
    pub fn file(mut self, file: GuestFile) -> Self {
        self.files.push(file);
        self
    }

    /// Several such files, e.g. of [`GuestFile::program`].
    #[must_use]
    pub fn files(mut self, files: impl IntoIterator<Item = GuestFile>) -> Self {
        self.files.extend(files);
        self
    }

    /// Gives the guest a network (eth0, 10.0.2.15) in which nothing can be
    /// reached but [`GUEST_SERVER_ADDRESS`], which is 127.0.0.1:`port` here.
    #[must_use]
    pub fn network(mut self, port: u16) -> Self {
        self.host_port = Some(port);
        self
    }

    /// A raw file of the host that the guest has as `/dev/vdb`, and that outlives
    /// it. What the guest has written to the device stays, what is only in its page
    /// cache goes with it: dropping a [`Vm`] is a power cut.
    #[must_use]
    pub fn kept_disk(mut self, file: impl Into<PathBuf>) -> Self {
        self.kept = Some(file.into());
        self
    }

    /// The guest's host name.
    #[must_use]
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = name.into();
        self
    }

    /// How long the guest may take until it answers.
    #[must_use]
    pub fn boot_timeout(mut self, timeout: Duration) -> Self {
        self.boot_timeout = timeout;
        self
    }

    /// Copies the console (its first 16 MiB) to that file.
    #[must_use]
    pub fn console_log(mut self, path: impl Into<PathBuf>) -> Self {
        self.console_log = Some(path.into());
        self
    }

    /// Boots by way of UEFI firmware. Such a machine can be booted, not restored:
    /// its flash is not part of a snapshot.
    #[must_use]
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = Some(firmware);
        self
    }

    /// Modules and what they depend on, as files for a guest that runs already:
    /// after [`Vm::push`] and `depmod` there, `modprobe` finds them. So one
    /// snapshot serves whatever module is wanted later.
    ///
    /// # Errors
    /// Without a modules_dir, or for a module that the kernel does not have.
    pub fn module_files(&self, names: &[String]) -> Result<Vec<GuestFile>> {
        let dir = self.modules_dir.as_deref().ok_or_else(|| {
            Error::Config("modules are asked for without a modules_dir".to_owned())
        })?;
        let tree = ModuleTree::open(dir)?;
        let root = format!("/lib/modules/{}", tree.release());
        let read = |path: &String| {
            let module = tree.read(path)?;
            let place = format!("{root}/{}", module.path);
            Ok(GuestFile::new(place, 0o644, module.bytes))
        };
        tree.closure(names)?.iter().map(read).collect()
    }

    /// Boots the machine and waits until it answers.
    ///
    /// # Errors
    /// Missing tools or files, a guest that panics or does not come up.
    pub fn boot(&self) -> Result<Vm> {
        self.prepare()?.boot()
    }

    /// A machine as it is just after its boot: restored from the cache's
    /// snapshot, which is made first if there is none.
    ///
    /// # Errors
    /// As for [`Self::boot`], and what concerns the cache's directory.
    pub fn restore(&self, cache: &SnapshotCache) -> Result<Vm> {
        cache.restore(self)
    }

    /// Boots the machine once and keeps its state; see [`Self::restore`].
    ///
    /// # Errors
    /// As for [`Self::restore`].
    pub fn snapshot(&self, cache: &SnapshotCache) -> Result<Snapshot> {
        cache.get(&self.prepare()?)
    }

    /// The name that this machine's snapshot has in a cache: a digest of all
    /// that its state depends on.
    ///
    /// # Errors
    /// As for [`Self::snapshot`].
    pub fn snapshot_key(&self) -> Result<String> {
        self.prepare()?.snapshot_key()
    }

    /// Checks the description and builds the initramfs.
    pub(crate) fn prepare(&self) -> Result<Prepared> {
        if self.cpus == 0 || self.cpus > 64 || !(64..=65536).contains(&self.memory_mib) {
            return Err(Error::Config(format!(
                "{} CPUs with {} MiB are outside of 1..64 CPUs and 64..65536 MiB",
                self.cpus, self.memory_mib
            )));
        }
        let model_is_plain = self
            .cpu
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.,+=".contains(&b));
        if !model_is_plain || self.cpu.is_empty() {
            return Err(Error::Config(format!(
                "`{}` is no CPU model",
                self.cpu.escape_debug()
            )));
        }
        let kernel = self
            .kernel
            .canonicalize()
            .map_err(Error::io("find kernel", &self.kernel))?;
        let mut load: Vec<String> = Vec::new();
        if self.modules_dir.is_some() {
            load.extend(DISK_MODULES.map(str::to_owned));
            if self.host_port.is_some() {
                load.push(NETWORK_MODULE.to_owned());
            }
            load.extend(self.load.iter().cloned());
        } else if !self.load.is_empty() || !self.available.is_empty() {
            return Err(Error::Config(
                "modules are asked for without a modules_dir".to_owned(),
            ));
        }
        let initramfs = initramfs::build(&Contents {
            modules_dir: self.modules_dir.as_deref(),
            load: &load,
            available: &self.available,
            files: &self.files,
            hostname: &self.hostname,
            network: self.host_port.is_some(),
        })?;
        Ok(Prepared {
            machine: self.clone(),
            kernel,
            initramfs,
        })
    }
}
