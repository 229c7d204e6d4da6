//! Preparing the build tree with the kernel's own configuration.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::command::{command, output, version_line};
use crate::error::{Context, Mismatch};
use crate::id::{Flavour, TargetId};
use crate::recipe::{
    Access, Mount, Recipe, SANDBOX_BUILD, SANDBOX_SOURCE, base_system, environment,
};

/// The configuration's line that names the compiler.
pub(crate) fn compiler_of_config(config: &Path) -> Result<String, Error> {
    let text = fs::read_to_string(config).context("read", config)?;
    parse_compiler(&text).ok_or_else(|| Error::Content {
        path: config.to_owned(),
        reason: "it has no CONFIG_CC_VERSION_TEXT".to_owned(),
    })
}

fn parse_compiler(config: &str) -> Option<String> {
    let line = config
        .lines()
        .find_map(|line| line.strip_prefix("CONFIG_CC_VERSION_TEXT="))?;
    Some(line.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// The program that a compiler's version line begins with, `gcc-12` or `x86_64-linux-gnu-gcc-12`: called by another
/// name it prints another line, and the kernel's configuration would change. It becomes a command, so nothing else
/// is accepted.
pub(crate) fn compiler(cc_version_text: &str) -> Option<&str> {
    let program = cc_version_text.split(' ').next()?;
    let name = program.strip_prefix("x86_64-linux-gnu-").unwrap_or(program);
    let version = name.strip_prefix("gcc-")?;
    let number =
        (1..=2).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_digit());
    number.then_some(program)
}

/// Refuses unless the installed compiler is the one that the kernel was built with, to the letter.
pub(crate) fn check_compiler(release: &str, cc_version_text: &str) -> Result<(), Error> {
    let installed = match compiler(cc_version_text) {
        Some(program) => version_line(program, "gcc-12")?,
        None => "gcc-N".to_owned(),
    };
    same_compiler(release, cc_version_text, &installed)
}

fn same_compiler(release: &str, kernel: &str, installed: &str) -> Result<(), Error> {
    if kernel == installed {
        return Ok(());
    }
    Err(Mismatch {
        what: "the compilers",
        left_name: format!("the configuration of {release}"),
        left: kernel.to_owned(),
        right_name: "the machine".to_owned(),
        right: installed.to_owned(),
        remedy: "only the same compiler makes the same code: install that one",
    }
    .into())
}

/// `make` in the build tree with everything that its flags and generated headers depend on.
pub(crate) fn make(id: &TargetId, package_version: &str, cc_version_text: &str) -> Vec<String> {
    // Debug information changes no loaded section and costs a third of the time.
    let mut flags = "-g0".to_owned();
    if id.flavour() == Flavour::Own {
        // Where KASAN watches variables, each unit gets constructors and padding that no difference understands.
        flags.push_str(" --param asan-globals=0");
    }
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let compiler = compiler(cc_version_text).unwrap_or("gcc");
    vec![
        "make".to_owned(),
        "-C".to_owned(),
        SANDBOX_SOURCE.to_owned(),
        format!("O={SANDBOX_BUILD}"),
        format!("-j{jobs}"),
        format!("CC={compiler}"),
        format!("HOSTCC={compiler}"),
        format!("KERNELRELEASE={}", id.release()),
        // These fill in LINUX_PACKAGE_ID, which hung_task.c and dump_stack.c print.
        "DISTRIBUTION_OFFICIAL_BUILD=1".to_owned(),
        "DISTRIBUTOR=Debian".to_owned(),
        format!("DISTRIBUTION_VERSION={package_version}"),
        format!("CFLAGS_KERNEL={flags}"),
        format!("CFLAGS_MODULE={flags}"),
    ]
}

/// Prepares `build` (which must exist and be empty) from `headers`' configuration and symbol versions.
pub(crate) fn prepare(
    (id, package_version, cc_version_text): (&TargetId, &str, &str),
    source: &Path,
    headers: &Path,
    build: &Path,
) -> Result<(), Error> {
    for (from, to) in [(".config", ".config"), ("Module.symvers", "Module.symvers")] {
        let from = headers.join(from);
        fs::copy(&from, build.join(to)).context("copy", &from)?;
    }
    let mut argv = make(id, package_version, cc_version_text);
    argv.extend(["-s", "olddefconfig", "prepare", "modules_prepare"].map(str::to_owned));
    let recipe = Recipe {
        mounts: vec![
            Mount {
                host: source.to_owned(),
                at: SANDBOX_SOURCE,
                access: Access::ReadOnly,
            },
            Mount {
                host: build.to_owned(),
                at: SANDBOX_BUILD,
                access: Access::Write,
            },
        ],
        argv,
        environment: environment(),
    };
    let operation = format!("prepare the build tree of {}", id.release());
    let mut bwrap = command("bwrap");
    bwrap.args(base_system()).args(recipe.bwrap_arguments(None));
    output(&operation, &mut bwrap, "bubblewrap")?;
    check_config(&headers.join(".config"), &build.join(".config"))
}

/// A line that `olddefconfig` changed would mean other code than the shipped one.
fn check_config(shipped: &PathBuf, prepared: &PathBuf) -> Result<(), Error> {
    let lines = |path: &PathBuf| -> Result<Vec<String>, Error> {
        let text = fs::read_to_string(path).context("read", path)?;
        Ok(text
            .lines()
            .filter(|line| line.contains("CONFIG_"))
            .map(str::to_owned)
            .collect())
    };
    let (shipped_lines, prepared_lines) = (lines(shipped)?, lines(prepared)?);
    let differs = |other: &[String], line: &&String| !other.contains(line);
    let left = shipped_lines
        .iter()
        .find(|line| differs(&prepared_lines, line));
    let right = prepared_lines
        .iter()
        .find(|line| differs(&shipped_lines, line));
    if left.is_none() && right.is_none() {
        return Ok(());
    }
    Err(Mismatch {
        what: "the kernel configurations",
        left_name: shipped.display().to_string(),
        left: left.cloned().unwrap_or_default(),
        right_name: format!("{} after olddefconfig", prepared.display()),
        right: right.cloned().unwrap_or_default(),
        remedy: "the machine's tools differ from those the kernel was configured with: bring gcc-12 and binutils to the suite's versions",
    }.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_the_compiler_of_a_configuration() {
        let config = "# x\nCONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0\"\nCONFIG_SMP=y\n";
        assert_eq!(
            parse_compiler(config).unwrap(),
            "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
        );
        assert_eq!(
            parse_compiler("CONFIG_SMP=y\nCONFIG_CC_VERSION_TEXT=gcc\n"),
            None
        );
    }

    #[test]
    fn only_a_gcc_becomes_a_command() {
        for (line, program) in [
            ("gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0", Some("gcc-12")),
            (
                "x86_64-linux-gnu-gcc-12 (Debian 1) 12.2.0",
                Some("x86_64-linux-gnu-gcc-12"),
            ),
            ("clang version 14", None),
            ("/bin/gcc-12 x", None),
            ("gcc-12;id x", None),
            ("", None),
        ] {
            assert_eq!(compiler(line), program, "{line}");
        }
    }

    #[test]
    fn another_compiler_is_refused_with_both_values() {
        let error = same_compiler(
            "6.1.0-50-amd64",
            "gcc-12 (Debian 1) 12.2.0",
            "gcc-12 (Debian 2) 12.2.0",
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("(Debian 1)") && error.contains("(Debian 2)"),
            "{error}"
        );
    }

    #[test]
    fn a_changed_configuration_is_refused_with_both_lines() {
        let directory = tempfile::tempdir().unwrap();
        let (shipped, prepared) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&shipped, "# date one\nCONFIG_A=y\nCONFIG_B=m\n").unwrap();
        fs::write(&prepared, "# date two\nCONFIG_A=y\nCONFIG_B=m\n").unwrap();
        assert!(check_config(&shipped, &prepared).is_ok());
        fs::write(&prepared, "CONFIG_A=y\n# CONFIG_B is not set\n").unwrap();
        let error = check_config(&shipped, &prepared).unwrap_err().to_string();
        assert!(
            error.contains("CONFIG_B=m") && error.contains("CONFIG_B is not set"),
            "{error}"
        );
    }
}
