//! `#line` directives that keep the numbers of the lines after a change.
//!
//! `WARN_ON`, `might_sleep` and the like put `__LINE__` into the object code.
//! Without directives, one added line would change every function below it.
//!
//! A directive goes before the first line after the change at which the
//! preprocessor takes one in its stride: not inside a comment, not after a line
//! that ends in a backslash, and outside of parentheses, which may be a macro's
//! arguments. If that is between `#if` and `#endif`, the directive may be
//! skipped along with that text; so it is repeated after every `#else`, `#elif`
//! and `#endif` up to the outermost one.

use std::io::Write;

/// How far a directive may move to get out of parentheses, in lines. Beyond
/// that an unbalanced `#if`/`#else` has led the count of parentheses astray.
pub(super) const MAX_DELAY_LINES: usize = 64;

/// A run of lines that was replaced by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineChange {
    /// First line after the change in the old text, from 1.
    pub old_next: usize,
    /// First line after the change in the new text, from 1.
    pub new_next: usize,
    /// Whether the numbers of old and new lines differ.
    pub shifts: bool,
}

/// Reads the hunk headers of `diff -U0`.
///
/// # Errors
/// The header that could not be read.
pub fn line_changes(diff: &[u8]) -> Result<Vec<LineChange>, String> {
    diff.split(|&byte| byte == b'\n')
        .filter(|line| line.starts_with(b"@@ -"))
        .map(|line| {
            let text = String::from_utf8_lossy(line);
            line_change(&text).ok_or_else(|| text.into_owned())
        })
        .collect()
}

fn line_change(header: &str) -> Option<LineChange> {
    let ranges = header.strip_prefix("@@ -")?.split_once(" @@")?.0;
    let (old, new) = ranges.split_once(" +")?;
    let (old_start, old_count) = range(old)?;
    let (new_start, new_count) = range(new)?;
    // Of an empty range, diff names the line before it.
    let next = |start: usize, count: usize| start.checked_add(count.max(1));
    Some(LineChange {
        old_next: next(old_start, old_count)?,
        new_next: next(new_start, new_count)?,
        shifts: old_count != new_count,
    })
}

fn range(text: &str) -> Option<(usize, usize)> {
    match text.split_once(',') {
        Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

/// The new text with directives put in, so that every line after a change has
/// the number that it has in the old text.
#[must_use]
pub fn with_line_directives(new: &[u8], changes: &[LineChange]) -> Vec<u8> {
    let mut out = Vec::with_capacity(new.len() + 32 * changes.len());
    let mut scanner = Scanner::default();
    let mut wanted: Option<usize> = None;
    let mut repeat = false;
    for (index, line) in new.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let number = index + 1;
        if changes
            .iter()
            .any(|change| change.shifts && change.new_next == number)
        {
            wanted = Some(number);
        }
        if let Some(since) = wanted
            && scanner.takes_directive(number - since >= MAX_DELAY_LINES)
        {
            directive(&mut out, old_line(changes, number));
            wanted = None;
            repeat = scanner.conditionals > 0;
        }
        let turn = scanner.line(line);
        out.extend_from_slice(line);
        if repeat && turn {
            wanted = wanted.or(Some(number + 1));
            repeat = scanner.conditionals > 0;
        }
    }
    out
}

fn directive(out: &mut Vec<u8>, number: usize) {
    // Writing to a vector can't fail.
    let _ = writeln!(out, "#line {number}");
}

/// The old number of a line of the new text that is not inside a change.
fn old_line(changes: &[LineChange], new: usize) -> usize {
    changes
        .iter()
        .rev()
        .find(|change| change.new_next <= new)
        .map_or(new, |change| change.old_next + (new - change.new_next))
}

/// What the preprocessor knows at a line's end.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    comment: bool,
    continued: bool,
    /// Whether the line that is continued is a directive.
    directive: bool,
    quote: Option<u8>,
    parentheses: usize,
    conditionals: usize,
    /// The last byte outside of comments, white space and directives.
    last: Option<u8>,
}

impl Scanner {
    /// Whether a directive may come before the next line.
    pub(super) fn takes_directive(&self, in_parentheses: bool) -> bool {
        !self.comment && !self.continued && (self.parentheses == 0 || in_parentheses)
    }

    /// Whether a statement, a declaration or nothing at all came before: no
    /// macro's name that waits for its parenthesis.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.last, None | Some(b';' | b'{' | b'}'))
    }

    /// Reads a line; says whether it is `#else`, `#elif` or `#endif`.
    pub(super) fn line(&mut self, line: &[u8]) -> bool {
        let text = line.trim_ascii_end();
        if !self.continued {
            self.directive = !self.comment && text.trim_ascii_start().starts_with(b"#");
        }
        let last = self.last;
        let turn = !self.comment && !self.continued && self.conditional(text);
        self.continued = text.ends_with(b"\\");
        let mut rest = text.strip_suffix(b"\\").unwrap_or(text);
        while let Some((&byte, after)) = rest.split_first() {
            rest = self.byte(byte, after);
        }
        if !self.continued {
            // An apostrophe in text that is skipped is no open quote.
            self.quote = None;
        }
        if self.directive {
            self.last = last;
        }
        // A function's end is where every count is known.
        if text.starts_with(b"}") && !self.comment {
            self.parentheses = 0;
        }
        turn
    }

    /// Takes a byte in and gives what is left of the line.
    fn byte<'a>(&mut self, byte: u8, after: &'a [u8]) -> &'a [u8] {
        if self.comment {
            if byte == b'*' && after.first() == Some(&b'/') {
                self.comment = false;
                return after.get(1..).unwrap_or_default();
            }
            return after;
        }
        let opens_comment = byte == b'/' && matches!(after.first(), Some(b'*' | b'/'));
        if !byte.is_ascii_whitespace() && (self.quote.is_some() || !opens_comment) {
            self.last = Some(byte);
        }
        if let Some(quote) = self.quote {
            if byte == b'\\' {
                return after.get(1..).unwrap_or_default();
            }
            if byte == quote {
                self.quote = None;
            }
            return after;
        }
        match (byte, after.first()) {
            (b'/', Some(b'*')) => {
                self.comment = true;
                return after.get(1..).unwrap_or_default();
            }
            (b'/', Some(b'/')) => return &[],
            (b'"' | b'\'', _) => self.quote = Some(byte),
            (b'(', _) => self.parentheses += 1,
            (b')', _) => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        after
    }

    fn conditional(&mut self, line: &[u8]) -> bool {
        let Some(directive) = line.trim_ascii_start().strip_prefix(b"#") else {
            return false;
        };
        let word: Vec<u8> = directive
            .trim_ascii_start()
            .iter()
            .copied()
            .take_while(u8::is_ascii_alphabetic)
            .collect();
        match word.as_slice() {
            b"if" | b"ifdef" | b"ifndef" => {
                self.conditionals += 1;
                false
            }
            b"else" | b"elif" => true,
            b"endif" => {
                self.conditionals = self.conditionals.saturating_sub(1);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
