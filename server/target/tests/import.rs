//! Imports a real kernel and builds against it. The first run downloads some 180 MB into the cache.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use resplice_target::{Bars, Cache, Quiet, Target, TargetId, base_system, list, resolve};

/// `RESPLICE_TEST_TARGET` names another kernel than the oldest cloud one.
fn target_id() -> TargetId {
    let name =
        std::env::var("RESPLICE_TEST_TARGET").unwrap_or_else(|_| "debian:oldest-cloud".to_owned());
    resolve(&name.parse().unwrap()).unwrap()
}

fn import() -> Target {
    Target::import(&Cache::from_env(), &target_id(), &Bars::new())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

#[test]
fn the_archive_holds_kernels_that_can_be_imported() {
    let available = list().unwrap();
    assert!(available.iter().any(|entry| entry.missing.is_empty()));
    assert!(available.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn an_imported_target_is_whole_and_opens_in_milliseconds() {
    let target = import();
    for path in [
        target.source_dir().join("net/ipv6/seg6.c"),
        target.build_dir().join("Module.symvers"),
        target.build_dir().join("tools/objtool/objtool"),
        target.headers_dir().join(".config"),
        target.kbuild_dir().join("scripts"),
        target.bzimage(),
        target.modules_dir().join("modules.dep"),
    ] {
        assert!(path.exists(), "{}", path.display());
    }
    assert!(fs::read(target.vmlinux()).unwrap().starts_with(b"\x7fELF"));
    let started = Instant::now();
    let again = Target::import(&Cache::from_env(), target.id(), &Quiet).unwrap();
    assert!(
        started.elapsed() < Duration::from_millis(100),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(again.digest(), target.digest());
}

#[test]
fn a_module_builds_against_the_shared_tree_read_only() {
    let target = import();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("Kbuild"), "obj-m := probe.o\n").unwrap();
    fs::write(
        directory.path().join("probe.c"),
        "#include <linux/module.h>\nMODULE_LICENSE(\"GPL\");\n",
    )
    .unwrap();
    let recipe = target.module_build(directory.path());
    run(Command::new("bwrap")
        .args(base_system())
        .args(recipe.bwrap_arguments(None)));
    let module = fs::read(directory.path().join("probe.ko")).unwrap();
    let vermagic = format!("vermagic={} SMP", target.release());
    assert!(
        module
            .windows(vermagic.len())
            .any(|window| window == vermagic.as_bytes())
    );
}

#[test]
fn a_unit_compiles_in_an_overlay_and_nothing_else_is_rebuilt() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: mounting an overlay needs root");
        return;
    }
    let target = import();
    // An overlay's upper directory cannot lie on an overlay or tmpfs everywhere; the cache's disk serves.
    let job = tempfile::tempdir_in(Cache::from_env().root()).unwrap();
    let path = |name: &str| job.path().join(name);
    for name in ["upper", "work", "merged"] {
        fs::create_dir(path(name)).unwrap();
    }
    let recipe = target.unit_build(&["net/ipv6/seg6.o"]);
    let mut arguments = base_system();
    arguments.extend(recipe.bwrap_arguments(Some(&path("merged"))));
    let script = "mount -t overlay overlay -o \"lowerdir=$1,upperdir=$2,workdir=$3\" \"$4\"; shift 4; exec bwrap \"$@\"";
    let text = run(Command::new("unshare")
        .args(["--mount", "sh", "-euc", script, "sh"])
        .arg(target.build_dir())
        .args([path("upper"), path("work"), path("merged")])
        .args(arguments));
    let compiled: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| {
            ["CC ", "HOSTCC ", "LD ", "AR "]
                .iter()
                .any(|verb| line.starts_with(verb))
        })
        .collect();
    assert_eq!(compiled, ["CC      net/ipv6/seg6.o"], "{text}");
    assert!(Path::new(&path("upper")).join("net/ipv6/seg6.o").exists());
}
