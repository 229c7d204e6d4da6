//! Words and tables on the terminal.

use owo_colors::OwoColorize;
use std::{
    io::IsTerminal,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// Whether stdout takes colours: a terminal, and nobody said no.
static COLOURS: LazyLock<bool> = LazyLock::new(|| {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::io::stdout().is_terminal()
});

/// Removes what could drive a terminal from text of outside. Line ends stay.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Cuts text to at most `limit` bytes, at a character's end.
#[must_use]
pub fn shorten(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Whether notes are kept back.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Keeps back notes from now on, for `--quiet`.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Says something beside the result, on stderr.
pub fn note(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        error(text);
    }
}

/// Says what went wrong, on stderr.
pub fn error(text: &str) {
    eprintln!("{}", plain(text));
}

/// How a state is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Wants somebody's attention.
    Bad,
    /// In between.
    Pending,
    /// Only there for completeness.
    Quiet,
    /// No colour.
    Normal,
}

/// Colours text if stdout is a terminal.
#[must_use]
pub fn paint(text: &str, tone: Tone) -> String {
    if !*COLOURS {
        return text.to_owned();
    }
    match tone {
        Tone::Good => text.green().to_string(),
        Tone::Bad => text.red().to_string(),
        Tone::Pending => text.yellow().to_string(),
        Tone::Quiet => text.dimmed().to_string(),
        Tone::Normal => text.to_owned(),
    }
}

/// A table's cell.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
    right: bool,
    whole: bool,
}

impl Cell {
    /// Text, flush left.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: plain(text).replace('\n', " "),
            tone: Tone::Normal,
            right: false,
            whole: false,
        }
    }

    /// Coloured text, flush left.
    #[must_use]
    pub fn toned(text: &str, tone: Tone) -> Self {
        Self {
            tone,
            ..Self::new(text)
        }
    }

    /// Text that is not cut; for the last column.
    #[must_use]
    pub fn long(text: &str) -> Self {
        Self {
            whole: true,
            ..Self::new(text)
        }
    }

    /// A number, flush right.
    #[must_use]
    pub fn number(text: &str) -> Self {
        Self {
            right: true,
            ..Self::new(text)
        }
    }
}

/// Widest cell in characters; longer text is cut.
const MAX_CELL_CHARS: usize = 60;

/// Lays rows out under a header, columns two spaces apart.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<Cell>]) -> String {
    let cut = |cell: &Cell| -> String {
        if cell.whole || cell.text.chars().count() <= MAX_CELL_CHARS {
            return cell.text.clone();
        }
        cell.text
            .chars()
            .take(MAX_CELL_CHARS - 1)
            .chain("…".chars())
            .collect()
    };
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cut(cell).chars().count());
        cells
            .chain(header.get(column).map(|h| h.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut out = String::new();
    let head: Vec<Cell> = header
        .iter()
        .enumerate()
        .map(|(column, text)| Cell {
            text: (*text).to_owned(),
            tone: Tone::Quiet,
            right: rows
                .first()
                .and_then(|row| row.get(column))
                .is_some_and(|cell| cell.right),
            whole: false,
        })
        .collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        let mut gap = 0;
        for (cell, width) in row.iter().zip(&widths) {
            let text = cut(cell);
            let fill = width - text.chars().count();
            let before = if cell.right { fill } else { 0 };
            line.push_str(&" ".repeat(gap + before));
            line.push_str(&paint(&text, cell.tone));
            gap = 2 + fill - before;
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// Nanoseconds as microseconds with one digit behind the point.
#[must_use]
pub fn micros(nanos: Option<u64>) -> String {
    nanos.map_or_else(
        || "–".to_owned(),
        |ns| format!("{}.{}", ns / 1000, ns % 1000 / 100),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec![Cell::new("rsp_1"), Cell::number("7")],
            vec![Cell::new("rsp_long"), Cell::number("1234")],
        ];
        assert_eq!(
            table(&["ID", "PAUSE"], &rows),
            "ID        PAUSE\nrsp_1         7\nrsp_long   1234\n"
        );
    }

    #[test]
    fn text_of_outside_can_not_drive_the_terminal() {
        assert_eq!(plain("a\u{1b}[2J\tb"), "a\u{fffd}[2J b");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shorten("aé", 2), "a");
        assert_eq!(micros(Some(41_250)), "41.2");
    }
}
