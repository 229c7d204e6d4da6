//! Whether a unit's code can differ, told from its preprocessed text.
//!
//! A header that thousands of units include is used by few of them. The text is
//! cut into declarations. One that emits nothing by itself (a prototype, a type,
//! a `static inline` function) matters only to those that mention its name; so
//! from the declarations that changed, names are followed until one is reached
//! that does emit something. Only then is the unit compiled. Whatever is not
//! recognised counts as emitting.

use super::{
    declarations::{Declaration, declarations},
    tokens::{is_marker, tokens},
};
use crate::patch::{END, NEW, OLD};
use memchr::memmem;
use std::collections::{HashMap, HashSet};

/// Whether the difference of two preprocessed texts can change object code.
#[must_use]
pub fn affected(pre: &[u8], post: &[u8]) -> bool {
    differ_in_code(&tokens(pre), &tokens(post))
}

/// The same, told from one text with both versions of each place that changes
/// ([`both`](crate::patch::both)). Nothing if they can't be told apart there.
#[must_use]
pub fn affected_in_both(text: &[u8]) -> Option<bool> {
    // Macros that are saved and restored may not be the same behind both versions.
    let saved = [&b"push_macro"[..], b"pop_macro"];
    if saved.iter().any(|word| memmem::find(text, word).is_some()) {
        return None;
    }
    let tokens = tokens(text);
    let versions = split(&tokens)?;
    // Each word must have come out as such: not in a string, not pasted to another.
    if memmem::find_iter(text, b"__resplice_").count() != versions.marks {
        return None;
    }
    Some(versions.differ && differ_in_code(&versions.pre, &versions.post))
}

type Tokens<'t, 'a> = &'t [&'a [u8]];

/// What a text with both versions is made of.
struct Versions<'a> {
    pre: Vec<&'a [u8]>,
    post: Vec<&'a [u8]>,
    marks: usize,
    differ: bool,
}

/// Tells the versions apart; nothing if their marks do not come in threes, or if
/// one of them counts further than the other: what follows is then numbered in
/// a way that is neither's.
fn split<'a>(tokens: &[&'a [u8]]) -> Option<Versions<'a>> {
    let mut versions = Versions {
        pre: Vec::with_capacity(tokens.len()),
        post: Vec::with_capacity(tokens.len()),
        marks: 0,
        differ: false,
    };
    let mut rest = tokens;
    while rest.iter().any(|token| is_mark(token)) {
        let (common, begins, marked) = until(rest, OLD)?;
        let (old, turns, marked) = until(marked, NEW)?;
        let (new, ends, after) = until(marked, END)?;
        // Each mark counts by one itself.
        if turns.checked_sub(begins)? != ends.checked_sub(turns)? {
            return None;
        }
        versions.pre.extend_from_slice(common);
        versions.post.extend_from_slice(common);
        versions.differ |= old != new;
        versions.pre.extend_from_slice(old);
        versions.post.extend_from_slice(new);
        versions.marks += 3;
        rest = after;
    }
    versions.pre.extend_from_slice(rest);
    versions.post.extend_from_slice(rest);
    Some(versions)
}

/// The tokens up to a mark, the number behind it, and what follows; no other
/// mark may come before.
fn until<'t, 'a>(
    tokens: Tokens<'t, 'a>,
    mark: &str,
) -> Option<(Tokens<'t, 'a>, u64, Tokens<'t, 'a>)> {
    let at = tokens.iter().position(|token| is_mark(token))?;
    let (before, rest) = tokens.split_at(at);
    let [first, count, rest @ ..] = rest else {
        return None;
    };
    let count = std::str::from_utf8(count).ok()?.parse().ok()?;
    (*first == mark.as_bytes()).then_some((before, count, rest))
}

fn is_mark(token: &[u8]) -> bool {
    token.starts_with(b"__resplice_") && [OLD, NEW, END].iter().any(|mark| mark.as_bytes() == token)
}

fn differ_in_code(pre: &[&[u8]], post: &[&[u8]]) -> bool {
    if pre == post {
        return false;
    }
    let (pre, post) = (declarations(pre), declarations(post));
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

/// Follows names until code is reached or no name is new. Each round looks for
/// the names that the last one has found; there are seldom more than a handful
/// of rounds, and an index of all words takes longer than ten.
fn reaches_code<'a>(declarations: &[Declaration<'a>], names: HashSet<&'a [u8]>) -> bool {
    let mut left: Vec<&Declaration<'a>> = declarations.iter().collect();
    let mut known = names.clone();
    let mut wanted = Wanted::new(names);
    while !wanted.names.is_empty() {
        let mut found = HashSet::new();
        let mut loud = false;
        left.retain(|declaration| {
            if loud || !declaration.tokens.iter().any(|token| wanted.has(token)) {
                return true;
            }
            if let Some(members) = declaration.pointer_members(|token| wanted.has(token)) {
                found.extend(members);
                return true;
            }
            loud = !declaration.is_quiet();
            found.extend(declaration.names());
            false
        });
        if loud {
            return true;
        }
        found.retain(|name| known.insert(name));
        wanted = Wanted::new(found);
    }
    false
}

/// Names to look for in many words: most are told apart by length and ends.
struct Wanted<'a> {
    names: HashSet<&'a [u8]>,
    shapes: Vec<bool>,
}

impl<'a> Wanted<'a> {
    const SHAPES: usize = 1 << 16;

    fn new(names: HashSet<&'a [u8]>) -> Self {
        let mut shapes = vec![false; Self::SHAPES];
        for name in &names {
            if let Some(shape) = shapes.get_mut(Self::shape(name)) {
                *shape = true;
            }
        }
        Self { names, shapes }
    }

    fn has(&self, word: &[u8]) -> bool {
        self.shapes
            .get(Self::shape(word))
            .is_some_and(|shape| *shape)
            && self.names.contains(word)
    }

    fn shape(word: &[u8]) -> usize {
        let byte = |at: Option<&u8>| at.map_or(0, |byte| usize::from(*byte));
        let ends =
            byte(word.first()) ^ byte(word.last()) << 4 ^ byte(word.get(word.len() / 2)) << 8;
        (ends ^ word.len() << 11) % Self::SHAPES
    }
}

/// What is left of two lists between what they begin with and end with alike.
fn between<'t, 'a>(
    pre: &'t [Declaration<'a>],
    post: &'t [Declaration<'a>],
) -> (&'t [Declaration<'a>], &'t [Declaration<'a>]) {
    let alike = |(pre, post): &(&Declaration<'_>, &Declaration<'_>)| pre.tokens == post.tokens;
    let head = pre.iter().zip(post).take_while(alike).count();
    let pre = pre.get(head..).unwrap_or_default();
    let post = post.get(head..).unwrap_or_default();
    let tail = pre.iter().rev().zip(post.iter().rev()).take_while(alike);
    let tail = tail.count();
    (
        pre.get(..pre.len() - tail).unwrap_or_default(),
        post.get(..post.len() - tail).unwrap_or_default(),
    )
}

/// The declarations that are in one list only; nothing if the others do not
/// come in the same order.
fn changed<'t, 'a>(
    pre: &'t [Declaration<'a>],
    post: &'t [Declaration<'a>],
) -> Option<Vec<&'t Declaration<'a>>> {
    let (pre, post) = between(pre, post);
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

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
