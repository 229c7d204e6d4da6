//! Which kernel modules the guest loads, with what they depend on.

use crate::error::{Error, Result};
use crate::tools;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A module larger than this is not put into an initramfs.
const MODULE_MAX_BYTES: u64 = 64 << 20;

/// The modules of one kernel: `…/lib/modules/RELEASE`.
#[derive(Debug)]
pub struct ModuleTree {
    dir: PathBuf,
    /// name → (path, paths it depends on, nearest first), relative to `dir`
    modules: BTreeMap<String, (String, Vec<String>)>,
    builtin: Vec<String>,
}

/// One module, decompressed.
#[derive(Debug)]
pub struct Module {
    /// Path in the guest below `/lib/modules/RELEASE`, ending in `.ko`.
    pub path: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
}

impl ModuleTree {
    /// Reads `modules.dep` (or asks `depmod` for it) and `modules.builtin`.
    ///
    /// # Errors
    /// If the directory is not one of kernel modules.
    pub fn open(dir: &Path) -> Result<Self> {
        let dep_file = dir.join("modules.dep");
        let dep = match std::fs::read_to_string(&dep_file) {
            Ok(text) if !text.is_empty() => text,
            _ => depmod(dir)?,
        };
        let builtin = std::fs::read_to_string(dir.join("modules.builtin")).unwrap_or_default();
        Ok(Self {
            dir: dir.to_owned(),
            modules: parse_dep(&dep),
            builtin: builtin.lines().map(module_name).collect(),
        })
    }

    /// The kernel release: the directory's name.
    pub fn release(&self) -> String {
        self.dir
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// `names` and everything they depend on, in loading order, each once.
    /// What is built into the kernel is left out.
    ///
    /// # Errors
    /// [`Error::Module`] for a name the kernel does not have.
    pub fn closure(&self, names: &[String]) -> Result<Vec<String>> {
        let mut order: Vec<String> = Vec::new();
        for name in names {
            let name = module_name(name);
            let Some((path, needs)) = self.modules.get(&name) else {
                if self.builtin.contains(&name) {
                    continue;
                }
                return Err(Error::Module {
                    name,
                    reason: format!("not in {}", self.dir.join("modules.dep").display()),
                });
            };
            for path in needs.iter().rev().chain([path]) {
                if !order.contains(path) {
                    order.push(path.clone());
                }
            }
        }
        Ok(order)
    }

    /// Reads one module by its path from [`Self::closure`].
    ///
    /// # Errors
    /// If it cannot be read, or is compressed in a way not known here.
    pub fn read(&self, path: &str) -> Result<Module> {
        Ok(Module {
            path: path.strip_suffix(".xz").unwrap_or(path).to_owned(),
            bytes: module_bytes(&self.dir, path)?,
        })
    }
}

/// Reads a module's file, `.ko` or `.ko.xz`, by its path below the kernel's directory of
/// modules: at most 64 MiB.
///
/// # Errors
/// If it can't be read, or is compressed in another way.
pub fn module_bytes(dir: &Path, path: &str) -> Result<Vec<u8>> {
    let file = dir.join(path);
    let open = || std::fs::File::open(&file).map_err(Error::io("read kernel module", &file));
    let plain: Box<dyn Read> = if path.ends_with(".ko") {
        Box::new(open()?)
    } else if path.ends_with(".ko.xz") {
        Box::new(xz2::read::XzDecoder::new(open()?))
    } else {
        return Err(Error::Module {
            name: module_name(path),
            reason: format!("{path} is neither .ko nor .ko.xz"),
        });
    };
    let mut bytes = Vec::new();
    plain
        .take(MODULE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read kernel module", &file))?;
    if bytes.len() as u64 > MODULE_MAX_BYTES {
        return Err(Error::TooBig {
            what: path.to_owned(),
            bytes: bytes.len() as u64,
            limit: MODULE_MAX_BYTES,
        });
    }
    Ok(bytes)
}

/// What `depmod` would write; the directory itself is left alone.
fn depmod(dir: &Path) -> Result<String> {
    let wrong = || {
        Error::Config(format!(
            "{} is not a kernel's module directory (ROOT/lib/modules/RELEASE)",
            dir.display()
        ))
    };
    let release = dir.file_name().ok_or_else(wrong)?.to_string_lossy();
    let root = dir.ancestors().nth(3).ok_or_else(wrong)?;
    if !dir.join("kernel").is_dir() {
        return Err(wrong());
    }
    tools::text_of(
        &tools::find("depmod", "kmod")?,
        &["-n", "-b", &root.to_string_lossy(), &release],
    )
}

fn parse_dep(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    text.lines()
        .filter_map(|line| {
            let (path, needs) = line.split_once(':')?;
            let known = path.ends_with(".ko") || path.contains(".ko.");
            (known && !path.contains(' ')).then(|| {
                let needs = needs.split_whitespace().map(str::to_owned).collect();
                (module_name(path), (path.to_owned(), needs))
            })
        })
        .collect()
}

/// `kernel/net/sch-x.ko.xz` → `sch_x`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn tree() -> ModuleTree {
        ModuleTree {
            dir: PathBuf::from("/lib/modules/6.1"),
            modules: parse_dep(
                "kernel/a/one.ko: kernel/b/two-x.ko kernel/c/three.ko\n\
                 kernel/b/two-x.ko: kernel/c/three.ko\nkernel/c/three.ko:\n\
                 # a comment: no module\nalias x:y one\n",
            ),
            builtin: vec!["there".to_owned()],
        }
    }

    #[test]
    fn dependencies_load_before_what_needs_them_and_once() {
        let order = tree()
            .closure(&["one".into(), "two_x".into(), "there".into()])
            .unwrap();
        assert_eq!(
            order,
            ["kernel/c/three.ko", "kernel/b/two-x.ko", "kernel/a/one.ko"]
        );
    }

    #[test]
    fn an_unknown_module_is_refused_by_name() {
        let error = tree().closure(&["nope".into()]).unwrap_err().to_string();
        assert!(
            error.contains("nope") && error.contains("modules.dep"),
            "{error}"
        );
    }

    #[test]
    fn names_are_what_the_kernel_calls_them() {
        assert_eq!(module_name("kernel/net/sch-x.ko.xz"), "sch_x");
        assert_eq!(module_name("virtio_net"), "virtio_net");
    }
}
