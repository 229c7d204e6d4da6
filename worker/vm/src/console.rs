//! The guest's console: kept in a bounded ring, optionally copied to a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The newest bytes kept in memory.
const RING_MAX_BYTES: usize = 1 << 20;
/// The oldest bytes kept in the file.
const FILE_MAX_BYTES: usize = 16 << 20;

/// Collects what a reader yields until it ends.
#[derive(Debug)]
pub(crate) struct Console {
    ring: Arc<Mutex<VecDeque<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    pub fn collect(mut source: impl Read + Send + 'static, mut file: Option<File>) -> Self {
        let ring = Arc::new(Mutex::new(VecDeque::new()));
        let shared = Arc::clone(&ring);
        let thread = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            let mut filed = 0;
            while let Ok(count @ 1..) = source.read(&mut chunk) {
                let bytes = &chunk[..count];
                if let Some(file) = &mut file
                    && filed < FILE_MAX_BYTES
                {
                    filed += count;
                    let _ = file.write_all(bytes);
                }
                let mut ring = shared.lock().unwrap_or_else(PoisonError::into_inner);
                ring.extend(bytes);
                let excess = ring.len().saturating_sub(RING_MAX_BYTES);
                ring.drain(..excess);
            }
        });
        Self {
            ring,
            thread: Some(thread),
        }
    }

    /// What is in the ring, without carriage returns.
    pub fn text(&self) -> String {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(ring.make_contiguous()).replace('\r', "")
    }

    /// Waits for the source to end, so that `text` is complete.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_the_newest_bytes_are_kept() {
        let mut flood = vec![b'x'; 2 * RING_MAX_BYTES];
        flood.extend_from_slice(b"\r\nlast words");
        let mut console = Console::collect(std::io::Cursor::new(flood), None);
        console.join();
        let text = console.text();
        assert!(text.len() < RING_MAX_BYTES && text.ends_with("x\nlast words"));
    }
}
