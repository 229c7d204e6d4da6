//! `resplice-objdiff`: the library's work on files, for people and scripts.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("resplice-objdiff: {error:#}");
            ExitCode::from(2)
        }
    }
}
