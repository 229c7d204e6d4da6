//! What several commands take.

use anyhow::Context;
use clap::{Args, ValueEnum};
use resplice_target::{Cache, Target, TargetId};
use resplice_worker::{
    kmod::Kmod,
    module_key::ModuleKey,
    sandbox::{DEFAULT_IMAGE, Docker, Local, Sandbox},
    verify::Check,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where build steps run.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SandboxKind {
    /// bubblewrap on this machine.
    Local,
    /// A container engine.
    Docker,
}

/// Options of everything that builds.
#[derive(Debug, Args)]
pub struct Common {
    /// Where targets and snapshots are kept [default: $RESPLICE_CACHE, else ~/.cache/resplice]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Where build steps run.
    #[arg(long, value_enum, default_value = "local", env = "RESPLICE_SANDBOX")]
    sandbox: SandboxKind,
    /// Image for the docker sandbox.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_IMAGE, env = "RESPLICE_IMAGE")]
    image: String,
    /// Sources of the kernel module, instead of those in this binary.
    #[arg(long, value_name = "DIR", env = "RESPLICE_KMOD")]
    kmod: Option<PathBuf>,
    /// Sign kernel modules with this key, for hosts that take no others (Secure Boot): a PEM
    /// file with mode 0600, or a pkcs11: URI; $KBUILD_SIGN_PIN is its passphrase.
    #[arg(
        long,
        value_name = "FILE",
        requires = "module_cert",
        env = "RESPLICE_MODULE_KEY"
    )]
    module_key: Option<String>,
    /// The certificate of --module-key that hosts have enrolled, PEM or DER.
    #[arg(
        long,
        value_name = "FILE",
        requires = "module_key",
        env = "RESPLICE_MODULE_CERT"
    )]
    module_cert: Option<PathBuf>,
}

impl Common {
    /// The cache.
    pub fn cache(&self) -> Cache {
        self.cache.as_ref().map_or_else(Cache::from_env, Cache::new)
    }

    /// Where builds have their directories: on the cache's file system, but
    /// not below what may be closed to the sandbox's user.
    pub fn work(&self) -> PathBuf {
        self.cache().root().join("work")
    }

    /// The kernel module's sources.
    pub fn kmod(&self) -> anyhow::Result<Kmod> {
        match &self.kmod {
            Some(directory) => Ok(Kmod::from_directory(directory)?),
            None => Ok(Kmod::embedded()?),
        }
    }

    /// What signs modules.
    pub fn module_key(&self) -> anyhow::Result<Option<ModuleKey>> {
        let Some((key, certificate)) = self.module_key.as_ref().zip(self.module_cert.as_ref())
        else {
            return Ok(None);
        };
        Ok(Some(ModuleKey::open(key, certificate)?))
    }

    /// The sandbox, tried out.
    pub async fn sandbox(&self) -> anyhow::Result<Box<dyn Sandbox>> {
        let work = self.work();
        std::fs::create_dir_all(&work).with_context(|| format!("make {}", work.display()))?;
        Ok(match self.sandbox {
            SandboxKind::Local => Box::new(Local::new(&work).await?),
            SandboxKind::Docker => Box::new(Docker::new(&self.image).await?),
        })
    }

    /// An imported target.
    pub fn target(&self, id: &str) -> anyhow::Result<Target> {
        let id: TargetId = id.parse()?;
        Ok(Target::load(&self.cache(), &id)?)
    }
}

/// An update's own check.
#[derive(Debug, Args)]
pub struct CheckFiles {
    /// A script that says in the guest whether the fix is in force: exit 0 if
    /// fixed, 1 if vulnerable.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Files that lie beside the check; without --check, one named `check` is run.
    #[arg(long, value_name = "FILE")]
    check_file: Vec<PathBuf>,
}

impl CheckFiles {
    /// The check, if there is one.
    pub fn read(&self) -> anyhow::Result<Option<Check>> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        if self.check.is_none() && self.check_file.is_empty() {
            return Ok(None);
        }
        let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
        let script = self
            .check
            .as_deref()
            .map(|path| {
                fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
            })
            .transpose()?;
        let mut files = Vec::new();
        for path in &self.check_file {
            files.push(resplice_api::CheckFile {
                name: file_name(path),
                mode: 0o755,
                base64: STANDARD.encode(read(path)?),
            });
        }
        Ok(Some(Check::new(&resplice_api::Check { script, files })?))
    }
}

/// A path's last part.
pub fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Whether standard output shows colours.
pub fn colour() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
