//! The command line into the guest: requests and answers over the second
//! serial port. `guest/init.sh` is the other end.
//!
//! ```text
//! guest  @ready RELEASE
//! host   run TOKEN LIMIT_S BASE64(script)
//! guest  @TOKEN done|late EXIT_CODE OUT_BYTES ERR_BYTES line|disk|none
//!        OUT_BYTES + ERR_BYTES raw bytes, if `line`
//!        @TOKEN end
//! ```
//! Output goes to files first, so its length is known and nothing in it can
//! pass for a frame; the token is drawn for each request. A stray writer to
//! the serial port can only spoil a frame, which its missing end shows.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// More than this inline is no answer of ours.
const INLINE_MAX_BYTES: u64 = 64 << 10;
/// Longer lines are noise.
const LINE_MAX_BYTES: usize = 4096;

/// How a command ended, with the output that came inline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// killed at its time limit
    pub late: bool,
    pub code: i32,
    pub out_bytes: u64,
    pub err_bytes: u64,
    pub body: Body,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Inline { stdout: Vec<u8>, stderr: Vec<u8> },
    OnDisk,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// The deadline passed.
    Timeout,
    /// QEMU closed the line.
    Closed,
    /// What came was no frame.
    Garbled(String),
}

#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Channel {
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Waits for the guest's greeting; returns the kernel release it names.
    pub fn ready(&mut self, deadline: Instant) -> Result<String, Silence> {
        loop {
            if let Some(release) = self.line(deadline)?.strip_prefix("@ready ") {
                return Ok(release.to_owned());
            }
        }
    }

    /// Sends one request.
    pub fn send(
        &mut self,
        token: &str,
        limit: Duration,
        script_base64: &str,
    ) -> Result<(), Silence> {
        let line = format!("run {token} {} {script_base64}\n", limit.as_secs().max(1));
        self.stream
            .write_all(line.as_bytes())
            .map_err(|_| Silence::Closed)
    }

    /// Waits for the answer to the request of that token.
    pub fn answer(&mut self, token: &str, deadline: Instant) -> Result<Answer, Silence> {
        let prefix = format!("@{token} ");
        let header = loop {
            if let Some(rest) = self.line(deadline)?.strip_prefix(&prefix) {
                break rest.to_owned();
            }
        };
        let (mut answer, place) = parse(&header).ok_or_else(|| Silence::Garbled(header.clone()))?;
        if place == "line" {
            if answer.out_bytes.saturating_add(answer.err_bytes) > INLINE_MAX_BYTES {
                return Err(Silence::Garbled(header));
            }
            let stdout = self.exactly(answer.out_bytes, deadline)?;
            let stderr = self.exactly(answer.err_bytes, deadline)?;
            answer.body = Body::Inline { stdout, stderr };
        }
        let end = self.line(deadline)?;
        if end != format!("{prefix}end") {
            return Err(Silence::Garbled(end));
        }
        Ok(answer)
    }

    fn line(&mut self, deadline: Instant) -> Result<String, Silence> {
        loop {
            if let Some(at) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.buffer.len() > LINE_MAX_BYTES {
                self.buffer.clear();
            }
            self.fill(deadline)?;
        }
    }

    fn exactly(&mut self, length: u64, deadline: Instant) -> Result<Vec<u8>, Silence> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        while self.buffer.len() < length {
            self.fill(deadline)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn fill(&mut self, deadline: Instant) -> Result<(), Silence> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Silence::Timeout);
        }
        let mut chunk = [0; 4096];
        let read = self
            .stream
            .set_read_timeout(Some(left))
            .and_then(|()| self.stream.read(&mut chunk));
        match read {
            Ok(0) => Err(Silence::Closed),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Silence::Timeout)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Silence::Closed),
        }
    }
}

