//! What the author of a patch declares in its description: for each change that
//! code can't show to be harmless, one line
//!
//! ```text
//! Resplice-Declare: init-done net/core/a.c:a_init (it only lacked a check that never fails)
//! ```
//!
//! with what is declared, of what, and why. The same can be said in the source, by
//! the macros of `<resplice/hooks.h>`; here the patch stays as it came.

use std::fmt;

/// What such a line begins with.
pub const TRAILER: &str = "Resplice-Declare:";
/// Most lines in one patch.
pub const MAX_DECLARED: usize = 256;
/// Longest line in bytes.
pub const MAX_DECLARED_BYTES: usize = 1024;
/// What can be declared; what each means stands with the differ's kinds
/// (worker/objdiff/src/declare.rs).
pub const DECLARABLE: [&str; 5] = [
    "data-keep",
    "data-set",
    "init-done",
    "exit-keep",
    "layout-ok",
];
const KEYWORDS: [&str; 3] = ["struct ", "union ", "enum "];

/// One line of a patch's description.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    /// One of [`DECLARABLE`].
    pub what: String,
    /// The file that is compiled; of a layout, the one that it is written in, too.
    pub file: String,
    /// A function, a variable, or a type without `struct`, `union`, `enum`.
    pub name: String,
    /// Why that is so.
    pub reason: String,
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            file,
            name,
            reason,
        } = self;
        write!(f, "{TRAILER} {what} {file}:{name} ({reason})")
    }
}

/// Why a line is no declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there and what to do.
    pub reason: String,
}

/// Reads what a patch declares. Lines of hunks begin with a sign of theirs, so
/// that none of them can be taken for a declaration.
///
/// # Errors
/// If a line begins like a declaration and is none, or there are too many.
pub fn declared(patch: &str) -> Result<Vec<Declared>, DeclaredError> {
    let mut found = Vec::new();
    for (at, line) in patch.lines().enumerate() {
        let is_ours = line
            .get(.."Resplice-".len())
            .is_some_and(|head| head.eq_ignore_ascii_case("Resplice-"));
        if !is_ours {
            continue;
        }
        let error = |reason: String| DeclaredError {
            line: at + 1,
            reason,
        };
        found.push(one(line).map_err(error)?);
        if found.len() > MAX_DECLARED {
            return Err(error(format!(
                "it declares more than {MAX_DECLARED} things, the limit"
            )));
        }
    }
    Ok(found)
}

fn one(line: &str) -> Result<Declared, String> {
    if line.len() > MAX_DECLARED_BYTES {
        return Err(format!(
            "a declaration is longer than {MAX_DECLARED_BYTES} bytes, the limit"
        ));
    }
    let form = || {
        format!(
            "a declaration has the form `{TRAILER} init-done net/core/a.c:a_init (why that is so)`"
        )
    };
    let rest = line.strip_prefix(TRAILER).ok_or_else(form)?.trim();
    let (what, rest) = rest.split_once(' ').ok_or_else(form)?;
    if !DECLARABLE.contains(&what) {
        let words = DECLARABLE.join(", ");
        return Err(format!("{what:?} can't be declared; what can is {words}"));
    }
    let (object, reason) = rest.split_once('(').ok_or_else(form)?;
    let reason = reason.strip_suffix(')').map(str::trim).ok_or_else(form)?;
    let (file, name) = object.trim().split_once(':').ok_or_else(form)?;
    let name = KEYWORDS
        .iter()
        .find_map(|keyword| name.strip_prefix(keyword))
        .unwrap_or(name);
    let is_word = |text: &str, others: &[u8]| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
        !text.is_empty() && text.bytes().all(is_plain)
    };
    if !is_word(file, b"_-+.,/") || !is_word(name, b"_.") || reason.is_empty() {
        return Err(form());
    }
    Ok(Declared {
        what: what.to_owned(),
        file: file.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DIFF: &str = "--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-Resplice-Nonsense\n+b\n";

    #[test]
    fn lines_of_the_description_are_read_and_written_alike() {
        let line =
            "Resplice-Declare: layout-ok include/net/a.h:flow (only lives on the stack (now))";
        let text = format!("Fix a\n\n{line}\nSigned-off-by: me\n{DIFF}");
        let found = declared(&text).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "flow");
        assert_eq!(found[0].reason, "only lives on the stack (now)");
        assert_eq!(found[0].to_string(), line);
        let tagged = declared(&line.replace(":flow", ":struct flow")).unwrap();
        assert_eq!(tagged, found);
        assert_eq!(declared(DIFF).unwrap(), []);
    }

    #[test]
    fn what_only_looks_like_a_declaration_is_an_error_at_its_line() {
        for line in [
            "Resplice-Declare init-done a.c:b (c)",
            "resplice-declare: init-done a.c:b (c)",
            "Resplice-Declared: init-done a.c:b (c)",
            "Resplice-Declare: init-done a.c:b",
            "Resplice-Declare: init-done a.c:b ()",
            "Resplice-Declare: init-done a.c:b (c) d",
            "Resplice-Declare: init-done a.c (c)",
            "Resplice-Declare: init-done a.c:b c (d)",
            "Resplice-Declare: init-done :b (c)",
            "Resplice-Declare: all-fine a.c:b (c)",
            "Resplice-Declare:",
        ] {
            let error = declared(&format!("Fix\n{line}\n{DIFF}")).unwrap_err();
            assert_eq!(error.line, 2, "{line}");
        }
        let long = format!("Resplice-Declare: init-done a.c:b ({})", "c".repeat(1024));
        assert!(declared(&long).unwrap_err().reason.contains("longer"));
        let many = "Resplice-Declare: init-done a.c:b (c)\n".repeat(MAX_DECLARED + 1);
        assert_eq!(declared(&many).unwrap_err().line, MAX_DECLARED + 1);
    }
}
