//! An imported target.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::error::{Context, Error};
use crate::id::{Flavour, TargetId};
use crate::prepare::{self, make};
use crate::progress::Progress;
use crate::recipe::{
    Access, Mount, Recipe, SANDBOX_BUILD, SANDBOX_MODULE, SANDBOX_SOURCE, environment,
};

/// Version of target.json and of how a tree is prepared. A target of another format is imported anew.
const FORMAT: u32 = 2;
/// Largest target.json that is read, in bytes.
const RECORD_MAX: u64 = 1 << 20;

/// A kernel with its source, configuration and image, whole and checked.
#[derive(Clone, Debug)]
pub struct Target {
    cache: Cache,
    record: Record,
}

/// What target.json holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) format: u32,
    pub(crate) id: TargetId,
    pub(crate) package_version: String,
    pub(crate) arch: String,
    pub(crate) cc_version_text: String,
    pub(crate) banner: String,
    pub(crate) vmlinux_sha256: String,
    pub(crate) inputs: Vec<Input>,
}

/// A package that an import took in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What it is for.
    pub role: Role,
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// File name in the cache.
    pub file: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
}

/// What an input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The bzImage and the modules.
    Image,
    /// Configuration, generated headers and symbol versions.
    Headers,
    /// The headers that flavours share.
    HeadersCommon,
    /// The kernel source.
    Source,
    /// Build tools of the headers packages. Builds use the prepared tree's own, so this does not enter the digest:
    /// the archive keeps only some versions of it, and hosts that imported at other times would disagree.
    Kbuild,
    /// What [`Target::build_own`] was told of the configuration.
    Config,
}

impl Target {
    /// Opens an imported target.
    ///
    /// # Errors
    /// [`Error::NotImported`] if it is not in the cache, or there in another format; [`Error::Content`] if its
    /// record is damaged.
    pub fn load(cache: &Cache, id: &TargetId) -> Result<Self, Error> {
        let not_imported = || Error::NotImported {
            target: id.to_string(),
            cache: cache.root().to_owned(),
        };
        let path = cache.target(id.release()).join("target.json");
        let metadata = fs::metadata(&path).map_err(|_| not_imported())?;
        if metadata.len() > RECORD_MAX {
            return Err(Error::TooLarge {
                what: path.display().to_string(),
                bytes: metadata.len(),
                limit: RECORD_MAX,
            });
        }
        let text = fs::read(&path).context("read", &path)?;
        let damaged = |reason: String| Error::Content {
            path: path.clone(),
            reason,
        };
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if value.get("format").and_then(serde_json::Value::as_u64) != Some(u64::from(FORMAT)) {
            return Err(not_imported());
        }
        let record: Record =
            serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
        if record.id != *id {
            return Err(damaged(format!("it describes {}, not {id}", record.id)));
        }
        Ok(Self {
            cache: cache.clone(),
            record,
        })
    }

    /// Imports a target, or opens it if it is there already (a few milliseconds). Several processes may import at
    /// the same time. Needs 2 GiB for the first kernel of a version and about 200 MiB for each flavour.
    ///
    /// # Errors
    /// [`Error::NotInArchive`] if a package is missing; [`Error::Mismatch`] if versions or compilers disagree;
    /// [`Error::MissingProgram`], [`Error::Command`], [`Error::DiskSpace`] and [`Error::Io`] as they occur.
    pub fn import(cache: &Cache, id: &TargetId, progress: &dyn Progress) -> Result<Self, Error> {
        crate::import::import(cache, id, progress)
    }

    /// Builds a kernel of one's own from this target's source, or opens it if it is there already. `config` is a
    /// fragment of a configuration: what it does not name is off. Its file name becomes part of the release. Takes some
    /// minutes and 4 GiB on the way, of which 200 MiB stay. No server offers such a target, and no agent asks for it.
    ///
    /// # Errors
    /// [`Error::Content`] for a line that the kernel's own rules leave out; [`Error::Command`] if it does not compile;
    /// otherwise as [`Self::import`].
    pub fn build_own(&self, config: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        crate::own::build(self, config, progress)
    }

