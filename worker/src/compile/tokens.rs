//! Whether a unit's code can differ, told from its preprocessed text.
//!
//! A header that thousands of units include is used by few of them. The text is
//! cut into declarations. One that emits nothing by itself (a prototype, a type,
//! a `static inline` function) matters only to those that mention its name; so
//! from the declarations that changed, names are followed until one is reached
//! that does emit something. Only then is the unit compiled. Whatever is not
//! recognised counts as emitting.

use std::collections::{HashMap, HashSet};

/// Words that are no names.
const KEYWORDS: &[&str] = &[
    "static",
    "inline",
    "__inline",
    "__inline__",
    "extern",
    "const",
    "volatile",
    "struct",
    "union",
    "enum",
    "typedef",
    "int",
    "char",
    "short",
    "long",
    "unsigned",
    "signed",
    "void",
    "_Bool",
    "float",
    "double",
    "__signed__",
    "return",
    "if",
    "else",
    "for",
    "while",
    "do",
    "switch",
    "case",
    "default",
    "break",
    "continue",
    "goto",
    "sizeof",
    "typeof",
    "__typeof__",
    "__typeof",
    "__attribute__",
    "__attribute",
    "__extension__",
    "asm",
    "__asm__",
    "__asm",
    "register",
    "restrict",
    "__restrict",
    "__restrict__",
    "_Alignas",
    "_Alignof",
    "_Static_assert",
    "__const",
    "__volatile__",
    "__volatile",
    "auto",
    "__auto_type",
    "__int128",
    "_Generic",
];
/// Attributes by which the compiler or the linker uses what nobody names.
const USED: &[&str] = &[
    "used",
    "__used__",
    "constructor",
    "__constructor__",
    "destructor",
    "__destructor__",
    "alias",
    "__alias__",
    "retain",
    "__retain__",
];

/// Whether the difference of two preprocessed texts can change object code.
#[must_use]
pub fn affected(pre: &[u8], post: &[u8]) -> bool {
    let (pre, post) = (tokens(pre), tokens(post));
    if pre == post {
        return false;
    }
    let (pre, post) = (declarations(&pre), declarations(&post));
    let Some(changed) = changed(&pre, &post) else {
        return true;
    };
    let mut names = HashSet::new();
    for declaration in changed {
        if !declaration.is_quiet() {
            return true;
        }
        names.extend(declaration.names());
    }
    reaches_code(&post, names)
}

/// Whether texts of assembly differ in more than line markers and white space.
#[must_use]
pub fn differ(pre: &[u8], post: &[u8]) -> bool {
    let lines = |text| <[u8]>::split(text, |&byte| byte == b'\n').filter(|line| is_text(line));
    !lines(pre)
        .map(<[u8]>::trim_ascii)
        .eq(lines(post).map(<[u8]>::trim_ascii))
}

fn is_text(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    !line.is_empty() && !is_marker(line)
}

/// `# 12 "file.h" 1`
fn is_marker(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"# ");
    rest.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

/// Follows names until code is reached or no name is new.
fn reaches_code<'a>(declarations: &[Declaration<'a>], mut names: HashSet<&'a [u8]>) -> bool {
    let mut seen = vec![false; declarations.len()];
    loop {
        let mut found: Vec<&[u8]> = Vec::new();
        for (declaration, seen) in declarations.iter().zip(&mut seen) {
            if *seen || !declaration.tokens.iter().any(|token| names.contains(token)) {
                continue;
            }
            *seen = true;
            if !declaration.is_quiet() {
                return true;
            }
            found.extend(declaration.names());
        }
        let before = names.len();
        names.extend(found);
        if names.len() == before {
            return false;
        }
    }
}

