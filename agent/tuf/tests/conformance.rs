//! The client against repositories that python-tuf writes and bends:
//! `python/cases.py` says what it must do with each.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Python with python-tuf, as `deploy/setup --test` installs it.
fn python() -> PathBuf {
    let set = |name| env::var_os(name).map(PathBuf::from);
    let cache = set("RESPLICE_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("resplice")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/resplice")));
    let python = cache.unwrap().join("tools/tuf/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `deploy/setup --test`",
        python.display()
    );
    python
}

#[test]
fn the_client_does_what_the_specification_asks_in_every_case() {
    let cases = Path::new("tests/python/cases.py");
    let output = Command::new(python())
        .arg("-B")
        .arg(cases)
        .arg(env!("CARGO_BIN_EXE_tuf-shim"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    println!("{said}");
}
