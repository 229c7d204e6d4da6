//! Building kernel modules: the core, and the parts of an update around their
//! delta objects.

use crate::{Error, build::Build, kmod::Kmod};
use resplice_objdiff::elf::{Object, exports};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The frame of every update module.
const FRAME: &str = "main.c";

/// The kernel core, built for a target.
#[derive(Debug, Clone)]
pub struct Core {
    /// `resplice.ko`.
    pub module: Vec<u8>,
    /// `Module.symvers`: what it exports.
    pub symbols: Vec<u8>,
}

/// Builds `resplice.ko`, or takes it from the cache: it depends only on the
/// target and on the core's sources.
///
/// # Errors
/// If it does not build.
pub async fn core(build: &Build<'_>, kmod: &Kmod, cache: &Path) -> Result<Core, Error> {
    let kept = cache_directory(cache, build, kmod);
    if let (Ok(module), Ok(symbols)) = (
        fs::read(kept.join("resplice.ko")),
        fs::read(kept.join("Module.symvers")),
    ) {
        build.log.line("the kernel core is in the cache");
        return Ok(Core { module, symbols });
    }
    prepare(build, kmod, "core")?;
    make(build, "core", &[]).await?;
    let core = Core {
        module: build.workspace.read("module", "resplice.ko")?,
        symbols: build.workspace.read("module", "Module.symvers")?,
    };
    keep(&kept, "resplice.ko", &core.module)?;
    // Last: where it is, the module is too.
    keep(&kept, "Module.symvers", &core.symbols)?;
    Ok(core)
}

/// Builds a module around each delta object, all in one run of kbuild; returns
/// them in the same order.
///
/// # Errors
/// If one does not build.
pub async fn update(
    build: &Build<'_>,
    kmod: &Kmod,
    core: &Core,
    deltas: &[(String, Vec<u8>)],
) -> Result<Vec<Vec<u8>>, Error> {
    build.workspace.clear("module")?;
    let workspace = &build.workspace;
    for (file, bytes) in kmod.directory("update") {
        if file != FRAME {
            workspace.write_owned(&format!("module/{file}"), bytes)?;
            continue;
        }
        for (name, _) in deltas {
            workspace.write_owned(&format!("module/{name}-{file}"), bytes)?;
        }
    }
    for (name, delta) in deltas {
        workspace.write_owned(&format!("module/{name}-delta.o_shipped"), delta)?;
        // modpost looks here for an object's sources, of which this one has
        // none, and for the versions of what it exports.
        let versions = versions(name, delta)?;
        workspace.write_owned(&format!("module/.{name}-delta.o.cmd"), versions.as_bytes())?;
    }
    workspace.write("include/resplice.symvers", &core.symbols)?;
    let names: Vec<&str> = deltas.iter().map(|(name, _)| name.as_str()).collect();
    let variables = [
        format!("RESPLICE_PARTS={}", names.join(" ")),
        format!("RESPLICE_INCLUDE={}", crate::workspace::INCLUDE),
        format!(
            "KBUILD_EXTRA_SYMBOLS={}/resplice.symvers",
            crate::workspace::INCLUDE
        ),
    ];
    make(build, "module", &variables).await?;
    names
        .iter()
        .map(|name| workspace.read("module", &format!("{name}.ko")))
        .collect()
}

/// A version for each export of a delta: one that only this delta has, so that
/// no part goes with the first part of another build.
fn versions(name: &str, delta: &[u8]) -> Result<String, Error> {
    let failed = |problem: String| Error::internal(format!("read the delta of {name}"), problem);
    let object = Object::parse(delta).map_err(|error| failed(error.to_string()))?;
    let exports = exports(&object).map_err(failed)?;
    let digest = Sha256::digest(delta);
    let version: String = hex::encode(digest).chars().take(8).collect();
    let line = |export: &String| format!("\n#SYMVER {export} 0x{version}\n");
    Ok(exports.keys().map(line).collect())
}

/// Puts the headers for patch authors and for modules where steps see them.
///
/// # Errors
/// If they can't be written.
pub fn headers(build: &Build<'_>, kmod: &Kmod) -> Result<(), Error> {
    for (file, bytes) in kmod.directory("include") {
        build.workspace.write(&format!("include/{file}"), bytes)?;
    }
    Ok(())
}

/// Puts the sources of a module, and nothing else, into `module/`.
fn prepare(build: &Build<'_>, kmod: &Kmod, name: &str) -> Result<(), Error> {
    build.workspace.clear("module")?;
    for (file, bytes) in kmod.directory(name) {
        build
            .workspace
            .write_owned(&format!("module/{file}"), bytes)?;
    }
    Ok(())
}

async fn make(build: &Build<'_>, step: &str, variables: &[String]) -> Result<(), Error> {
    let directory = build.workspace.path("module");
    let mut argv = build.target.module_build(&directory).argv;
    argv.push("--no-print-directory".to_owned());
    argv.extend(variables.iter().cloned());
    let step = build.workspace.module_step(step, argv);
    build.run(&step, "the kernel module does not build").await
}

fn cache_directory(cache: &Path, build: &Build<'_>, kmod: &Kmod) -> PathBuf {
    let what = format!(
        "resplice-core-v1 {} {}",
        build.target.digest(),
        kmod.digest()
    );
    cache.join("core").join(hex::encode(Sha256::digest(what)))
}

/// Another worker may keep the same file at the same time.
fn keep(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(Error::file("make", directory))?;
    let path = directory.join(name);
    let mut file =
        tempfile::NamedTempFile::new_in(directory).map_err(Error::file("make", &path))?;
    file.write_all(bytes).map_err(Error::file("write", &path))?;
    file.persist(&path)
        .map_err(|error| Error::file("write", &path)(error.error))?;
    Ok(())
}