/// The declarations that are in one list only; nothing if the others do not
/// come in the same order.
fn changed<'t, 'a>(
    pre: &'t [Declaration<'a>],
    post: &'t [Declaration<'a>],
) -> Option<Vec<&'t Declaration<'a>>> {
    let mut counts: HashMap<&[&[u8]], isize> = HashMap::new();
    for declaration in pre {
        *counts.entry(declaration.tokens).or_default() += 1;
    }
    for declaration in post {
        *counts.entry(declaration.tokens).or_default() -= 1;
    }
    let differs = |declaration: &&'t Declaration<'a>| {
        counts
            .get(declaration.tokens)
            .is_none_or(|&count| count != 0)
    };
    let same = |list: &'t [Declaration<'a>]| -> Vec<&'t [&'a [u8]]> {
        list.iter()
            .filter(|declaration| !differs(declaration))
            .map(|declaration| declaration.tokens)
            .collect()
    };
    if same(pre) != same(post) {
        return None;
    }
    Some(pre.iter().chain(post).filter(differs).collect())
}

/// What stands between two semicolons or function bodies at the outermost level.
#[derive(Debug)]
struct Declaration<'a> {
    tokens: &'a [&'a [u8]],
    /// Whether it ends with a function's body.
    body: bool,
    /// Whether it ends at all.
    whole: bool,
}

impl<'a> Declaration<'a> {
    /// Whether it emits nothing unless something mentions its names.
    fn is_quiet(&self) -> bool {
        let text = self.tokens;
        if !self.whole || text.iter().any(|token| is_one_of(token, USED)) {
            return false;
        }
        let first = text.iter().find(|token| ***token != *b"__extension__");
        let head = self.outer();
        let has = |word: &[u8]| head.iter().any(|(_, token)| *token == word);
        match first.copied() {
            _ if self.body => {
                let inline = has(b"inline") || has(b"__inline") || has(b"__inline__");
                inline && (has(b"static") || text.iter().any(|token| *token == b"__gnu_inline__"))
            }
            Some(b"typedef" | b"_Static_assert" | b";") => true,
            Some(b"extern") => !has(b"="),
            Some(b"struct" | b"union" | b"enum") if has(b"{") || text.len() == 3 => {
                let end = head.iter().rposition(|(_, token)| *token == b"}");
                let rest = end.map_or(&[][..], |end| head.get(end + 1..).unwrap_or_default());
                attributes_only(rest)
            }
            _ => !has(b"=") && !has(b"{") && self.function().is_some(),
        }
    }

    /// The names that others may use it by: too many rather than too few.
    fn names(&self) -> Vec<&'a [u8]> {
        let identifiers = || self.tokens.iter().copied().filter(|token| is_name(token));
        let first = self.tokens.first().copied();
        match (self.function(), first) {
            (Some(name), _) if self.body || !matches!(first, Some(b"typedef")) => {
                let mut names = vec![name];
                // A type may be declared on the way.
                names.extend(self.tags());
                names
            }
            (_, Some(b"struct" | b"union")) if self.is_quiet() && !self.has_enum() => self.tags(),
            _ => identifiers().collect(),
        }
    }

    /// Tags that are defined in it.
    fn tags(&self) -> Vec<&'a [u8]> {
        let defined = self.tokens.windows(2).filter(|pair| pair[1] == b"{");
        let forward = (self.tokens.len() == 3).then(|| self.tokens.get(1).copied());
        defined
            .map(|pair| pair[0])
            .chain(forward.flatten())
            .chain(self.tokens.get(1).copied().filter(|_| !self.body))
            .filter(|token| is_name(token))
            .collect()
    }

    fn has_enum(&self) -> bool {
        self.tokens.iter().any(|token| *token == b"enum")
    }

    /// Tokens outside of all brackets, with their places; brackets themselves
    /// are among them.
    fn outer(&self) -> Vec<(usize, &'a [u8])> {
        let mut depth = 0_usize;
        let mut outer = Vec::new();
        for (place, token) in self.tokens.iter().enumerate() {
            match *token {
                b"(" | b"[" | b"{" => {
                    if depth == 0 {
                        outer.push((place, *token));
                    }
                    depth += 1;
                }
                b")" | b"]" | b"}" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        outer.push((place, *token));
                    }
                }
                _ if depth == 0 => outer.push((place, *token)),
                _ => {}
            }
        }
        outer
    }

    /// The name of the one function that it declares or defines.
    fn function(&self) -> Option<&'a [u8]> {
        let outer = self.outer();
        let at = outer.windows(2).position(
            |pair| matches!(pair, [(_, name), (_, open)] if *open == b"(" && is_name(name)),
        )?;
        let (place, name) = *outer.get(at)?;
        // A parenthesis right after it, and something before it: its type.
        let typed = outer.get(..at)?.iter().any(|(_, token)| is_word(token));
        let pointer = self
            .tokens
            .get(place + 2)
            .is_some_and(|token| *token == b"*");
        let rest = outer.get(at + 3..)?;
        let plain = self.body || attributes_only(rest);
        (typed && !pointer && plain).then_some(name)
    }
}

