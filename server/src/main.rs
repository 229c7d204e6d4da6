//! The program `resplice-server`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A request is many small allocations, on threads that hand them to each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    resplice_server::cli::main().await
}
