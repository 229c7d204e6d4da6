//! A running guest.

use crate::channel::{Answer, Body, Channel, Silence};
use crate::disk::{self, BLOCK_BYTES, Disk, STREAM_MAX_BYTES};
use crate::error::{Error, Result};
use crate::files::GuestFile;
use crate::monitor::Monitor;
use crate::problems::{kernel_problems, panicked};
use crate::qemu::{Qemu, STATE_FILE_ENV, Started};
use crate::scratch::Scratch;
use crate::tools::tail;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Beyond a command's own limit: for the kill and the way back.
const GRACE: Duration = Duration::from_secs(15);
/// A longer script goes over the disk; the serial line has no flow control.
const LINE_SCRIPT_MAX_BYTES: usize = 1500;
/// For the rig's own small commands.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// How a command in the guest ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; 128 + n if signal n killed it.
    pub code: i32,
    /// Its stdout, at most 128 MiB.
    pub stdout: Vec<u8>,
    /// Its stderr, at most 128 MiB.
    pub stderr: Vec<u8>,
    /// Whether a stream was longer than that.
    pub truncated: bool,
    /// From sending the command to its answer.
    pub elapsed: Duration,
}

impl Output {
    /// Whether the exit code is 0.
    pub fn success(&self) -> bool {
        self.code == 0
    }

    /// Stdout as text, without the final newline.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Stdout and then stderr as text.
    pub fn all_text(&self) -> String {
        let text = format!("{}\n{}", self.text(), String::from_utf8_lossy(&self.stderr));
        text.trim().to_owned()
    }
}

/// A guest that runs until this value is dropped. Methods take `&self`;
/// commands of several threads are done one after the other. All of them
/// block: from async code, use them under `spawn_blocking`.
#[derive(Debug)]
pub struct Vm {
    line: Mutex<Line>,
    qemu: Mutex<Qemu>,
    monitor: Mutex<Monitor>,
    // Last: the directory goes after QEMU is gone.
    _scratch: Scratch,
}

/// What only one command at a time may use.
#[derive(Debug)]
struct Line {
    channel: Channel,
    disk: Disk,
    /// Set once the guest stopped answering.
    dead: Option<String>,
}

impl Vm {
    pub(crate) fn assemble(scratch: Scratch, started: Started, disk: Disk) -> Result<Self> {
        let Started {
            mut qemu,
            command,
            monitor,
        } = started;
        // QEMU connects before it looks at the kernel it was given.
        let monitor = match Monitor::open(monitor) {
            Ok(monitor) => monitor,
            Err(error) => {
                return Err(match qemu.wait(Duration::from_secs(1)) {
                    Some(status) => qemu.exited("starting", status.to_string()),
                    None => error,
                });
            }
        };
        Ok(Self {
            line: Mutex::new(Line {
                channel: Channel::new(command),
                disk,
                dead: None,
            }),
            qemu: Mutex::new(qemu),
            monitor: Mutex::new(monitor),
            _scratch: scratch,
        })
    }

    pub(crate) fn await_ready(&self, timeout: Duration) -> Result<()> {
        let mut line = lock(&self.line);
        match line.channel.ready(Instant::now() + timeout) {
            Ok(release) => {
                tracing::debug!(release, "guest is up");
                Ok(())
            }
            Err(Silence::Closed) => Err(self.ended("booting")),
            Err(_) => Err(self.not_ready("boot", timeout)),
        }
    }

