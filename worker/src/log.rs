//! The build log: a file of bytes, which others read while it grows.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Largest log in bytes; what comes after it is dropped, and the log says so.
pub const MAX_LOG_BYTES: u64 = resplice_api::limits::MAX_LOG_BYTES - 4096;

const HEADING: &str = "\x1b[1;36m==>\x1b[0;1m ";
const ERROR: &str = "\x1b[1;31m";
const RESET: &str = "\x1b[0m";

/// A log that many may write to. Clones are the same log.
#[derive(Debug, Clone)]
pub struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    bytes: u64,
    full: bool,
    /// Whether a line is unfinished.
    open_line: bool,
    echo: bool,
    colour: bool,
}

impl Log {
    /// Begins a log. With `echo`, people see it on standard error as well.
    ///
    /// # Errors
    /// If the file can't be made.
    pub fn create(path: &Path, echo: bool) -> io::Result<Self> {
        let file = File::create(path)?;
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            state: Mutex::new(State {
                file,
                bytes: 0,
                full: false,
                open_line: false,
                echo,
                colour,
            }),
        })))
    }

    /// The heading of a step: `==> name`.
    pub fn step(&self, name: &str) {
        self.own_line(&format!("{HEADING}{name}{RESET}"));
    }

    /// A line of the worker's own words.
    pub fn line(&self, text: &str) {
        self.own_line(text);
    }

    /// A line that says what went wrong.
    pub fn error(&self, text: &str) {
        self.own_line(&format!("{ERROR}{text}{RESET}"));
    }

    /// A command's output.
    pub fn write(&self, bytes: &[u8]) {
        self.state().write(bytes);
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The log's text from `offset` on, at most `limit` bytes.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn read_from(&self, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let file = fs::File::open(&self.0.path)?;
        let mut bytes = vec![0; limit];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn own_line(&self, text: &str) {
        let mut state = self.state();
        if state.open_line {
            state.write(b"\n");
        }
        state.write(text.as_bytes());
        state.write(b"\n");
    }

    /// A writer that panicked has left nothing half done that matters here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.full {
            return;
        }
        let room = usize::try_from(MAX_LOG_BYTES.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        let take = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.put(take);
        if take.len() < bytes.len() {
            self.full = true;
            self.put(b"\n[the log has reached its limit; the rest was dropped]\n");
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.open_line = bytes.last().is_some_and(|&byte| byte != b'\n');
        self.bytes += bytes.len() as u64;
        if let Err(error) = self.file.write_all(bytes) {
            tracing::error!(%error, "can't write the build log");
            self.full = true;
        }
        if self.echo {
            let shown = for_terminal(bytes, self.colour);
            // Nobody may be looking any more; that is no reason to stop building.
            let _ = io::stderr().write_all(&shown);
        }
    }
}

/// Takes out what could drive a terminal: everything but text, line ends, tabs
/// and, with `colour`, colours.
fn for_terminal(bytes: &[u8], colour: bool) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(length) = colour_sequence(rest) {
            let (sequence, after) = rest.split_at(length);
            if colour {
                shown.extend_from_slice(sequence);
            }
            rest = after;
            continue;
        }
        if byte >= 0x20 && byte != 0x7f || byte == b'\n' || byte == b'\t' {
            shown.push(byte);
        }
        rest = after;
    }
    shown
}

/// The length of the colour sequence (ESC `[` digits and semicolons `m`) that
/// `bytes` begins with.
fn colour_sequence(bytes: &[u8]) -> Option<usize> {
    let body = bytes.strip_prefix(b"\x1b[")?;
    let length = body
        .iter()
        .take(32)
        .position(|byte| !byte.is_ascii_digit() && *byte != b';')?;
    (body.get(length) == Some(&b'm')).then_some(length + 3)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_heading_begins_on_a_line_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::create(&dir.path().join("log"), false).unwrap();
        log.write(b"no line end");
        log.step("pre");
        let text = fs::read_to_string(log.path()).unwrap();
        assert_eq!(text, "no line end\n\x1b[1;36m==>\x1b[0;1m pre\x1b[0m\n");
    }

    #[test]
    fn a_reader_follows_by_offset() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::create(&dir.path().join("log"), false).unwrap();
        log.write(b"hello world\n");
        assert_eq!(log.read_from(6, 5).unwrap(), b"world");
        assert_eq!(log.read_from(12, 5).unwrap(), b"");
    }

    #[test]
    fn output_can_not_drive_the_terminal() {
        let evil = b"a\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m\r\n";
        assert_eq!(
            for_terminal(evil, true),
            b"a[2J]0;title\x1b[31mred\x1b[0m\n"
        );
        assert_eq!(for_terminal(evil, false), b"a[2J]0;titlered\n");
    }
}
