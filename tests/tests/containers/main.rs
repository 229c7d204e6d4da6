//! The sandbox of a container engine keeps in what the local one does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../worker/tests/sandbox/escapes.rs"]
mod escapes;

mod compose;

use resplice_tests::engine::Engine as Host;
use resplice_worker::sandbox::{Docker, Sandbox};
use std::path::Path;

async fn start(_: &Path) -> (Box<dyn Sandbox>, Host) {
    let engine = Host::start().unwrap();
    let docker = Docker::at(&engine.address(), &engine.image).await.unwrap();
    (Box::new(docker), engine)
}