    /// After a restore: shows that the guest answers, and corrects its clock.
    pub(crate) fn resumed(&self, timeout: Duration) -> Result<()> {
        let running = lock(&self.monitor).await_running(Instant::now() + timeout);
        if let Err(error) = running {
            let gone = lock(&self.qemu).wait(Duration::from_secs(1)).is_some();
            return Err(if gone { self.ended("restoring") } else { error });
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        match self.run(&format!("date -s @{now}"), timeout) {
            Ok(_) => Ok(()),
            Err(Error::Unresponsive { .. }) => Err(self.not_ready("restore", timeout)),
            Err(error) => Err(error),
        }
    }

    /// Runs a shell script in the guest as root, in `/`, in a session of its
    /// own, with stdin from /dev/null. What it leaves in the background goes
    /// on; at the time limit the whole session's group is killed.
    ///
    /// # Errors
    /// [`Error::CommandTimedOut`]; [`Error::GuestPanicked`],
    /// [`Error::QemuExited`] or [`Error::Unresponsive`] if the guest is lost.
    /// A non-zero exit code is not an error here.
    pub fn run(&self, script: &str, limit: Duration) -> Result<Output> {
        let mut line = lock(&self.line);
        if script.len() <= LINE_SCRIPT_MAX_BYTES {
            return self.exchange(&mut line, script, script, limit);
        }
        let path = format!("/run/resplice-vm/{}-long.sh", new_token()?);
        self.push_locked(&mut line, &[GuestFile::new(&path, 0o700, script)])?;
        let wrapper = format!("sh {path}; code=$?; rm -f {path}; exit $code");
        self.exchange(&mut line, &wrapper, script, limit)
    }

    /// As [`Self::run`], for commands that must exit with 0.
    ///
    /// # Errors
    /// Also [`Error::CommandFailed`].
    pub fn run_ok(&self, script: &str, limit: Duration) -> Result<Output> {
        let output = self.run(script, limit)?;
        if output.success() {
            return Ok(output);
        }
        let words = if output.stderr.is_empty() {
            &output.stdout
        } else {
            &output.stderr
        };
        Err(Error::CommandFailed {
            command: shorten(script),
            code: output.code,
            stderr: tail(&String::from_utf8_lossy(words), 10),
        })
    }

    /// Puts files into the guest, all at once; directories are made.
    ///
    /// # Errors
    /// [`Error::TooBig`] above 256 MiB; as [`Self::run_ok`].
    pub fn push(&self, files: &[GuestFile]) -> Result<()> {
        self.push_locked(&mut lock(&self.line), files)
    }

    /// Reads a file of the guest (at most 128 MiB).
    ///
    /// # Errors
    /// As [`Self::run_ok`]; [`Error::TooBig`].
    pub fn pull(&self, path: &str) -> Result<Vec<u8>> {
        let output = self.run_ok(&format!("cat {}", quote(path)), HOUSEKEEPING)?;
        if output.truncated {
            return Err(Error::TooBig {
                what: path.to_owned(),
                bytes: STREAM_MAX_BYTES + 1,
                limit: STREAM_MAX_BYTES,
            });
        }
        Ok(output.stdout)
    }

    /// What came over the console, at most its last MiB.
    pub fn console(&self) -> String {
        lock(&self.qemu).console.text()
    }

    /// The kernel's log: `dmesg` of a living guest, else the console.
    pub fn kernel_log(&self) -> String {
        match self.run("dmesg", HOUSEKEEPING) {
            Ok(output) if output.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
            _ => self.console(),
        }
    }

    /// Lines of the kernel's log that report a problem; empty if it is clean.
    pub fn kernel_problems(&self) -> Vec<String> {
        kernel_problems(&self.kernel_log())
    }

    /// QEMU's process id.
    pub fn pid(&self) -> u32 {
        lock(&self.qemu).pid()
    }

    /// Writes the guest's state to a file. The guest stands still afterwards.
    pub(crate) fn save(self, deadline: Instant) -> Result<()> {
        let mut monitor = lock(&self.monitor);
        monitor.migrate(&format!("exec:cat > \"${STATE_FILE_ENV}\""), deadline)
    }

    fn push_locked(&self, line: &mut Line, files: &[GuestFile]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let blocks = line.disk.write(&disk::archive(files)?)?;
        let script = format!(
            "dd if=/dev/vda bs={BLOCK_BYTES} count={blocks} iflag=direct 2>/dev/null | tar x -C /"
        );
        let output = self.exchange(line, &script, "push files", HOUSEKEEPING)?;
        if output.success() {
            return Ok(());
        }
        Err(Error::CommandFailed {
            command: "push files".to_owned(),
            code: output.code,
            stderr: tail(&output.all_text(), 10),
        })
    }

    fn exchange(
        &self,
        line: &mut Line,
        script: &str,
        name: &str,
        limit: Duration,
    ) -> Result<Output> {
        if let Some(reason) = &line.dead {
            return Err(Error::Unresponsive {
                reason: reason.clone(),
            });
        }
        let token = new_token()?;
        let begun = Instant::now();
        let heard = line
            .channel
            .send(&token, limit, &BASE64.encode(script))
            .and_then(|()| line.channel.answer(&token, begun + limit + GRACE));
        let answer = match heard {
            Ok(answer) => answer,
            Err(Silence::Closed) => {
                let error = self.ended(&format!("`{}` ran", shorten(name)));
                line.dead = Some(error.to_string());
                return Err(error);
            }
            Err(silence) => {
                let reason = match silence {
                    Silence::Garbled(text) => format!("garbled answer: {}", shorten(&text)),
                    _ => format!("`{}` neither ended nor died in time", shorten(name)),
                };
                line.dead = Some(reason.clone());
                return Err(Error::Unresponsive { reason });
            }
        };
        let late = answer.late;
        let output = collect(&line.disk, answer, begun.elapsed())?;
        if late {
            return Err(Error::CommandTimedOut {
                command: shorten(name),
                seconds: limit.as_secs(),
                stdout: output.stdout,
                stderr: output.stderr,
            });
        }
        Ok(output)
    }

    /// Why QEMU closed the line.
    fn ended(&self, during: &str) -> Error {
        let mut qemu = lock(&self.qemu);
        let status = qemu.wait(Duration::from_secs(5));
        let console = qemu.console.text();
        if panicked(&console) {
            return Error::GuestPanicked {
                during: during.to_owned(),
                lines: kernel_problems(&console),
            };
        }
        let status = status.map_or("still running".to_owned(), |status| status.to_string());
        qemu.exited(during, status)
    }

    fn not_ready(&self, during: &'static str, timeout: Duration) -> Error {
        let console = lock(&self.qemu).last_words();
        Error::NotReady {
            during,
            seconds: timeout.as_secs(),
            console,
        }
    }
}

fn collect(disk: &Disk, answer: Answer, elapsed: Duration) -> Result<Output> {
    let truncated = answer.out_bytes.max(answer.err_bytes) > STREAM_MAX_BYTES;
    let (stdout, stderr) = match answer.body {
        Body::Inline { stdout, stderr } => (stdout, stderr),
        Body::OnDisk => (
            disk.read(0, answer.out_bytes)?,
            disk.read(STREAM_MAX_BYTES, answer.err_bytes)?,
        ),
    };
    Ok(Output {
        code: answer.code,
        stdout,
        stderr,
        truncated,
        elapsed,
    })
}

fn new_token() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Config(format!("no randomness from the host: {error}")))?;
    Ok(hex::encode(bytes))
}

/// A word for the guest's shell.
#[must_use]
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A script's beginning, for messages.
fn shorten(script: &str) -> String {
    let line = script.lines().next().unwrap_or_default();
    let short: String = line.chars().take(80).collect();
    if short.len() < script.trim_end().len() {
        format!("{short}…")
    } else {
        short
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_for_a_shell() {
        assert_eq!(quote("a b'c"), r"'a b'\''c'");
    }

    #[test]
    fn long_scripts_are_named_by_their_beginning() {
        assert_eq!(shorten("true"), "true");
        assert_eq!(shorten("one\ntwo"), "one…");
    }
}