/// `done 0 12 0 line` → the answer without its body, and the place of that.
fn parse(header: &str) -> Option<(Answer, &str)> {
    let mut words = header.split(' ');
    let late = match words.next()? {
        "done" => false,
        "late" => true,
        _ => return None,
    };
    let code = words.next()?.parse().ok()?;
    let out_bytes = words.next()?.parse().ok()?;
    let err_bytes = words.next()?.parse().ok()?;
    let place = words.next()?;
    let known = matches!(place, "line" | "disk") && words.next().is_none();
    known.then_some((
        Answer {
            late,
            code,
            out_bytes,
            err_bytes,
            body: Body::OnDisk,
        },
        place,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    /// What the channel makes of bytes that the guest sent.
    fn hear(bytes: &[u8]) -> (Channel, UnixStream) {
        let (host, mut guest) = UnixStream::pair().unwrap();
        guest.write_all(bytes).unwrap();
        (Channel::new(host), guest)
    }

    #[test]
    fn an_answer_has_its_streams_apart_and_byte_for_byte() {
        let (mut channel, _guest) = hear(b"@ready 6.1\n@t1 done 3 4 2 line\n\0\n\xff!er@t1 end\n");
        assert_eq!(channel.ready(soon()).unwrap(), "6.1");
        let answer = channel.answer("t1", soon()).unwrap();
        assert_eq!((answer.code, answer.late), (3, false));
        let Body::Inline { stdout, stderr } = answer.body else {
            panic!("not inline")
        };
        assert_eq!(
            (stdout.as_slice(), stderr.as_slice()),
            (&b"\0\n\xff!"[..], &b"er"[..])
        );
    }

    #[test]
    fn output_that_looks_like_a_frame_stays_output() {
        let forged = b"@t1 end\n@t1 done 0 0 0 line\n@t1 end\n";
        let mut bytes = format!("@t1 done 9 {} 0 line\n", forged.len()).into_bytes();
        bytes.extend_from_slice(forged);
        bytes.extend_from_slice(b"@t1 end\n@t2 done 0 0 0 line\n@t2 end\n");
        let (mut channel, _guest) = hear(&bytes);
        let first = channel.answer("t1", soon()).unwrap();
        assert_eq!(first.code, 9);
        assert_eq!(
            first.body,
            Body::Inline {
                stdout: forged.to_vec(),
                stderr: Vec::new()
            }
        );
        assert_eq!(channel.answer("t2", soon()).unwrap().code, 0);
    }

    #[test]
    fn noise_and_answers_to_others_are_passed_over() {
        let mut bytes = b"[ 1.0] kernel talks\n@old done 0 0 0 line\n@old end\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', 3 * LINE_MAX_BYTES));
        bytes.extend_from_slice(b"\n@t done 1 0 0 disk\n@t end\n");
        let (mut channel, _guest) = hear(&bytes);
        assert_eq!(channel.answer("t", soon()).unwrap().body, Body::OnDisk);
    }

    #[test]
    fn a_spoilt_frame_is_garbled_and_not_believed() {
        for bytes in [
            &b"@t done 0 1 0 line\nxy@t end\n"[..],
            b"@t done 0 0 0 none\n@t end\n",
            b"@t done zero 0 0 line\n",
            b"@t done 0 0 0 line extra\n",
            b"@t done 0 99999999 0 line\n",
            b"@t done 0 -1 0 line\n",
        ] {
            let (mut channel, _guest) = hear(bytes);
            let result = channel.answer("t", soon());
            assert!(matches!(result, Err(Silence::Garbled(_))), "{result:?}");
        }
    }

    #[test]
    fn silence_ends_at_the_deadline_and_a_closed_line_at_once() {
        let (mut channel, guest) = hear(b"@t done 0 5 0 line\nab");
        let deadline = Instant::now() + Duration::from_millis(50);
        assert_eq!(channel.answer("t", deadline), Err(Silence::Timeout));
        drop(guest);
        assert_eq!(channel.answer("t", soon()), Err(Silence::Closed));
    }
}
