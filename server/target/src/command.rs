//! Running the system's own tools.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use crate::Error;
use crate::error::Context;

/// As much of a program's standard output as is kept, in bytes.
const OUTPUT_MAX: u64 = 64 << 20;
/// As much of a program's messages as an error shows, in bytes.
const MESSAGE_MAX: usize = 2000;

/// A command in the C locale that also finds what lives in sbin, whoever runs it.
///
/// It dies with this process: an orphan would go on writing into a directory that the next import clears.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", program])
        .env("PATH", search_path())
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
    path
}

/// Runs a command to its end and returns its standard output, lossily decoded.
pub(crate) fn output(
    operation: &str,
    command: &mut Command,
    package: &'static str,
) -> Result<String, Error> {
    let mut child = spawn(
        command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        package,
    )?;
    let messages = drain(child.stderr.take());
    let mut bytes = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(OUTPUT_MAX)
            .read_to_end(&mut bytes)
            .context("read the output of", operation)?;
    }
    finish(operation, &mut child, messages)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Starts a command; names the Debian package if the program is missing.
pub(crate) fn spawn(command: &mut Command, package: &'static str) -> Result<Child, Error> {
    // setpriv is the program that starts, so it is not the spawning that would tell.
    let program = command.get_args().nth(3).unwrap_or_default().to_owned();
    if !env::split_paths(&search_path()).any(|directory| directory.join(&program).is_file()) {
        let program = program.to_string_lossy().into_owned();
        return Err(Error::MissingProgram { program, package });
    }
    command.spawn().context("start", program)
}

/// Collects a child's messages in the background, so that it never blocks on a full pipe.
pub(crate) fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut chunk = [0; 4096];
        let Some(mut pipe) = pipe else { return kept };
        while let Ok(read @ 1..) = pipe.read(&mut chunk) {
            kept.extend_from_slice(chunk.get(..read).unwrap_or_default());
            let excess = kept.len().saturating_sub(MESSAGE_MAX);
            kept.drain(..excess);
        }
        kept
    })
}

/// Waits for a child and turns a non-zero exit into an error with its last words.
pub(crate) fn finish(
    operation: &str,
    child: &mut Child,
    messages: JoinHandle<Vec<u8>>,
) -> Result<(), Error> {
    let status = child.wait().context("wait for", operation)?;
    let messages = messages.join().unwrap_or_default();
    succeeded(operation, status, &messages)
}

/// Turns a non-zero exit into an error.
pub(crate) fn succeeded(operation: &str, status: ExitStatus, messages: &[u8]) -> Result<(), Error> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Command {
        operation: operation.to_owned(),
        status: status.to_string(),
        output: String::from_utf8_lossy(messages).trim().to_owned(),
    })
}

/// The first line a program prints for `--version`.
pub(crate) fn version_line(
    program: impl AsRef<OsStr>,
    package: &'static str,
) -> Result<String, Error> {
    let program = program.as_ref().to_string_lossy();
    let text = output(
        &format!("{program} --version"),
        command(&program).arg("--version"),
        package,
    )?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_missing_program_is_reported_with_its_package() {
        let error = output(
            "try",
            &mut command("resplice-no-such-program"),
            "some-package",
        )
        .unwrap_err();
        assert!(
            matches!(
                error,
                Error::MissingProgram {
                    package: "some-package",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_failing_command_is_reported_with_its_last_words() {
        let script = "seq 100000 >&2; echo the end >&2; exit 3";
        let error = output("count", command("sh").args(["-c", script]), "dash").unwrap_err();
        let Error::Command { status, output, .. } = error else {
            unreachable!("{error}")
        };
        assert!(status.contains('3') && output.ends_with("the end") && output.len() <= MESSAGE_MAX);
    }
}
