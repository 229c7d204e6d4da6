//! A kernel of one's own: an imported target's source under another configuration.
//!
//! The configuration is a fragment: what it does not name is off (`allnoconfig`), unless something that it names needs
//! it. Source, fragment and compiler determine the release, so that a kernel is built once and found again.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cache::{create_dir, remove_tree};
use crate::command::{command, output};
use crate::error::{Context, Error};
use crate::id::TargetId;
use crate::import::{self, check_banner, check_space, extract};
use crate::prepare::{self, make};
use crate::progress::Progress;
use crate::recipe::{
    Access, Mount, Recipe, SANDBOX_BUILD, SANDBOX_MODULE, SANDBOX_SOURCE, base_system, environment,
};
use crate::target::{self, Input, Record, Role, Target};

/// Raise it when kernels are built in another way.
const FORMAT: &str = "resplice-own-v1";
/// Largest fragment that is read, in bytes.
const FRAGMENT_MAX: u64 = 1 << 20;
/// Free space to begin with, in MiB: all objects of a kernel with KASAN.
const SPACE: u64 = 4 * 1024;

struct Fragment {
    name: String,
    text: String,
    sha256: String,
}

pub(crate) fn build(
    base: &Target,
    config: &Path,
    progress: &dyn Progress,
) -> Result<Target, Error> {
    let cache = base.cache();
    let fragment = read(config)?;
    let source = base
        .inputs()
        .iter()
        .find(|input| input.role == Role::Source);
    let source = source.cloned().ok_or_else(|| Error::Content {
        path: base.build_dir(),
        reason: format!("{} does not say which source it was made from", base.id()),
    })?;
    let id = TargetId::own(&release(base, &fragment, &source))?;
    match Target::load(cache, &id) {
        Err(Error::NotImported { .. }) => {}
        loaded => return loaded,
    }
    let _lock = cache.lock(&format!("target-{}", id.release()), progress)?;
    // Another process may have finished while this one waited.
    match Target::load(cache, &id) {
        Err(Error::NotImported { .. }) => {}
        loaded => return loaded,
    }
    prepare::check_compiler(id.release(), base.cc_version_text())?;
    check_space(cache, SPACE)?;
    let directory = cache.target(id.release());
    remove_tree(&directory)?;
    create_dir(&directory)?;
    let build = Build {
        base,
        id: &id,
        objects: directory.join("objects"),
        root: directory.join("root"),
    };
    progress.begin(&format!("configure {}", id.release()), None);
    build.configure(&fragment)?;
    progress.end();
    progress.begin(&format!("build {}", id.release()), None);
    build.make()?;
    build.install()?;
    progress.end();

    let vmlinux = directory.join("vmlinux");
    let bzimage = target::bzimage(&build.root, id.release());
    let (banner, vmlinux_sha256) = extract(&bzimage, &vmlinux)?;
    let (version, compiler) = (base.package_version(), base.cc_version_text());
    check_banner(&id, version, compiler, &banner, &vmlinux)?;
    // Anew, as of any other target: in a tree with objects `make` has nothing to say of how they are made.
    remove_tree(&build.objects)?;
    let headers = target::headers_dir(&build.root, id.release());
    import::prepare_tree(
        &id,
        (version, compiler),
        &base.source_dir(),
        &headers,
        &directory,
        progress,
    )?;
    let config = Input {
        role: Role::Config,
        name: format!("{}.config", fragment.name),
        version: version.to_owned(),
        file: format!("{}.config", fragment.name),
        bytes: fragment.text.len() as u64,
        sha256: fragment.sha256,
    };
    Target::create(
        cache,
        Record {
            format: 0,
            id: id.clone(),
            package_version: version.to_owned(),
            arch: base.arch().to_owned(),
            cc_version_text: compiler.to_owned(),
            banner: banner.text,
            vmlinux_sha256,
            inputs: vec![source, config],
        },
    )
}

fn read(config: &Path) -> Result<Fragment, Error> {
    let bytes = fs::metadata(config).context("read", config)?.len();
    if bytes > FRAGMENT_MAX {
        return Err(Error::TooLarge {
            what: config.display().to_string(),
            bytes,
            limit: FRAGMENT_MAX,
        });
    }
    let text = fs::read_to_string(config).context("read", config)?;
    let name = config.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Fragment {
        name: name.into_owned(),
        sha256: hex::encode(Sha256::digest(&text)),
        text,
    })
}

fn release(base: &Target, fragment: &Fragment, source: &Input) -> String {
    let lines = [
        FORMAT,
        &source.sha256,
        base.cc_version_text(),
        &fragment.sha256,
    ];
    let digest = hex::encode(Sha256::digest(lines.join("\n")));
    let version = base.package_version().split('-').next().unwrap_or_default();
    format!("{version}-{}-{}-own", fragment.name, &digest[..12])
}