    /// The targets in a cache that distributions ship, in the order of their names.
    ///
    /// # Errors
    /// [`Error::Io`] if the cache cannot be read; damaged entries are left out.
    pub fn imported(cache: &Cache) -> Result<Vec<Self>, Error> {
        let directory = cache.root().join("targets");
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context("read the directory", directory),
        };
        let mut targets: Vec<Self> = entries
            .flatten()
            .filter_map(|entry| TargetId::debian(entry.file_name().to_str()?).ok())
            .filter_map(|id| Self::load(cache, &id).ok())
            .collect();
        targets.sort_by(|left, right| left.id().cmp(right.id()));
        Ok(targets)
    }

    pub(crate) fn create(cache: &Cache, mut record: Record) -> Result<Self, Error> {
        record.format = FORMAT;
        record.inputs.sort_by_key(|input| input.role);
        let directory = cache.target(record.id.release());
        let path = directory.join("target.json");
        let partial = directory.join(".target.json.partial");
        let text = serde_json::to_vec_pretty(&record).map_err(|error| Error::Content {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        fs::write(&partial, text).context("write", &partial)?;
        fs::File::open(&partial)
            .and_then(|file| file.sync_all())
            .context("write out", &partial)?;
        fs::rename(&partial, &path).context("rename", &partial)?;
        fs::File::open(&directory)
            .and_then(|file| file.sync_all())
            .context("write out", &directory)?;
        Ok(Self {
            cache: cache.clone(),
            record,
        })
    }

    /// The cache that it is in.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Its name.
    pub fn id(&self) -> &TargetId {
        &self.record.id
    }

    /// What `uname -r` prints there.
    pub fn release(&self) -> &str {
        self.record.id.release()
    }

    /// The flavour.
    pub fn flavour(&self) -> Flavour {
        self.record.id.flavour()
    }

    /// Version of the Debian packages, such as `6.1.176-1`.
    pub fn package_version(&self) -> &str {
        &self.record.package_version
    }

    /// Architecture in the kernel's words: `x86_64`.
    pub fn arch(&self) -> &str {
        &self.record.arch
    }

    /// The compiler's version line, in the kernel's configuration and on this machine alike.
    pub fn cc_version_text(&self) -> &str {
        &self.record.cc_version_text
    }

    /// The compiler as it has to be called, such as `gcc-12`.
    pub fn compiler(&self) -> &str {
        prepare::compiler(self.cc_version_text()).unwrap_or("gcc")
    }

    /// The kernel's banner, as /proc/version shows it.
    pub fn banner(&self) -> &str {
        &self.record.banner
    }

    /// The packages it was made from.
    pub fn inputs(&self) -> &[Input] {
        &self.record.inputs
    }

    /// SHA-256 of the extracted vmlinux, in hex.
    pub fn vmlinux_sha256(&self) -> &str {
        &self.record.vmlinux_sha256
    }

    /// SHA-256 in hex over what determines the code: name, compiler, and the digests of image, headers and source.
    /// Equal on every machine that imported the same kernel.
    pub fn digest(&self) -> String {
        digest(&self.record)
    }

    /// The unpacked kernel source. Shared: never write to it.
    pub fn source_dir(&self) -> PathBuf {
        self.cache.source(&self.record.package_version)
    }

    /// The prepared build tree. Shared: never write to it, mount an overlay.
    pub fn build_dir(&self) -> PathBuf {
        self.directory().join("build")
    }

    /// The flavour's headers, with `.config` and `Module.symvers`.
    pub fn headers_dir(&self) -> PathBuf {
        headers_dir(&self.root(), self.release())
    }

    /// The headers packages' build tools.
    pub fn kbuild_dir(&self) -> PathBuf {
        self.root().join("usr/lib").join(self.record.id.kbuild())
    }

    /// The kernel image as it boots.
    pub fn bzimage(&self) -> PathBuf {
        bzimage(&self.root(), self.release())
    }

    /// The ELF image inside it: no symbol table, but all section headers.
    pub fn vmlinux(&self) -> PathBuf {
        self.directory().join("vmlinux")
    }

    /// The modules (`kernel/…`) and their dependency index.
    pub fn modules_dir(&self) -> PathBuf {
        self.root().join("lib/modules").join(self.release())
    }

    /// Directory tree of the unpacked image, headers and kbuild packages.
    pub fn root(&self) -> PathBuf {
        self.directory().join("root")
    }

    /// Compiles translation units: `objects` are make targets such as `net/ipv6/seg6.o`. Further `make` variables
    /// may be appended. For a patched source, replace the mount at [`SANDBOX_SOURCE`].
    pub fn unit_build(&self, objects: &[&str]) -> Recipe {
        let mut argv = self.make();
        argv.extend(objects.iter().map(|object| (*object).to_owned()));
        self.recipe(Access::Overlay, argv)
    }

    /// Prints, and does not run, every command that kernel and modules are built with.
    /// Linking is left out: `make` can't see archives that nobody has made.
    pub fn dry_run(&self) -> Recipe {
        let mut argv = self.make();
        argv.retain(|word| !word.starts_with("-j"));
        argv.extend(["-n", "-k", "vmlinux", "modules"].map(str::to_owned));
        self.recipe(Access::Overlay, argv)
    }

    /// Builds the external modules in `directory`, which is mounted at [`SANDBOX_MODULE`] and written to.
    pub fn module_build(&self, directory: &Path) -> Recipe {
        let mut argv = self.make();
        argv.extend([format!("M={SANDBOX_MODULE}"), "modules".to_owned()]);
        let mut recipe = self.recipe(Access::ReadOnly, argv);
        recipe.mounts.push(Mount {
            host: directory.to_owned(),
            at: SANDBOX_MODULE,
            access: Access::Write,
        });
        recipe
    }

    fn make(&self) -> Vec<String> {
        make(self.id(), self.package_version(), self.cc_version_text())
    }

    fn recipe(&self, build: Access, argv: Vec<String>) -> Recipe {
        Recipe {
            mounts: vec![
                Mount {
                    host: self.source_dir(),
                    at: SANDBOX_SOURCE,
                    access: Access::ReadOnly,
                },
                Mount {
                    host: self.build_dir(),
                    at: SANDBOX_BUILD,
                    access: build,
                },
            ],
            argv,
            environment: environment(),
        }
    }

    fn directory(&self) -> PathBuf {
        self.cache.target(self.release())
    }
}

pub(crate) fn headers_dir(root: &Path, release: &str) -> PathBuf {
    root.join(format!("usr/src/linux-headers-{release}"))
}

pub(crate) fn bzimage(root: &Path, release: &str) -> PathBuf {
    root.join(format!("boot/vmlinuz-{release}"))
}

fn digest(record: &Record) -> String {
    let mut lines = vec![
        "resplice-target-v1".to_owned(),
        record.id.to_string(),
        record.package_version.clone(),
        record.cc_version_text.clone(),
    ];
    let mut inputs: Vec<&Input> = record
        .inputs
        .iter()
        .filter(|input| input.role != Role::Kbuild)
        .collect();
    inputs.sort_by_key(|input| input.role);
    lines.extend(
        inputs
            .iter()
            .map(|input| format!("{} {} {}", input.name, input.version, input.sha256)),
    );
    hex::encode(Sha256::digest(lines.join("\n") + "\n"))
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