/// Whether nothing but attributes and a semicolon is left.
fn attributes_only(rest: &[(usize, &[u8])]) -> bool {
    rest.iter().all(|(_, token)| {
        matches!(
            *token,
            b"(" | b")" | b";" | b"__attribute__" | b"__attribute" | b"__asm__" | b"asm" | b"__asm"
        )
    })
}

fn declarations<'a>(tokens: &'a [&'a [u8]]) -> Vec<Declaration<'a>> {
    let mut list = Vec::new();
    let (mut begin, mut depth) = (0, 0_usize);
    // Of the declaration at hand: where its last outer parenthesis opened,
    // whether it has a value, and whether a function's body is open.
    let (mut group, mut value, mut body) = (None, false, false);
    for (place, token) in tokens.iter().enumerate() {
        let mut end = false;
        match *token {
            b"(" | b"[" | b"{" => {
                if depth == 0 && *token == b"(" {
                    group = Some(place);
                }
                if depth == 0 && *token == b"{" {
                    body = !value && opens_body(tokens, begin, place, group);
                }
                depth += 1;
            }
            b")" | b"]" | b"}" => {
                depth = depth.saturating_sub(1);
                end = depth == 0 && *token == b"}" && body;
            }
            b"=" if depth == 0 => value = true,
            b";" => end = depth == 0,
            _ => {}
        }
        if end {
            list.push(Declaration {
                tokens: tokens.get(begin..=place).unwrap_or_default(),
                body,
                whole: true,
            });
            begin = place + 1;
            (group, value, body) = (None, false, false);
        }
    }
    if begin < tokens.len() {
        list.push(Declaration {
            tokens: tokens.get(begin..).unwrap_or_default(),
            body: false,
            whole: false,
        });
    }
    list
}

/// A body follows a list of parameters, which no attribute has.
fn opens_body(tokens: &[&[u8]], begin: usize, place: usize, group: Option<usize>) -> bool {
    let after_parenthesis = place > begin && tokens.get(place - 1).is_some_and(|t| *t == b")");
    let before = group.and_then(|group| tokens.get(group.checked_sub(1)?));
    after_parenthesis
        && before.is_some_and(|token| !matches!(*token, b"__attribute__" | b"__attribute"))
}

fn is_word(token: &[u8]) -> bool {
    token
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
}

fn is_name(token: &[u8]) -> bool {
    is_word(token) && !is_one_of(token, KEYWORDS)
}

fn is_one_of(token: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| word.as_bytes() == token)
}

/// Cuts a text into words, numbers, strings and single marks.
fn tokens(text: &[u8]) -> Vec<&[u8]> {
    let mut tokens = Vec::with_capacity(text.len() / 4);
    for line in text.split(|&byte| byte == b'\n') {
        if is_marker(line) {
            continue;
        }
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            let end = match byte {
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {
                    at += 1;
                    continue;
                }
                b'"' | b'\'' => quoted(line, at),
                _ if is_word_byte(byte) => {
                    let word = line.get(at..).unwrap_or_default();
                    at + word.iter().take_while(|&&byte| is_word_byte(byte)).count()
                }
                _ => at + 1,
            };
            tokens.push(line.get(at..end).unwrap_or_default());
            at = end;
        }
    }
    tokens
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The end of a string that begins at `at`.
fn quoted(line: &[u8], at: usize) -> usize {
    let quote = line.get(at).copied();
    let mut end = at + 1;
    while let Some(&byte) = line.get(end) {
        end += 1;
        match byte {
            b'\\' => end += 1,
            _ if Some(byte) == quote => break,
            _ => {}
        }
    }
    end.min(line.len())
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
