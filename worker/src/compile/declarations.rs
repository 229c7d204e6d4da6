//! Declarations of preprocessed text, and what may depend on them.

use super::tokens::{is_name, is_one_of, is_word};

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

/// What stands between two semicolons or function bodies at the outermost level.
#[derive(Debug)]
pub struct Declaration<'a> {
    pub tokens: &'a [&'a [u8]],
    /// Whether it ends with a function's body.
    body: bool,
    /// Whether it ends at all.
    whole: bool,
}

impl<'a> Declaration<'a> {
    /// Whether it emits nothing unless something mentions its names.
    pub fn is_quiet(&self) -> bool {
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
            Some(b"struct" | b"union" | b"enum") if has(b"=") => false,
            Some(b"struct" | b"union" | b"enum") if has(b"{") || text.len() == 3 => {
                let end = head.iter().rposition(|(_, token)| *token == b"}");
                let rest = end.map_or(&[][..], |end| head.get(end + 1..).unwrap_or_default());
                attributes_only(rest)
            }
            _ => !has(b"=") && !has(b"{") && self.function().is_some(),
        }
    }

    /// The names that others may use it by: too many rather than too few.
    pub fn names(&self) -> Vec<&'a [u8]> {
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

    /// The members by which it leads to types that it only points to: nothing if it
    /// is no plain structure, or has one of `names` other than in
    /// `struct type *member;`. Its own layout does not depend on those types, so
    /// that who uses it otherwise has nothing to do with them; who gets to them
    /// through it has to spell the member's name, also in `offsetof`, `typeof`
    /// and designated initialisers.
    pub fn pointer_members(&self, names: impl Fn(&[u8]) -> bool) -> Option<Vec<&'a [u8]>> {
        let first = self.tokens.first().copied();
        if !matches!(first, Some(b"struct" | b"union")) || self.body || !self.is_quiet() {
            return None;
        }
        let mut members = Vec::new();
        let mut begin = 0;
        for (place, token) in self.tokens.iter().enumerate() {
            match *token {
                b";" | b"{" | b"}" => begin = place + 1,
                token if names(token) => {
                    members.push(pointer_member(self.tokens.get(begin..)?, place - begin)?);
                }
                _ => {}
            }
        }
        Some(members)
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

/// The member's name in `struct type *member;`, if that is what the tokens begin
/// with and the one at a place is the type's name or the member's: neither uses
/// anything else of that name.
fn pointer_member<'a>(tokens: &[&'a [u8]], place: usize) -> Option<&'a [u8]> {
    let qualifier = |token: &&&[u8]| matches!(**token, b"const" | b"volatile");
    let at = tokens.iter().take_while(qualifier).count();
    let [b"struct" | b"union", tag, b"*", rest @ ..] = tokens.get(at..)? else {
        return None;
    };
    let stars = rest
        .iter()
        .take_while(|token| **token == b"*" || qualifier(token));
    let stars = stars.count();
    let [member, b";", ..] = rest.get(stars..)? else {
        return None;
    };
    let is_named = place == at + 1 || place == at + 3 + stars;
    (is_named && is_name(tag) && is_name(member)).then_some(*member)
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

/// Cuts tokens into declarations; all are in one of them.
pub fn declarations<'a>(tokens: &'a [&'a [u8]]) -> Vec<Declaration<'a>> {
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
