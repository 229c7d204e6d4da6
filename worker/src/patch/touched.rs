//! Which functions' own source a patch touches.
//!
//! Initialisation that is compiled to other code is harmless if only something
//! that it uses changed: it has run. If its own lines changed, the author meant
//! it to do something else. So the definitions in both texts are compared, by
//! the kernel's own layout: a definition begins in the first column, and its
//! body ends at a brace there. What is not understood counts as touched.

use crate::{Error, sandbox::Bind};
use resplice_target::SANDBOX_SOURCE;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Macros at the top level that define no initialising function; with others,
/// what changed is not known.
const PLAIN_MACROS: [&str; 9] = [
    "EXPORT_",
    "MODULE_",
    "DEFINE_",
    "DECLARE_",
    "ATTRIBUTE_",
    "LIST_HEAD",
    "early_param",
    "__setup",
    "static_assert",
];

/// The functions that patched files touch, over those of a source tree; `None`
/// if that can't be told of one of them.
///
/// # Errors
/// If a file can't be read.
pub fn touched(source: &Path, patched: &[Bind]) -> Result<Option<BTreeSet<String>>, Error> {
    let mut all = BTreeSet::new();
    for bind in patched {
        // Files are added or removed in it: what of them is whose is not known.
        if bind.host.is_dir() {
            return Ok(None);
        }
        let path = bind
            .guest
            .strip_prefix(SANDBOX_SOURCE)
            .map(|file| source.join(file.trim_start_matches('/')));
        let Some(path) = path else { continue };
        // A file that is new touches all that is in it.
        let pre = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let post = fs::read(&bind.host).map_err(Error::file("read", &bind.host))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match touched_functions(&text(&pre), &text(&post)) {
            Some(touched) => all.extend(touched),
            None => return Ok(None),
        }
    }
    Ok(Some(all))
}

/// The functions, and other words of their declarations, that a change from
/// `pre` to `post` touches; `None` if that can't be told.
#[must_use]
pub fn touched_functions(pre: &str, post: &str) -> Option<BTreeSet<String>> {
    let (pre, post) = (Definitions::read(pre), Definitions::read(post));
    let mut macros = pre.macros.symmetric_difference(&post.macros);
    if !macros.all(|m| is_plain(m)) {
        return None;
    }
    let mut touched = BTreeSet::new();
    for (from, other) in [(&pre, &post), (&post, &pre)] {
        for (head, bodies) in &from.functions {
            if other.functions.get(head) != Some(bodies) {
                touched.extend(words(head).map(str::to_owned));
            }
        }
    }
    Some(touched)
}

fn is_plain(invocation: &str) -> bool {
    let name = words(invocation)
        .find(|w| *w != "static")
        .unwrap_or_default();
    PLAIN_MACROS.iter().any(|p| name.starts_with(p))
        || name.ends_with("_initcall")
        || ["module_init", "module_exit", "module_param"].contains(&name)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

#[derive(Default)]
struct Definitions {
    /// Declaration → what follows it, once for each definition of that look.
    functions: BTreeMap<String, Vec<String>>,
    /// Invocations of macros at the top level.
    macros: BTreeSet<String>,
}

impl Definitions {
    fn read(text: &str) -> Self {
        let mut found = Self::default();
        let mut head = String::new();
        let mut body: Option<String> = None;
        let mut in_directive = false;
        let text = without_comments(text);
        for line in text.lines() {
            let is_directive = in_directive || (line.starts_with('#') && body.is_none());
            if is_directive {
                in_directive = line.ends_with('\\');
                head.clear();
                continue;
            }
            if line.starts_with("#line ") {
                continue;
            }
            if let Some(open) = &mut body {
                open.push_str(line);
                open.push('\n');
                if line.starts_with('}') {
                    found.define(&head, body.take().unwrap_or_default());
                    head.clear();
                }
                continue;
            }
            let line = line.trim_end();
            if line.starts_with('{') || (line.ends_with('{') && !line.starts_with(' ')) {
                head.push_str(line);
                body = Some(String::new());
            } else if line.is_empty() {
                head.clear();
            } else {
                head.push_str(line);
                head.push(' ');
                if line.ends_with(';') || is_invocation(&head) {
                    found.end(&head);
                    head.clear();
                }
            }
        }
        // A text that ends in the midst of something: not to be trusted.
        if let Some(body) = body {
            found.define(&head, body);
        }
        found
    }

    fn define(&mut self, head: &str, body: String) {
        if head.contains('(') && !head.contains('=') {
            let bodies = self.functions.entry(head.to_owned()).or_default();
            bodies.push(body);
        }
    }

    fn end(&mut self, head: &str) {
        if is_invocation(head) {
            self.macros.insert(head.to_owned());
        }
    }
}

/// `NAME(…)` or `static NAME(…)`, complete.
fn is_invocation(head: &str) -> bool {
    let head = head.trim().trim_end_matches(';');
    let call = head.strip_prefix("static ").unwrap_or(head);
    let name = call.split('(').next().unwrap_or_default();
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && call.ends_with(')')
        && call.matches('(').count() == call.matches(')').count()
}

/// The text with a space for each comment, lines kept apart.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c, chars.peek()) {
            (None, '/', Some('*')) => {
                let mut last = ' ';
                chars.next();
                for inside in chars.by_ref() {
                    if (last, inside) == ('*', '/') {
                        break;
                    }
                    if inside == '\n' {
                        out.push('\n');
                    }
                    last = inside;
                }
            }
            (None, '/', Some('/')) => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
            }
            (Some(_), '\\', _) => {
                out.push(c);
                out.extend(chars.next());
            }
            // An apostrophe in text that is skipped is no open quote.
            (_, '\n', _) => {
                quote = None;
                out.push(c);
            }
            (None, '"' | '\'', _) => {
                quote = Some(c);
                out.push(c);
            }
            (Some(open), _, _) if open == c => {
                quote = None;
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[path = "touched_tests.rs"]
mod tests;
