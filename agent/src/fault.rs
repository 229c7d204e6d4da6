//! The places at which the agent may die: before and after each write that has to
//! be whole, and each call of the kernel. In tests it dies at one of them, as by
//! SIGKILL; otherwise nothing happens here.

/// Between two steps.
#[cfg(not(test))]
pub fn point() {}

/// Writes all of it, in one call where the system allows.
#[cfg(not(test))]
pub fn write_all(file: &mut std::fs::File, bytes: &[u8]) -> std::io::Result<()> {
    std::io::Write::write_all(file, bytes)
}

/// The same with points before, after and half-way.
#[cfg(test)]
pub fn write_all(file: &mut std::fs::File, bytes: &[u8]) -> std::io::Result<()> {
    for piece in [&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2..]] {
        point();
        std::io::Write::write_all(file, piece)?;
    }
    point();
    Ok(())
}

/// Dies at the point whose number, from 0, is in the environment.
#[cfg(test)]
pub fn point() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let at = std::env::var(KILL_AT).ok().and_then(|at| at.parse().ok());
    if at == Some(PASSED.fetch_add(1, Ordering::Relaxed)) {
        // Nothing is unwound and nothing is dropped.
        std::process::abort();
    }
}

#[cfg(test)]
pub const KILL_AT: &str = "RESPLICE_TEST_KILL_AT";