/// A kernel that is being built.
struct Build<'a> {
    base: &'a Target,
    id: &'a TargetId,
    objects: PathBuf,
    root: PathBuf,
}

impl Build<'_> {
    fn configure(&self, fragment: &Fragment) -> Result<(), Error> {
        create_dir(&self.objects)?;
        let given = self.objects.join("own.config");
        fs::write(&given, &fragment.text).context("write", &given)?;
        let all = format!("KCONFIG_ALLCONFIG={SANDBOX_BUILD}/own.config");
        self.run("configure", &["-s", &all, "allnoconfig"])?;
        let made = self.objects.join(".config");
        let text = fs::read_to_string(&made).context("read", &made)?;
        match ignored(&fragment.text, &text) {
            None => Ok(()),
            Some(line) => Err(Error::Content {
                path: made,
                reason: format!(
                    "the kernel's own rules leave `{line}` of {} out: add what it depends on",
                    fragment.name
                ),
            }),
        }
    }

    fn make(&self) -> Result<(), Error> {
        // The source is Debian's, and the banner says so as that of its packages does.
        let version = self.base.package_version();
        let stamp = format!("KBUILD_BUILD_VERSION_TIMESTAMP=Debian {version} (own)");
        let reproducible = [
            "KBUILD_BUILD_TIMESTAMP=1970-01-01",
            "KBUILD_BUILD_VERSION=1",
        ];
        let [when, number] = reproducible;
        self.run("build", &["-s", &stamp, when, number, "bzImage", "modules"])
    }

    /// Puts everything where packages have it.
    fn install(&self) -> Result<(), Error> {
        let release = self.id.release();
        let headers = target::headers_dir(&self.root, release);
        create_dir(&headers)?;
        for file in [".config", "Module.symvers"] {
            let from = self.objects.join(file);
            fs::copy(&from, headers.join(file)).context("copy", &from)?;
        }
        let bzimage = target::bzimage(&self.root, release);
        create_dir(&self.root.join("boot"))?;
        let made = self.objects.join("arch/x86/boot/bzImage");
        fs::copy(&made, &bzimage).context("copy", &made)?;
        let path = format!("INSTALL_MOD_PATH={SANDBOX_MODULE}");
        self.run("install the modules of", &["-s", &path, "modules_install"])?;
        // They lead to the objects, which go.
        let modules = self.root.join("lib/modules").join(release);
        for link in ["build", "source"] {
            let link = modules.join(link);
            if link.is_symlink() {
                fs::remove_file(&link).context("remove", &link)?;
            }
        }
        Ok(())
    }

    fn run(&self, what: &str, words: &[&str]) -> Result<(), Error> {
        let release = self.id.release();
        create_dir(&self.root)?;
        let mount = |host: &Path, at, access| Mount {
            host: host.to_owned(),
            at,
            access,
        };
        let version = self.base.package_version();
        let mut argv = make(self.id, version, self.base.cc_version_text());
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        let recipe = Recipe {
            mounts: vec![
                mount(&self.base.source_dir(), SANDBOX_SOURCE, Access::ReadOnly),
                mount(&self.objects, SANDBOX_BUILD, Access::Write),
                mount(&self.root, SANDBOX_MODULE, Access::Write),
            ],
            argv,
            environment: environment(),
        };
        let mut bwrap = command("bwrap");
        bwrap.args(base_system()).args(recipe.bwrap_arguments(None));
        output(&format!("{what} {release}"), &mut bwrap, "bubblewrap")?;
        Ok(())
    }
}

/// The first line of a fragment that a configuration does not hold to.
fn ignored<'a>(fragment: &'a str, config: &str) -> Option<&'a str> {
    let holds = |line: &str| match line.strip_suffix("=n") {
        Some(option) => {
            let set = format!("{option}=");
            !config.lines().any(|line| line.starts_with(&set))
        }
        None => config.lines().any(|other| other == line),
    };
    let given = |line: &&str| line.starts_with("CONFIG_");
    fragment.lines().filter(given).find(|line| !holds(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernels_rules_left_out_is_noticed() {
        let config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_LONG=4\n";
        for (fragment, line) in [
            (
                "# CONFIG_C\nCONFIG_A=y\n\nCONFIG_B=n\nCONFIG_LONG=4\n",
                None,
            ),
            ("CONFIG_A=y\nCONFIG_B=y\n", Some("CONFIG_B=y")),
            ("CONFIG_A=n\n", Some("CONFIG_A=n")),
            ("CONFIG_LONG=5\n", Some("CONFIG_LONG=5")),
            ("CONFIG_ABSENT=m\n", Some("CONFIG_ABSENT=m")),
        ] {
            assert_eq!(ignored(fragment, config), line, "{fragment}");
        }
    }
}
