//! The local sandbox; that of a container engine is in the crate `resplice-tests`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod escapes;

use resplice_worker::sandbox::{Local, Sandbox};
use std::path::Path;

/// It needs nothing to run on.
struct Host;

async fn start(directory: &Path) -> (Box<dyn Sandbox>, Host) {
    (Box::new(Local::new(directory).await.unwrap()), Host)
}
