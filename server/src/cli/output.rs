//! How things look on a terminal.

use owo_colors::{OwoColorize, Style};
use resplice_api::JobStatus;
use std::{
    fmt::Display,
    io::{IsTerminal, stderr, stdout},
};

/// Whether colours are wanted there (<https://no-color.org>).
fn wants_colour(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether standard error takes colours.
pub(super) fn stderr_has_colour() -> bool {
    wants_colour(stderr().is_terminal())
}

/// An error, with its causes, on standard error.
pub(super) fn error(error: &anyhow::Error) {
    if stderr_has_colour() {
        eprintln!("{} {error:#}", "error:".red().bold());
    } else {
        eprintln!("error: {error:#}");
    }
}

pub(super) fn bold(text: impl Display) -> String {
    coloured(text, Style::new().bold())
}

pub(super) fn dim(text: impl Display) -> String {
    coloured(text, Style::new().dimmed())
}

/// Text for standard output in the colour of its meaning.
pub(super) fn coloured(text: impl Display, style: Style) -> String {
    if wants_colour(stdout().is_terminal()) {
        text.style(style).to_string()
    } else {
        text.to_string()
    }
}

/// A status, padded to the longest.
pub(super) fn status(status: JobStatus) -> String {
    let style = match status {
        JobStatus::Queued | JobStatus::Nothing | JobStatus::Cancelled => Style::new().dimmed(),
        JobStatus::Running => Style::new().cyan(),
        JobStatus::Built => Style::new().green(),
        JobStatus::Failed | JobStatus::Refused => Style::new().red(),
        JobStatus::NeedsCode => Style::new().yellow(),
    };
    coloured(format!("{status:<10}"), style)
}

/// Like `println!`, but a reader that has seen enough (`… | head`) ends the
/// program without a word.
macro_rules! say {
    ($($text:tt)*) => { crate::cli::output::line(format_args!($($text)*)) };
}
pub(super) use say;

/// What [`say!`] expands to.
pub(super) fn line(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let mut out = stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
        if error.kind() != std::io::ErrorKind::BrokenPipe {
            eprintln!("error: can't write to standard output: {error}");
        }
        std::process::exit(1);
    }
}

/// JSON for machines.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A line of a log that can colour the terminal and do nothing else to it.
pub(super) fn safe_line(bytes: &[u8]) -> String {
    safe(bytes, wants_colour(stdout().is_terminal()))
}

fn safe(bytes: &[u8], colours: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(c) = rest.chars().next() {
        let colour = colour_length(rest);
        if colour > 0 {
            if colours {
                safe.push_str(&rest[..colour]);
            }
            rest = &rest[colour..];
            continue;
        }
        // gcc ends each piece of colour with one: erase what is right of it.
        if let Some(more) = rest.strip_prefix("\u{1b}[K") {
            rest = more;
            continue;
        }
        if c == '\t' || !c.is_control() {
            safe.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    safe
}

/// Length of the colour sequence (`ESC [ … m`) that a text begins with; 0 for none.
fn colour_length(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else {
        return 0;
    };
    let digits = |b: u8| b.is_ascii_digit() || b == b';';
    let length = parameters.bytes().take_while(|b| digits(*b)).count();
    match parameters.as_bytes().get(length) {
        Some(b'm') => length + 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_can_colour_a_terminal_and_do_nothing_else() {
        assert_eq!(
            safe(b"\x1b[1;31mred\x1b[m\tx", true),
            "\x1b[1;31mred\x1b[m\tx"
        );
        assert_eq!(safe(b"\x1b[1;31mred\x1b[m\tx", false), "red\tx");
        assert_eq!(
            safe(b"\x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kno", false),
            "error: no"
        );
        assert_eq!(
            safe(b"\x1b[2Ja\x1b]0;title\x07b\r\xff", true),
            "[2Ja]0;titleb\u{fffd}"
        );
    }
}
