//! Settings as the server's own program takes them.

use crate::s3::S3;
use std::{path::Path, process::Command};

/// What `serve` says with these, which it must refuse.
fn refused(file: &Path, variable: Option<&str>, flag: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resplice-server"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]);
    command
        .arg(file)
        .arg("--data")
        .arg(file.with_extension("data"));
    command.envs(variable.map(|value| ("RESPLICE_LEASE_SECONDS", value)));
    command.args(flag.map(|value| format!("--lease-seconds={value}")));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        !file.with_extension("data").exists(),
        "it began nonetheless"
    );
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_flag_counts_more_than_a_variable_and_that_more_than_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.toml");
    std::fs::write(&file, "lease_seconds = 1\n").unwrap();
    assert!(refused(&file, None, None).contains("lease_seconds is 1:"));
    assert!(refused(&file, Some("4001"), None).contains("lease_seconds is 4001:"));
    assert!(refused(&file, Some("4001"), Some("4002")).contains("lease_seconds is 4002:"));
}

#[test]
fn a_bucket_that_is_not_there_keeps_the_server_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let s3 = S3::start();
    std::fs::remove_dir(s3.bucket()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_resplice-server"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path().join("data"))
        .envs(s3.environment())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("can't list s3://updates/store"), "{said}");
    assert!(!said.contains("of-the-tests"), "{said}");
}

#[test]
fn an_unknown_setting_keeps_the_server_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.toml");
    std::fs::write(&file, "lease_secs = 30\n").unwrap();
    let said = refused(&file, None, None);
    assert!(
        said.contains("lease_secs") && said.contains("server.toml"),
        "{said}"
    );
    // The printed file is one that can be used.
    let printed = Command::new(env!("CARGO_BIN_EXE_resplice-server"))
        .arg("config")
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    std::fs::write(&file, printed + "lease_seconds = 1\n").unwrap();
    assert!(refused(&file, None, None).contains("lease_seconds is 1:"));
}
