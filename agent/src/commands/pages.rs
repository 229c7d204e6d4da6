//! `resplice completions` and `resplice man`, for those who make packages.

use crate::{cli::Cli, text};
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::{fs, io, path::Path, process::ExitCode};

pub fn completions(shell: clap_complete::Shell) -> Result<ExitCode> {
    clap_complete::generate(shell, &mut Cli::command(), "resplice", &mut io::stdout());
    Ok(ExitCode::SUCCESS)
}

/// Writes `resplice.1` and `resplice-COMMAND.1`.
pub fn man(dir: &Path) -> Result<ExitCode> {
    fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("can't write the pages into {}", dir.display()))?;
    text::note(&format!("the pages are in {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn shown() -> Vec<String> {
        let all = Cli::command();
        let shown = all
            .get_subcommands()
            .filter(|command| !command.is_hide_set());
        shown.map(|command| command.get_name().to_owned()).collect()
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        man(dir.path()).unwrap();
        let top = fs::read_to_string(dir.path().join("resplice.1")).unwrap();
        for name in shown() {
            let page = fs::read_to_string(dir.path().join(format!("resplice-{name}.1"))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
            assert!(top.contains(&format!("resplice\\-{name}(1)")), "{name}");
        }
        assert!(top.contains("Exit codes"));
    }

    #[test]
    fn every_command_is_completed_in_every_shell() {
        for shell in <clap_complete::Shell as clap::ValueEnum>::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "resplice", &mut script);
            let script = String::from_utf8(script).unwrap();
            for name in shown() {
                assert!(script.contains(&name), "{shell}: {name}");
            }
        }
    }
}
