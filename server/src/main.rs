//! The program `resplice-server`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    resplice_server::cli::main().await
}
